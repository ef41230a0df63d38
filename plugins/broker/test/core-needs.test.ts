import {mkdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {ApprovalDocument} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type Core, codeOf, type Person, startCore} from './core.ts'

const ends: (() => Promise<void> | void)[] = []
let core: Core
let alice: Person
beforeAll(async () => {
  core = await startCore(end => ends.push(end))
  alice = await core.as('alice')
  mkdirSync(join(core.dir, 'data/deep'), {recursive: true})
  writeFileSync(join(core.dir, 'data/log'), 'a line\n')
  symlinkSync('/etc/hostname', join(core.dir, 'data/link'))
  const data = realpathSync(join(core.dir, 'data'))
  await core.change(
    'catalog/tools/show.yaml',
    `kind: Tool
name: show
summary: one file of the data folder
program: ${realpathSync('/usr/bin/cat')}
run: { primitive: host, target: local }
class: read
needs: { reads: [${data}] }
workdir: ${data}
commands:
  - { path: [], class: read, operands: [{ name: file, type: { type: path, below: [${data}] } }] }
`,
  )
  const file = 'policy/global/job.cedar'
  const rules = readFileSync(join(core.dir, file), 'utf8')
  await core.change(
    file,
    `${rules}@id("show")\npermit (principal in Group::"engineers", action == Action::"run", resource in Tool::"show");\n`,
  )
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

test('TM-H14: a path in argv is what the grammar says it is, or nothing is run', async () => {
  const at = (name: string) => join(realpathSync(core.dir), 'data', name)
  expect((await alice.exec(['show', at('log')]).done).stdout.toString()).toBe('a line\n')
  // a link out of the folder, a directory, and what the text alone forbids
  for (const path of [at('link'), at('deep'), at('../people.json'), '/etc/hostname'])
    expect(await codeOf(alice.exec(['show', path]).done), path).toBe('ARGV_REFUSED')
})

test('TM-H9, TM-W1: what a program may reach and where it starts is in the document', async () => {
  const {receipt} = await alice.exec(['show', join(realpathSync(core.dir), 'data/log')]).done
  const [row] = (await core.events('run.started')).filter(({subject}) => subject === receipt?.run)
  const {document} = await alice.client.call(api.requestDocument, {id: row?.data.request as string})
  const data = join(realpathSync(core.dir), 'data')
  expect(JSON.parse(document) as ApprovalDocument).toMatchObject({
    cwd: data,
    needs: {network: false, processes: false, reads: [data], writes: []},
  })
})
