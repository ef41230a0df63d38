import {createHash} from 'node:crypto'
import {chmodSync, existsSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {definePrimitive, type Primitive} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {sha256} from '@prod/sdk/document'
import {afterAll, beforeAll, expect, test} from 'vitest'
import type {TargetEntry, ToolEntry} from '../src/catalog/catalog.ts'
import {inspectAll, inspectProgram} from '../src/runs/program.ts'
import {type Core, codeOf, jobFiles, type Person, startCore, until} from './core.ts'
import {makeFolder, openFolder} from './store-folder.ts'

const file = 'catalog/tools/now.yaml'
const digestOf = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex')

const ends: (() => Promise<void> | void)[] = []
let core: Core
let alice: Person
beforeAll(async () => {
  core = await startCore(end => ends.push(end))
  alice = await core.as('alice')
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

/** The definition of `now`, with the digests it names. */
function naming(...digests: string[]): string {
  const text = jobFiles(core.dir)[file] as string
  return text
    .replace(/^program: .*$/m, `program: {path: ${core.dir}/bin/job, sha256: [${digests.join(', ')}]}`)
    .replace(/^run: /m, 'version: job 1.0\nrun: ')
}

test('TM-M4: an upgrade under a running broker turns the tool off, told once, until a definition names it', async () => {
  const path = join(core.dir, 'bin/job')
  const [before, program] = [digestOf(path), readFileSync(path, 'utf8')]
  await core.change(file, naming(before))
  expect((await alice.exec(['now', 'note', 'one', '0']).done).stdout.toString()).toBe('noted one\n')

  writeFileSync(path, program.replace('noted', 'noted by 2.0:'))
  const after = digestOf(path)
  for (const word of ['two', 'three']) {
    const failed = alice.exec(['now', 'note', word, '0']).done
    expect(await codeOf(failed)).toBe('TOOL_UNAVAILABLE')
    await expect(failed).rejects.toThrow(/now is off.*its definition names/)
  }
  expect(readFileSync(join(core.dir, 'jobs/notes'), 'utf8')).not.toContain('two')
  const off = await core.events('tool.disabled')
  expect(off.map(({subject, data}) => [subject, data.version, data.sha256])).toEqual([['now', 'job 1.0', after]])
  expect(core.alarms.filter(({what}) => what.includes('is off'))).toHaveLength(1)
  // another tool whose definition leaves its program open goes on in development
  expect((await alice.exec(['job', 'say', 'x']).done).end).toMatchObject({exit: {status: 0}})

  // a bundle whose tests pass names the new one, beside the old one
  await core.change(file, naming(before, after))
  await until(async () => (await core.events('tool.enabled')).length === 1, 'the tool is on again')
  expect((await alice.exec(['now', 'note', 'four', '0']).done).stdout.toString()).toBe('noted by 2.0: four\n')
  writeFileSync(path, program)
  expect((await alice.exec(['now', 'note', 'five', '0']).done).stdout.toString()).toBe('noted five\n')
})

test('TM-M4: outside development a program that no definition pins is the one that was there when the policy was loaded', async () => {
  const {dir, remove} = makeFolder()
  ends.push(remove)
  const store = await openFolder(dir)
  ends.push(() => store.close())
  const path = join(dir, 'tool')
  writeFileSync(path, 'version 1')
  chmodSync(path, 0o755)
  const primitive = definePrimitive({
    id: 'here',
    summary: 'reads files',
    uses: ['exec'],
    parse: text => text,
    permissions: () => [],
    open: () => Promise.reject(new Error('not here')),
    inspect: async (_target, program) => ({path: program.path, sha256: digestOf(program.path)}),
  }) as Primitive
  const target = {name: 'local', address: 'here:local'} as TargetEntry
  const tool = {name: 'tool', version: null, targets: ['local'], program: {path, sha256: [] as string[]}} as unknown as ToolEntry
  const alarms: string[] = []
  let bundle = 'one'
  const parts = {
    primitives: new Map([['here', primitive]]),
    store,
    alarm: (what: string) => alarms.push(what),
    config: {development: false},
    bundle: () => ({digest: bundle, catalog: {tools: new Map([['tool', tool]]), targets: new Map([['local', target]])}}),
  } as unknown as Parameters<typeof inspectAll>[0]
  const events = async () => (await store.entries({from: 0, limit: 100})).map(({envelope}) => (JSON.parse(envelope) as {type: string}).type)

  await inspectAll(parts)
  expect(await inspectProgram(parts, tool, target)).toEqual({path, sha256: sha256('version 1')})
  writeFileSync(path, 'version 2')
  // nobody need ask for it: the broker looks by itself
  await inspectAll(parts)
  await inspectAll(parts)
  await expect(inspectProgram(parts, tool, target)).rejects.toMatchObject({code: 'TOOL_UNAVAILABLE'})
  expect(alarms).toHaveLength(1)
  // back again, and on again
  writeFileSync(path, 'version 1')
  expect(await inspectProgram(parts, tool, target)).toMatchObject({sha256: sha256('version 1')})
  // upgraded, and a bundle loaded since
  writeFileSync(path, 'version 2')
  bundle = 'two'
  expect(await inspectProgram(parts, tool, target)).toMatchObject({sha256: sha256('version 2')})
  expect(await events()).toEqual(['program.pinned', 'tool.disabled', 'tool.enabled', 'program.pinned'])
})

test('TM-H11: a run that puts out more lines than it may is ended, and the record says so', async () => {
  const text = jobFiles(core.dir)['catalog/tools/job.yaml'] as string
  await core.change('catalog/tools/job.yaml', text.replace('outputBytes: 1048576', 'outputBytes: 1048576, outputLines: 5'))
  expect((await alice.exec(['job', 'say', '1', '2', '3', '4', '5']).done).end).toMatchObject({exit: {status: 0}, endedBy: null})
  expect((await alice.exec(['job', 'say', ...'123456789'.split('')]).done).end).toMatchObject({endedBy: 'limit: lines'})
})

test('TM-J1, TM-E8: what a definition masks nobody sees, it is counted, and the output has the time of its tool', async () => {
  const text = jobFiles(core.dir)[file] as string
  await core.change(file, text.replace(/^retention: .*$/m, 'retention: full\nretentionDays: 2\nredact: { patterns: ["cust-\\\\d{4}"] }'))
  const {stdout, receipt} = await alice.exec(['now', 'note', 'cust-1234', '0']).done
  expect(stdout.toString()).toBe('noted [redacted]\n')
  const [ended] = (await core.events('run.ended')).filter(({subject}) => subject === receipt?.run)
  expect(ended?.data.redactions).toBe(1)
  const stored = join(core.dir, 'outputs', receipt?.run as string)
  expect(existsSync(stored)).toBe(true)
  core.forward(3 * 86_400_000)
  await until(() => !existsSync(stored), 'it is deleted')
  const carol = await core.as('carol', true)
  const {entries} = await carol.client.call(api.auditEntries, {type: 'output.erased', subject: receipt?.run as string})
  expect(JSON.parse(entries[0]?.envelope as string)).toMatchObject({data: {days: 2}})
})
