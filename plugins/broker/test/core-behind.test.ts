import type {ApprovalDocument} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import type {ProdError} from '@prod/sdk/errors'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type Core, codeOf, type Person, people, startCore} from './core.ts'

const tool = (name: string, command: string): string =>
  `kind: Tool\nname: ${name}\nsummary: for tests\nprogram: /usr/bin/${name}\nrun: { primitive: host, target: local }\nretention: full\ncommands:\n  - { path: [], ${command} }\n`

const files = {
  'catalog/tools/timeout.yaml': tool(
    'timeout',
    'class: read, operands: [{ name: seconds, type: { type: integer, min: 1, max: 60 } }, { name: command, type: { type: command, tools: [printenv, touch, timeout, chmod] } }]',
  ),
  'catalog/tools/printenv.yaml': tool(
    'printenv',
    'class: read, operands: [{ name: variable, type: { type: enum, values: [PATH, LANG] } }]',
  ),
  'catalog/tools/touch.yaml': tool(
    'touch',
    'class: change, operands: [{ name: file, type: { type: enum, values: [/dev/null] }, lock: true }]',
  ),
  'catalog/tools/chmod.yaml': tool(
    'chmod',
    'class: change, operands: [{ name: mode, type: { type: enum, values: [a-hidden-mode] } }, { name: file, type: { type: enum, values: [/dev/null] } }]',
  ),
  'people.json': JSON.stringify({...people, ivy: {groups: ['interns']}}),
  'policy/global/behind.cedar': `permit (principal in Group::"engineers", action == Action::"run", resource in Tool::"timeout");
permit (principal in Group::"engineers", action == Action::"run", resource in Tool::"printenv");
permit (principal in Group::"engineers", action == Action::"request", resource in Tool::"touch");
permit (principal in Group::"sre-leads", action == Action::"approve", resource in Tool::"touch");
permit (principal in Group::"interns", action == Action::"run", resource in Tool::"timeout");
@id("timeout-approve")
permit (principal in Group::"sre-leads", action == Action::"approve", resource in Tool::"timeout");
`,
}

const ends: (() => Promise<void> | void)[] = []
let core: Core
let alice: Person
let bob: Person
beforeAll(async () => {
  core = await startCore(end => ends.push(end), {files})
  ;[alice, bob] = await Promise.all([core.as('alice'), core.as('bob')])
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

test('TM-H13 TM-H5: a command behind another runs as typed, found in the one folder that its definition names', async () => {
  const {stdout, end, receipt} = await alice.exec(['timeout', '9', 'timeout', '9', 'printenv', 'PATH']).done
  expect(stdout.toString()).toBe('/usr/bin\n')
  expect(end).toMatchObject({exit: {status: 0}})
  expect(receipt).toMatchObject({tool: 'timeout', argv: ['timeout', '9', 'timeout', '9', 'printenv', 'PATH']})
  // alone it has the fixed path of every program
  expect((await alice.exec(['printenv', 'PATH']).done).stdout.toString()).toContain('/usr/local/bin')
})

test('TM-H13 TM-W6: a change behind another waits for its approval, and the approver sees both programs', async () => {
  const run = alice.exec(['timeout', '9', 'touch', '/dev/null'])
  const {request, approvers} = await run.message('waiting')
  expect(approvers).toEqual(['bob'])
  const text = (await bob.client.call(api.requestDocument, {id: request})).document
  const document = JSON.parse(text) as ApprovalDocument
  expect(document).toMatchObject({
    class: 'change',
    tool: 'timeout',
    argv: ['timeout', '9', 'touch', '/dev/null'],
    env: {PATH: '/usr/bin'},
    behind: [
      {tool: 'touch', argv: ['touch', '/dev/null'], program: {path: '/usr/bin/touch', sha256: expect.stringMatching(/^[0-9a-f]{64}$/)}},
    ],
  })
  await bob.approve(request)
  expect((await run.done).end).toMatchObject({exit: {status: 0}})
})

test('TM-H13: what stands behind is refused by its own definition and its own rules, before anything starts', async () => {
  for (const [argv, code] of [
    [['timeout', '9', 'sh', '-c', 'id'], 'ARGV_REFUSED'],
    [['timeout', '9', 'printenv', 'HOME'], 'ARGV_REFUSED'],
    [['timeout', '9', 'printenv', 'PATH', 'LANG'], 'ARGV_REFUSED'],
    [['timeout', '9', 'touch', '/etc/passwd'], 'ARGV_REFUSED'],
  ] as [string[], string][])
    expect([argv, await codeOf(alice.exec(argv).done)]).toEqual([argv, code])
  // who may only approve what stands in front does not even see the request
  await core.change('policy/global/behind.cedar', files['policy/global/behind.cedar'].replace(/^.*"approve".*Tool::"touch".*\n/m, ''))
  const run = alice.exec(['timeout', '9', 'touch', '/dev/null'], {wait: false})
  const {request} = await run.message('pending')
  expect(await codeOf(bob.approve(request))).toBe('REQUEST_NOT_FOUND')
})

test('TM-A6 TM-K3: of a command behind another nothing is told to who may not know of it, however it is typed', async () => {
  const ivy = await core.as('ivy')
  const refused = async (...behind: string[]) => {
    const error = await ivy.exec(['timeout', '9', ...behind], {wait: false}).done.catch((thrown: unknown) => thrown)
    const {code, message, hint} = error as ProdError
    return {code, message, hint}
  }
  const right = await refused('chmod', 'a-hidden-mode', '/dev/null')
  expect(right.code).toBe('ARGV_REFUSED')
  for (const words of [['chmod'], ['chmod', 'x'], ['chmod', '--help'], ['timeout', '9', 'chmod', 'x']])
    expect((await refused(...words)).message).not.toMatch(/hidden-mode|mode|dev\/null|denied/i)
  expect(await refused('chmod', 'x')).toEqual(right)
  // the log has why
  expect((await core.events('request.refused')).at(-1)?.data).toMatchObject({unseen: true})
})
