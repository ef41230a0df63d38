import {once} from 'node:events'
import {copyFileSync, cpSync, existsSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {collect, type RealBroker, type RealPerson, startRealBroker} from './broker.ts'

const finish: (() => Promise<void>)[] = []
let broker: RealBroker
let alice: RealPerson
let carol: RealPerson
let home: string
const hostile = 'because of the leak \u202egpj.exe\u2066 by=bob'

beforeAll(async () => {
  broker = await startRealBroker(step => finish.push(step))
  alice = broker.as('alice')
  carol = broker.as('carol')
  home = carol.home
  expect(await alice.run(['exec', '--reason', hostile, 'web', 'status'])).toMatchObject({status: 0})
  expect(await alice.run(['exec', '--reason', 'a tool nobody has', '--on', 'local', 'web', 'explode'])).not.toMatchObject({status: 0})
})
afterAll(async () => {
  for (const step of finish.reverse()) await step()
})

test('who policy lets read the log sees its end, one line for each record, and that it was read', async () => {
  const {status, stdout} = await carol.run(['audit', 'tail', '-n', '50'])
  expect(status).toBe(0)
  const lines = stdout.trimEnd().split('\n')
  for (const type of ['broker.started', 'login.created', 'request.created', 'run.started', 'run.ended'])
    expect(lines.filter(line => line.includes(`  ${type}  `)).length).toBeGreaterThan(0)
  expect(lines.at(-1)).toMatch(/^ +\d+ {2}\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}audit\.read {2}carol {2}log/)
  expect(lines.find(line => line.includes('run.started'))).toContain('argv=[web status]')

  const refused = await alice.run(['audit', 'tail'])
  expect(refused).toMatchObject({status: 243, stdout: ''})
  expect((await carol.run(['audit', 'search', '--type', 'audit.refused', '--by', 'alice', '--json'])).stdout).toContain('"audit.refused"')
})

test('TM-R1 TM-R2 TM-E11: words of a record act nowhere, reorder nothing, and cannot pass for another field', async () => {
  const {stdout} = await carol.run(['audit', 'search', '--type', 'run.started'])
  expect(stdout.trimEnd().split('\n')).toHaveLength(1)
  expect(stdout).toContain(String.raw`reason="because of the leak \u202egpj.exe\u2066 by=bob"`)
  expect(stdout).not.toMatch(/[\u202a-\u202e\u2066-\u2069\u001b]/)
  const found = JSON.parse((await carol.run(['audit', 'search', '--type', 'run.started', '--json'])).stdout) as {
    by: string
    personal: {reason: string; argv: string[]}
  }[]
  expect(found).toMatchObject([{by: 'alice', personal: {reason: hostile, argv: ['web', 'status']}}])
})

test('search takes what all filters hold for, and says when nothing is left', async () => {
  const search = async (...args: string[]) =>
    JSON.parse((await carol.run(['audit', 'search', '--json', ...args])).stdout) as {type: string; subject: string; by: string}[]
  const [run] = await search('--type', 'run.started')
  expect((await search('--subject', run!.subject)).map(({type}) => type)).toEqual(['run.started', 'run.ended'])
  expect((await search('THE LEAK', '--by', 'alice', '--since', '1h')).map(({type}) => type)).toEqual(['request.created', 'run.started'])
  expect(await search('--by', 'bob')).toEqual([])
  expect(await search('--since', '0001-01-01T00:00:00Z', '--limit', '2')).toHaveLength(2)
  expect(await carol.run(['audit', 'search', '--by', 'nobody'])).toMatchObject({
    status: 0,
    stdout: '',
    stderr: expect.stringContaining('nothing found'),
  })
  expect(await carol.run(['audit', 'search', '--since', 'soon'])).toMatchObject({status: 241, stdout: ''})
})

test('tail --follow shows what is added, does not follow its own reading, and ends with Ctrl-C', async () => {
  const child = await carol.start(['audit', 'tail', '-n', '1', '-f'])
  const ended = collect(child)
  let seen = ''
  child.stdout.on('data', chunk => {
    seen += String(chunk)
  })
  while (seen === '') await once(child.stdout, 'data')
  expect(await alice.run(['exec', '--reason', 'while carol looks on', 'web', 'status'])).toMatchObject({status: 0})
  while (!seen.includes('run.ended')) await once(child.stdout, 'data')
  child.kill('SIGINT')
  const {status, stdout} = await ended
  expect(status).toBe(0)
  expect(stdout).toContain('while carol looks on')
  expect(
    stdout
      .trimEnd()
      .split('\n')
      .filter(line => line.includes('  audit.read  ')).length,
  ).toBeLessThanOrEqual(4)
})

test('TM-E14: an export is checked without the broker; one byte changed is named, and so is a line that is gone', async () => {
  const file = join(home, 'log.jsonl')
  const exported = await carol.run(['audit', 'export', '-o', file, '--json'])
  expect(exported.status).toBe(0)
  const {records} = JSON.parse(exported.stdout) as {records: number}
  const text = readFileSync(file, 'utf8')
  const lines = text.trimEnd().split('\n')
  expect(lines).toHaveLength(records + 1)
  expect(await carol.run(['audit', 'export', '-o', file])).toMatchObject({status: 241})
  const piped = await carol.run(['audit', 'export'])
  expect(piped.stdout.split('\n').slice(0, records)).toEqual(lines.slice(0, -1))

  const key = join(broker.dir, 'keys/log.pub')
  const offline = {env: {PROD_BROKER: 'http://127.0.0.1:9'}}
  const verify = async (what: string) => {
    writeFileSync(file, what)
    const {status, stdout} = await carol.run(['audit', 'verify', '--export', file, '--key', key, '--json'], offline)
    return {status, ...(JSON.parse(stdout) as {ok: boolean; size: number; root: string; firstBad?: {index: number}})}
  }
  expect(await verify(text)).toMatchObject({status: 0, ok: true, size: records, root: expect.stringMatching(/^[A-Za-z0-9+/]{43}=$/)})
  const at = lines.findIndex(line => line.includes('the leak'))
  expect(await verify(text.replace('the leak', 'the peak'))).toMatchObject({status: 1, ok: false, firstBad: {index: at}})
  expect(await verify(lines.toSpliced(3, 1).join('\n'))).toMatchObject({status: 1, ok: false, firstBad: {index: 3}})
  expect(await verify(lines.slice(0, -1).join('\n'))).toMatchObject({status: 1, ok: false})
  const said = await carol.run(['audit', 'verify', '--export', file], offline)
  expect(said).toMatchObject({status: 1, stdout: expect.stringContaining('THE LOG IS NOT WHOLE')})
  expect(await carol.run(['audit', 'verify', '--export', join(home, 'none')], offline)).toMatchObject({status: 241})
  expect(await carol.run(['audit', 'verify', '--export', file, '--key', 'x'], offline)).toMatchObject({status: 241})
})

test('the broker’s own log is fetched and checked with the key that was remembered at login', async () => {
  expect(await carol.run(['audit', 'verify'])).toMatchObject({status: 0, stdout: expect.stringMatching(/^the log is whole: \d+ records\n/)})
  expect((await alice.run(['audit', 'verify'])).status).toBe(243)
})

test('everybody may read the figures; they name nobody', async () => {
  const {status, stdout} = await alice.run(['metrics', '--since', '7d', '--json'])
  expect(status).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({
    values: {execs: 2, shells: 0, shellShare: 0, requests: 2, approvedAutomaticallyShare: 1, reviewsOpen: 0},
  })
  expect(stdout).not.toMatch(/alice|carol/)
  const page = await alice.run(['metrics'])
  expect(page.stdout).toContain('allowed without a person')
  expect(page.stdout).toMatch(/\n {2}\|.*[▁-█]\| {2}commands +at most 2, last 2/)
  expect(await alice.run(['metrics', '--since', '900d'])).toMatchObject({status: 241})
  const figures = await (await fetch(broker.metricsUrl)).text()
  expect(figures).toContain('broker_requests_total{state="approved"} 2')
  expect(figures).toContain('broker_runs_total{class="read"} 2')
})

test('TM-E10: the output that is kept of a run is shown to whom policy lets read it, with the key that opens it', async () => {
  const ran = JSON.parse((await alice.run(['exec', '--json', '--reason', 'to read it again', 'web', 'status'])).stdout) as {
    run: string
    stdout: {text: string}
  }
  const play = ['sessions', 'play', ran.run, '--identity', join(broker.dir, 'recording-key.txt')]
  expect(ran.stdout.text).not.toBe('')
  expect(await carol.run(play)).toMatchObject({status: 0, stdout: ran.stdout.text, stderr: ''})
  expect(await broker.as('bob').run(play)).toMatchObject({status: 241, stdout: ''})
  expect((await carol.run(['audit', 'search', '--type', 'output.read', '--subject', ran.run, '--json'])).stdout).toContain('"carol"')
})

test('TM-E12: carol asks, bob agrees, and the output of a run is gone: who asks for it hears when and by whom, and the log verifies', async () => {
  const {run} = JSON.parse((await alice.run(['exec', '--json', '--reason', 'customer data', 'web', 'status'])).stdout) as {run: string}
  const why = ['--reason', 'customer data, ticket 204']
  const ask = await carol.run(['audit', 'erase', run, ...why, '--json'])
  expect(ask).toMatchObject({status: 0})
  const {id} = JSON.parse(ask.stdout) as {id: string}
  expect(await carol.run(['audit', 'erase', id, ...why])).toMatchObject({status: 243, stdout: ''})
  expect(await carol.run(['audit', 'erase', 'alice', ...why])).toMatchObject({status: 241})
  const bob = broker.as('bob')
  expect(await bob.run(['audit', 'erase', id, ...why])).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/erased at .*, agreed to by bob: 0 texts of the log, 1 output,/),
  })
  expect(await carol.run(['sessions', 'play', run, '--identity', join(broker.dir, 'recording-key.txt')])).toMatchObject({
    status: 241,
    stderr: expect.stringMatching(/was erased on \S+ by bob/),
  })
  expect((await carol.run(['audit', 'erase', '--show'])).stdout).toContain(run)
  expect(await carol.run(['audit', 'verify'])).toMatchObject({status: 0})
})

test('TM-E2 TM-E14: the data folder is checked while the broker runs and after it; a copy with one byte changed is named', async () => {
  const verify = async (dir: string, ...more: string[]) => {
    const {status, stdout} = await alice.run(['audit', 'verify', '--dir', dir, '--json', ...more])
    return {status, ...(JSON.parse(stdout) as {ok: boolean; size: number; firstBad?: {index: number}})}
  }
  expect(await verify(broker.dir)).toMatchObject({status: 0, ok: true})
  const line = (await carol.run(['audit', 'export'])).stdout
    .split('\n')
    .find(one => one.includes('run.started') && one.includes('the leak'))
  const {index, envelope} = JSON.parse(line ?? '') as {index: number; envelope: string}
  const {commitments} = JSON.parse(envelope) as {commitments: Record<string, string>}
  await broker.stop()

  const copy = join(home, 'copy')
  cpSync(broker.dir, copy, {recursive: true, filter: path => !path.includes('.sock')})
  const before = await verify(copy)
  expect(before).toMatchObject({status: 0, ok: true})
  const file = join(copy, 'broker.sqlite')
  expect(existsSync(`${file}-wal`)).toBe(false)
  const bytes = readFileSync(file)
  // a text that stands nowhere but in this record; one that the pages of the file do not cut in two
  const place = Math.max(...Object.values(commitments).map(one => bytes.indexOf(one)))
  expect(place).toBeGreaterThan(0)
  bytes[place] = bytes[place] === 0x30 ? 0x31 : 0x30
  writeFileSync(file, bytes)
  expect(await verify(copy)).toMatchObject({status: 1, ok: false, firstBad: {index}})
  copyFileSync(join(broker.dir, 'broker.sqlite'), file)
  expect(await verify(copy, '--key', join(broker.dir, 'keys/log.pub'))).toMatchObject({status: 0, size: before.size})
})
