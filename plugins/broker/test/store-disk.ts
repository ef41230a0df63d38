/** A child process for the store's tests, on a small disk of its own: fills it, makes room, makes it read-only; tells what it saw as JSON. */
import {spawnSync} from 'node:child_process'
import {rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {describeError} from '@prod/sdk/errors'
import {verifyFolder} from '@prod/sdk/log/folder'
import {makeFolder, openFolder} from './store-folder.ts'

const disk = process.argv[2]!
const {dir} = makeFolder(disk)
const store = await openFolder(dir)
let commits = 0
const commit = async () => {
  const id = `run_${commits}`
  const {ok} = await store.commit({
    put: [
      {kind: 'run', id, version: 0, value: 'x'.repeat(30_000)},
      {kind: 'session', id, version: 0, value: 1},
    ],
    events: [{type: 'run.started', by: 'alice', subject: id}],
  })
  if (ok) commits++
}
const failure = async () => {
  for (let n = 0; n < 1000; n++) {
    const error = await commit().then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    if (error) return describeError(error)
  }
  return undefined
}

await commit()
writeFileSync(join(disk, 'filler'), Buffer.alloc(8_000_000))
const full = await failure()
const readsWhileFull = (await store.find('run', 'run_0')) !== undefined
const halfDone = [await store.find('run', `run_${commits}`), await store.find('session', `run_${commits}`)].filter(Boolean)
rmSync(join(disk, 'filler'))
await commit()
const afterRoom = (await store.find('session', `run_${commits - 1}`)) !== undefined && (await store.logSize()) === commits

await store.close()
const remount = (how: string) => spawnSync('/bin/sh', ['-c', `exec mount -o remount,${how},size=16m "$0"`, disk])
remount('ro')
const readOnly = await openFolder(dir).then(() => undefined, describeError)
const readable = await verifyFolder(dir)
remount('rw')
const again = await openFolder(dir)
const writable = (await again.commit({events: []})).ok
await again.close()
process.stdout.write(JSON.stringify({full, readsWhileFull, halfDone, afterRoom, readOnly, readable, writable, commits}))
