/** The main side of the store's thread: gathers jobs while a group is being written, and hands each its answer. */
import {Worker} from 'node:worker_threads'
import {ProdError} from '@prod/sdk/errors'
import type {Kind} from '../store.ts'
import type {Done, FromThread, Job, ThreadStart} from './jobs.ts'

/** Jobs that share one commit at most: bounds how long the first of them waits. */
const groupLimit = 512

export interface StoreThread {
  /** Answers after COMMIT. Throws STORE_UNAVAILABLE when the group could not be made durable: then nothing of it is written. */
  run(job: Job): Promise<Done>
  /** Told after each group which records changed, before the jobs get their answers. */
  onCommit(listener: (changed: {kind: Kind; id: string}[]) => void): void
  /** size and checkpoint of the newest durable tree */
  state(): {size: number; checkpoint: string}
  /** Lets what was asked finish, calls `last`, then ends the thread. */
  close(last?: () => void): Promise<void>
}

interface Asked {
  job: Job
  answer: (done: Done) => void
  fail: (error: Error) => void
}

/** Starts the thread: from the sources (`.ts`, stripped by Node) or as built. Throws what opening the store throws. */
export async function startThread(start: ThreadStart, clock: () => Date): Promise<StoreThread> {
  const fromSources = import.meta.url.endsWith('.ts')
  const worker = new Worker(fromSources ? new URL('./worker.ts', import.meta.url) : new URL('./worker.js', import.meta.url), {
    workerData: start,
    execArgv: fromSources ? ['--conditions=source'] : [],
    name: 'store',
  })
  let state = await new Promise<{size: number; checkpoint: string}>((resolve, reject) => {
    worker.once('message', (message: FromThread) => {
      if ('opened' in message) resolve(message.opened)
      else if ('failed' in message) reject(new ProdError(message.failed.code, message.failed.message, message.failed.hint))
    })
    worker.once('error', reject)
  })
  worker.removeAllListeners('error')

  let waiting: Asked[] = []
  let underWay: Asked[] = []
  let ended: ProdError | undefined
  let closed: Promise<void> | undefined
  let idle = () => {}
  let told: (changed: {kind: Kind; id: string}[]) => void = () => {}

  let scheduled = false
  /** Sends at the end of this turn of the event loop: all who ask in it share the commit, those just answered too. */
  const sendSoon = () => {
    if (scheduled || underWay.length > 0) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      send()
    })
  }
  const send = () => {
    if (waiting.length === 0) return idle()
    underWay = waiting.slice(0, groupLimit)
    waiting = waiting.slice(groupLimit)
    worker.postMessage(JSON.stringify({time: clock().toISOString(), jobs: underWay.map(({job}) => job)}))
  }
  const end = (why: string) => {
    ended ??= new ProdError('STORE_UNAVAILABLE', why)
    const all = [...underWay, ...waiting]
    ;[underWay, waiting] = [[], []]
    for (const {fail} of all) fail(ended)
    idle()
  }

  worker.on('message', (message: FromThread) => {
    if (!('group' in message)) return
    const group = message.group
    const asked = underWay
    underWay = []
    if ('failed' in group) {
      const {code, message: text, hint} = group.failed
      for (const {fail} of asked) fail(code === 'INTERNAL' ? new Error(text) : new ProdError(code, text, hint))
    } else {
      state = {size: group.size, checkpoint: group.checkpoint}
      told(
        asked.flatMap(({job}, n) => {
          const done = group.done[n]!
          return job.do === 'commit' && 'ok' in done && done.ok ? [...job.put, ...job.remove].map(({kind, id}) => ({kind, id})) : []
        }),
      )
      for (const [n, {answer}] of asked.entries()) answer(group.done[n]!)
    }
    sendSoon()
  })
  worker.on('error', error => end(`the store's thread failed: ${error.message}`))
  worker.on('exit', () => end("the store's thread has ended"))

  return {
    run: job =>
      new Promise((answer, fail) => {
        if (ended) return fail(ended)
        if (closed) return fail(new ProdError('STORE_UNAVAILABLE', 'the store is closed'))
        waiting.push({job, answer, fail})
        sendSoon()
      }),
    onCommit(listener) {
      told = listener
    },
    state: () => state,
    close(last) {
      closed ??= (async () => {
        if (underWay.length + waiting.length > 0) await new Promise<void>(resolve => (idle = resolve))
        last?.()
        if (ended) return
        const gone = new Promise(resolve => worker.once('exit', resolve))
        worker.postMessage('')
        await gone
      })()
      return closed
    },
  }
}
