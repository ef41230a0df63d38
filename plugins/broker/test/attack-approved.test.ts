/** What is approved, and bounds that stand in one definition, against another definition in front of it or one that changes. */
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {DatabaseSync} from 'node:sqlite'
import type {ApprovalDocument} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {expect, test} from 'vitest'
import {defaults} from '../src/config.ts'
import {makePlan} from '../src/requests/plan.ts'
import type {Draft} from '../src/requests/state.ts'
import {codeOf, type Person, type Run, startCore} from './core.ts'
import {load} from './policy-folder.ts'

const command = (name: string, more: string, inner = ''): Record<string, string> => ({
  [`catalog/tools/${name}.yaml`]: `kind: Tool
name: ${name}
summary: for tests
program: /usr/bin/${name}
run: { primitive: host, targets: [local, web-1, pay-1], as: ops }
commands:
  - { path: [], ${more}${inner === '' ? '' : `, operands: [{ name: command, type: { type: command, tools: [${inner}] } }]`} }
`,
})

test('TM-F2, TM-H13: a command behind another runs on no more targets at once than its own definition says', async ({onTestFinished}) => {
  const many = (argv: string[], targets: string[]): Draft => ({
    kind: 'exec',
    argv,
    target: null,
    many: {on: ['all'], targets},
    reason: 'because this test wants it',
    incident: null,
    startAt: null,
    stdin: null,
  })
  const bundle = await load(onTestFinished, {
    ...command('sync', 'class: read, rollout: { maxTargets: 2, batch: 1, pause: 30s, stopOnError: true }'),
    ...command('nice', 'class: read', 'sync'),
    ...command('wide', 'class: change, rollout: { batch: 3, stopOnError: false }', 'sync'),
  })
  for (const front of ['nice', 'wide']) {
    expect(() => makePlan(bundle, many([front, 'sync'], ['local', 'pay-1', 'web-1']))).toThrow(/at most 2 of the 3/)
    expect(makePlan(bundle, many([front, 'sync'], ['local', 'pay-1'])).rollout).toEqual({
      on: ['all'],
      batch: 1,
      pauseSeconds: 30,
      stopOnError: true,
    })
  }
})

test('TM-W1, TM-E8: what is taken out of the output is part of what is approved', async ({onTestFinished}) => {
  const core = await startCore(onTestFinished)
  const [alice, bob] = await Promise.all([core.as('alice'), core.as('bob')])
  const name = 'catalog/tools/job.yaml'
  const plain = readFileSync(`${core.dir}/${name}`, 'utf8')
  await core.change(name, `${plain}redact: { patterns: ['cust-\\d+'], fields: [email], columns: { positions: [2] } }\n`)
  const {request} = await alice.exec(['job', 'note', 'x'], {wait: false}).message('pending')
  const {document} = await bob.client.call(api.requestDocument, {id: request})
  expect((JSON.parse(document) as ApprovalDocument).redact).toEqual({
    patterns: ['cust-\\d+'],
    fields: ['email'],
    columns: {separator: null, names: [], positions: [2]},
  })
  await bob.approve(request)
  await core.change(name, plain)
  expect(await codeOf(alice.attach(request).done)).toBe('APPROVAL_VOID')
})

/** Breaks glass for a note; what is asked to be typed is typed. */
function loud(person: Person, word: string): Run {
  const run = person.exec(['job', 'note', word], {
    breakGlass: {confirmed: null},
    incident: 'INC-1234',
    reason: 'the queue is stuck and customers wait',
  })
  run.onMessage(message => {
    if (message.type === 'confirm') void run.connection.then(link => link.send({type: 'confirmed', text: message.text}))
  })
  return run
}

test('TM-O2, TM-P4: for what a second person agreed is signed: a row that says they stand in for the alerts too is void', async ({
  onTestFinished,
}) => {
  const core = await startCore(onTestFinished, {settings: {places: ['203.0.113.0/24']}})
  const [alice, bob] = [await core.as('alice'), await core.as('bob')]
  const run = loud(alice, 'from-elsewhere')
  const {request} = await run.message('waiting')
  const {document} = await bob.client.call(api.requestDocument, {id: request})
  const why = 'it does not come from a listed place'
  expect(JSON.parse(document) as ApprovalDocument).toMatchObject({breakGlass: true, secondPerson: why})
  ;(await run.connection).close()
  await run.done.catch(() => {})
  await bob.approve(request)
  const db = new DatabaseSync(join(core.dir, 'broker.sqlite'), {timeout: 5000})
  db.prepare("UPDATE records SET value = json_set(value, '$.secondPerson', ?) WHERE id = ?").run(
    `${why}, and its alerts were not accepted`,
    request,
  )
  db.close()
  expect(await codeOf(alice.attach(request).done)).toBe('APPROVAL_VOID')
})

test('TM-O5: a review that one account of a person owes hinders the other accounts of that person', async ({onTestFinished}) => {
  const core = await startCore(onTestFinished, {settings: {breakGlass: {...defaults.breakGlass, reviewDueHours: 0}}})
  const [alice, other] = [await core.as('alice'), await core.as('alice.admin')]
  expect((await loud(alice, 'first').done).end?.exit).toEqual({status: 0})
  const {summary} = await loud(other, 'second').message('waiting')
  expect(summary).toMatch(/still waits for its review$/)
})
