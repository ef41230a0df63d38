/** The store's thread: opens the writer, then runs one group after the other. */
import {parentPort, workerData} from 'node:worker_threads'
import type {FromThread, Group, ThreadStart} from './jobs.ts'
import {describeFailure, openWriter, type Writer} from './writer.ts'

const port = parentPort!
const say = (message: FromThread) => port.postMessage(message)

let writer: Writer | undefined
try {
  writer = openWriter(workerData as ThreadStart)
  say({opened: {size: writer.size, checkpoint: writer.checkpoint}})
} catch (error) {
  say({failed: describeFailure(error)})
  port.close()
}

port.on('message', (message: string) => {
  if (message !== '') return say({group: writer!.run(JSON.parse(message) as Group)})
  writer?.close()
  say({closed: true})
  port.close()
})
