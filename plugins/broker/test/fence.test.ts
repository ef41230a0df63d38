import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtempSync, renameSync, rmSync} from 'node:fs'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {api} from '@prod/sdk/api'
import {openEntry} from '@prod/sdk/log/envelope'
import {verifyFolder} from '@prod/sdk/log/folder'
import {briefly} from '@prod/sdk/testing/kept-code'
import {expect, onTestFinished, test} from 'vitest'
import {notes, openPerson, prepareFolder, running, until} from './core.ts'

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const {port} = server.address() as {port: number}
  server.close()
  await once(server, 'close')
  return port
}

interface OwnBroker {
  child: ChildProcess
  said: string[]
  as(name: string): ReturnType<typeof openPerson>
}

async function start(dir: string): Promise<OwnBroker> {
  const port = await freePort()
  const child = spawn(
    process.execPath,
    [...briefly, '--conditions=source', join(import.meta.dirname, 'core-process.ts'), dir, String(port)],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGCONT')
    child.kill('SIGTERM')
    await once(child, 'exit')
  })
  const said: string[] = []
  child.stderr.setEncoding('utf8').on('data', (text: string) => said.push(text))
  const [line] = (await Promise.race([
    once(createInterface({input: child.stdout}), 'line'),
    once(child, 'exit').then(() => [undefined]),
  ])) as [string | undefined]
  if (line === undefined) throw new Error(`the broker did not start: ${said.join('')}`)
  const place = {name: 'own', url: `http://127.0.0.1:${port}`}
  return {child, said, as: name => openPerson(place, name, () => new Date())}
}

test('TM-N7: a broker that stood still while another took over writes nothing more, ends what it ran, and stops', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'prod-fence-'))
  onTestFinished(() => rmSync(dir, {recursive: true, force: true}))
  await prepareFolder(dir)
  const old = await start(dir)
  const alice = await old.as('alice')
  const run = alice.exec(['now', 'wait', 'held'])
  const {id} = await run.message('started')
  await until(() => running(`${dir}/jobs/waiter-held`) === 1)
  const queued = alice.exec(['now', 'note', 'queued', '0'])
  await queued.message('queued')

  old.child.kill('SIGSTOP')
  // a live broker cannot be pushed aside: the kernel holds its lock
  await expect(start(dir)).rejects.toThrow('another broker is running')
  rmSync(join(dir, 'broker.sqlite.lock')) // what nobody should do, and somebody does
  renameSync(join(dir, 'dev-provider.sqlite'), join(dir, 'dev-provider.old')) // the development provider has a lock of its own
  const next = await start(dir)
  const carol = await next.as('carol')
  const ended = (await carol.client.call(api.auditEntries, {limit: '1000', type: 'run.ended'})).entries.map(openEntry)
  expect(ended).toMatchObject([{subject: id, data: {outcome: 'unknown', endedBy: 'broker loss'}}])
  const size = (await carol.client.call(api.auditEntries, {limit: '1'})).size

  const gone = once(old.child, 'exit')
  old.child.kill('SIGCONT')
  await until(() => running(`${dir}/jobs/waiter-held`) === 0)
  await gone
  expect(old.said.join('')).toContain('another broker has taken over the store')
  // neither the start that waited nor any end of the old one is in the log
  const entries = (await carol.client.call(api.auditEntries, {from: String(size), limit: '1000'})).entries.map(openEntry)
  expect(entries.filter(({type}) => /^(run|broker)\./.test(type))).toEqual([])
  expect(notes(dir)).toEqual([])
  const bob = await next.as('alice')
  expect((await bob.exec(['now', 'note', 'free', '0']).done).end?.exit).toEqual({status: 0})
  next.child.kill('SIGTERM')
  await once(next.child, 'exit')
  expect(await verifyFolder(dir)).toMatchObject({ok: true})
}, 240_000)
