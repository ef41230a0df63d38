/** A child process for the store's tests: commits as fast as it can and says which commits were answered, until it is killed. */
import {writeSync} from 'node:fs'
import {describeError} from '@prod/sdk/errors'
import {openFolder} from './store-folder.ts'

const [dir, round, hold] = process.argv.slice(2)
try {
  const store = await openFolder(dir!)
  if (hold) {
    writeSync(1, 'held\n')
    setInterval(() => {}, 1000)
  } else {
    const max = 5
    let next = 0
    await Promise.all(
      Array.from({length: 32}, async (_, writer) => {
        for (;;) {
          const run = `run_${round}_${next++}`
          const id = `req_${round}_${writer % 8}_${Math.floor(next / 300)}`
          const found = await store.find<{uses: number; max: number; runs: string[]}>('request', id)
          const {uses, runs} = found?.value ?? {uses: 0, runs: []}
          const done = await store.commit({
            put: [
              {kind: 'run', id: run, version: 0, value: {request: id}},
              ...(uses < max
                ? [{kind: 'request' as const, id, version: found?.version ?? 0, value: {uses: uses + 1, max, runs: [...runs, run]}}]
                : []),
            ],
            events: [{type: 'run.started', by: 'alice', subject: run, personal: {reason: 'a storm'}}],
          })
          if (done.ok) writeSync(1, `${JSON.stringify({run, index: done.indices[0]})}\n`)
        }
      }),
    )
  }
} catch (error) {
  writeSync(1, `${describeError(error).code}\n`)
  process.exit(3)
}
