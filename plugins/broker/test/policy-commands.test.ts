import {spawn} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {sealEvent} from '@prod/sdk/log/envelope'
import {keepCode, lendCode} from '@prod/sdk/testing/kept-code'
import {expect, test} from 'vitest'
import {writeFiles, writeFolder} from './policy-folder.ts'

const cli = join(import.meta.dirname, '../../../bin/run.js')

/** Runs one command as it is shipped. Needs `npm run build`. */
async function prod(argv: string[], input = ''): Promise<{status: number | null; stdout: string; stderr: string}> {
  const home = mkdtempSync(join(tmpdir(), 'prod-home-'))
  const child = spawn(process.execPath, [cli, ...argv], {env: {PATH: '/usr/bin:/bin', HOME: home, ...lendCode(home)}})
  child.stdin.end(input)
  const [stdout, stderr, status] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>(resolve => child.once('close', resolve)),
  ])
  keepCode(home)
  rmSync(home, {recursive: true, force: true})
  return {status, stdout, stderr}
}

test('init writes a folder that check and test accept, and does not write over one', async ({onTestFinished}) => {
  const {dir} = writeFolder(onTestFinished)
  const made = join(dir, 'made')
  expect(await prod(['policy', 'init', made])).toMatchObject({status: 0, stdout: `${join(made, 'catalog')}\n${join(made, 'policy')}\n`})
  expect(await prod(['policy', 'check', '--dir', made])).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^4 tools, 7 tests, bundle [0-9a-f]{64}: a broker would load it\n$/),
  })
  expect(await prod(['policy', 'test', '--dir', made])).toMatchObject({status: 0, stdout: '', stderr: 'prod: 7 of 7 tests hold\n'})
  expect(await prod(['policy', 'init', made])).toMatchObject({status: 241, stdout: '', stderr: expect.stringContaining('is there already')})
})

test('check and test end with 1 and name what is wrong; --json is one document', async ({onTestFinished}) => {
  const {dir} = writeFolder(onTestFinished)
  writeFiles(dir, {'policy/global/typo.cedar': 'permit (principal, action, resource is unit::restart) when { resource.unt == "x" };\n'})
  const checked = await prod(['policy', 'check', '--dir', dir, '--dev'])
  expect(checked).toMatchObject({
    status: 1,
    stdout: expect.stringContaining(
      'policy/global/typo.cedar:1:62 attribute `unt` on entity type `unit::restart` not found (did you mean `unit`?)',
    ),
  })
  const json = await prod(['policy', 'check', '--dir', dir, '--json'])
  expect(json.status).toBe(1)
  expect(JSON.parse(json.stdout)).toMatchObject({ok: false, findings: [{file: 'policy/global/typo.cedar', line: 1, column: 62}]})

  writeFiles(dir, {
    'policy/global/typo.cedar': null,
    'policy/tests/a.yaml': '- {principal: a, groups: [engineers], argv: [unit, status, x], expect: deny}\n',
  })
  expect(await prod(['policy', 'test', '--dir', dir])).toMatchObject({
    status: 1,
    stdout: expect.stringContaining('expected deny, is allow by global/unit.cedar:1'),
    stderr: 'prod: 0 of 1 tests hold\n',
  })
})

test('TM-K3: explain answers for one command; our options stop at the tool', async ({onTestFinished}) => {
  const {dir} = writeFolder(onTestFinished)
  const as = ['policy', 'explain', '--dir', dir, '--as', 'alice', '--groups', 'engineers']
  const json = await prod([...as, '--on', 'web-1', '--json', 'unit', 'status', '--no-pager', 'nginx'])
  expect(JSON.parse(json.stdout)).toMatchObject({
    decision: 'allow',
    rules: ['global/unit.cedar:1'],
    approvals: 0,
    approvers: [],
    structure: {arguments: {unit: ['nginx']}},
  })
  expect(await prod([...as, '--on', 'local', 'unit', 'restart', 'payments-api'])).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(
      /^request, after 1 by sre-leads\nrule global\/unit\.cedar#restart-payments\n {2}unit restart .*\n {4}UNIT +payments-api .*\non local/,
    ),
  })
  expect((await prod([...as, '--on', 'local', 'unit', 'restart', 'x', '--json'])).stdout).toMatch(
    /^deny\n {2}unit restart x --json\n {17}\^\^\^\^\^\^\nargument 3 of unit/,
  )
  expect(await prod(['policy', 'explain', '--dir', dir, 'unit'])).toMatchObject({
    status: 241,
    stderr: expect.stringContaining('who would ask is missing'),
  })
})

test('TM-K3: explain --batch answers line by line, whatever the lines are', async ({onTestFinished}) => {
  const {dir} = writeFolder(onTestFinished)
  const alice = {principal: 'alice', groups: ['engineers'], target: 'local'}
  const lines = [
    JSON.stringify({...alice, argv: ['unit', 'status', 'x']}),
    JSON.stringify({...alice, argv: ['unit', 'restart', 'payments-api']}),
    JSON.stringify({...alice, argv: ['unit', 'restart', '--force', 'payments-api']}),
    JSON.stringify({...alice, argv: []}),
    JSON.stringify({...alice, argv: ['bash', '-c', 'id']}),
    JSON.stringify({...alice, argv: ['unit', 'status', 'x'], target: null}),
    'not json',
    '[]',
    JSON.stringify({...alice, argv: ['unit'], reason: 'x'}),
    JSON.stringify({principal: 'alice', groups: 'engineers', argv: ['unit']}),
  ]
  const {status, stdout} = await prod(['policy', 'explain', '--json', '--batch', '--dir', dir], `${lines.join('\n')}\n`)
  const answers = stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  expect(status).toBe(0)
  expect(answers.map(({decision}) => decision)).toEqual(['allow', 'request', ...Array(8).fill('deny')])
  expect(answers[1]).toMatchObject({approvals: 1, approvers: ['sre-leads'], rules: ['global/unit.cedar#restart-payments']})
  expect(answers.map(({position}) => position)).toEqual([
    undefined,
    undefined,
    2,
    0,
    0,
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ])
  expect(answers[5].message).toContain('several targets')
  for (const answer of answers)
    expect(Object.keys(answer)).toEqual(expect.arrayContaining(['structure', 'decision', 'rules', 'approvals', 'approvers']))
})

test('TM-K3: TM-D4: where no folder is named and none is here, explain answers from the shipped library', async () => {
  const lines = [
    ['kubectl', 'get', 'pods', '-n', 'payments'],
    ['kubectl', 'get', 'secrets'],
  ].map(argv => JSON.stringify({principal: 'alice', groups: ['engineers'], argv}))
  const {status, stdout} = await prod(['policy', 'explain', '--batch'], `${lines.join('\n')}\n`)
  expect(status).toBe(0)
  expect(
    stdout
      .trimEnd()
      .split('\n')
      .map(line => (JSON.parse(line) as {decision: string}).decision),
  ).toEqual(['allow', 'deny'])
})

test('TM-G1: TM-P3: a bundle goes from folder to signature by commands alone, and diff ends with 1 when it allows more', async ({
  onTestFinished,
}) => {
  const {dir} = writeFolder(onTestFinished)
  const made = join(dir, 'made')
  const [key, old, next] = [join(dir, 'ops.key'), join(dir, 'old.bundle'), join(dir, 'next.bundle')]
  expect(await prod(['policy', 'init', made, '--tools', 'df', '--look', 'lookers'])).toMatchObject({
    status: 0,
    stderr: expect.stringContaining('lookers may look, and nothing else is allowed yet'),
  })
  expect(await prod(['policy', 'keygen', '--name', 'ops', '--out', key])).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^ops\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{44}\n$/),
  })
  expect(await prod(['policy', 'build', '--dir', made, '--out', old, '--version', '1', '--at', '2026-01-31T12:00:00Z'])).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/old\.bundle: version 1, \d+ files, bundle [0-9a-f]{64}\n$/),
  })
  const signed = JSON.parse((await prod(['policy', 'sign', old, '--key', key, '--json'])).stdout) as {by: string; version: number}
  expect(signed).toMatchObject({by: 'ops', version: 1})

  writeFiles(made, {
    'policy/global/more.cedar': '@id("more")\npermit (principal in Group::"others", action == Action::"run", resource is df::run);\n',
    'policy/tests/more.yaml': '- { principal: zoe, groups: [others], argv: [df, -h], expect: allow }\n',
  })
  expect(await prod(['policy', 'build', '--dir', made, '--out', next, '--version', '2'])).toMatchObject({status: 0})
  expect(await prod(['policy', 'diff', old, next])).toMatchObject({
    status: 1,
    stdout: 'wider: zoe (others): df -h: deny → allow by global/more.cedar#more\n',
    stderr: expect.stringContaining('1 decided wider, 0 narrower'),
  })
  expect(await prod(['policy', 'diff', next, old])).toMatchObject({status: 0, stdout: expect.stringMatching(/^narrower: zoe/)})
  expect(await prod(['policy', 'diff', old])).toMatchObject({status: 241})
  writeFiles(made, {'policy/global/open.cedar': '@id("open")\npermit (principal, action, resource);\n'})
  expect(await prod(['policy', 'build', '--dir', made, '--out', next])).toMatchObject({
    status: 241,
    stderr: expect.stringContaining('open-action: permits every action'),
  })
})

test('TM-P3: diff reads an export of the log, and takes what was decided then where the new bundle stands alone', async ({
  onTestFinished,
}) => {
  const {dir} = writeFolder(onTestFinished)
  const made = join(dir, 'made')
  await prod(['policy', 'init', made, '--tools', 'df', '--look', 'lookers'])
  const entry = (index: number, type: string, groups: string[], data: object, time: string) =>
    JSON.stringify({
      index,
      leaf: '',
      ...sealEvent(
        {type, by: 'zoe', subject: 'req_1', data: {kind: 'exec', ...data}, personal: {argv: ['df', '-h'], target: 'local', groups}},
        {index, time, instance: 'a', random: randomBytes},
      ),
    })
  const now = new Date().toISOString()
  const file = join(dir, 'log.jsonl')
  writeFileSync(
    file,
    [
      entry(0, 'request.refused', ['lookers'], {}, now),
      entry(1, 'request.refused', ['lookers'], {}, '2020-01-01T00:00:00.000Z'),
      entry(2, 'request.created', ['others'], {decision: 'allow', rules: ['old']}, now),
      '{"checkpoint":""}',
    ].join('\n'),
  )
  const {status, stdout} = await prod(['policy', 'diff', made, '--export', file, '--json'])
  expect(status).toBe(1)
  expect(JSON.parse(stdout)).toMatchObject({
    questions: 2,
    wider: [{what: 'zoe (lookers): df -h', before: {decision: 'deny'}, after: {decision: 'allow'}, times: 1}],
    narrower: [{what: 'zoe (others): df -h', before: {decision: 'allow'}, after: {decision: 'deny'}}],
  })
})
