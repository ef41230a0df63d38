import {Readable} from 'node:stream'
import {expect, test} from 'vitest'
import {checkBundle} from '../src/policy/bundle.ts'
import {type ExplainQuestion, explain, explainArgv, type PolicyExplanation} from '../src/policy/explain.ts'
import {explainLines} from '../src/policy/explain-lines.ts'
import {explainInWords} from '../src/policy/explain-words.ts'
import type {Bundle} from '../src/policy/policy.ts'
import {writeFolder} from './policy-folder.ts'

const tool = (name: string, commands: string, more = ''): string =>
  `kind: Tool\nname: ${name}\nsummary: a tool for tests\nprogram: /usr/bin/${name}\nrun: { primitive: host, target: local, as: ops }\n${more}commands:\n${commands}`

/** The company, with programs that run others' commands. */
const behind: Record<string, string> = {
  'catalog/tools/service.yaml': tool(
    'service',
    '  - { path: [status], class: read, operands: [{ name: unit, type: unit-name }] }\n  - { path: [restart], class: change, operands: [{ name: unit, type: unit-name, lock: true }], approvals: 2 }\n  - { path: [mask], class: admin, operands: [{ name: unit, type: unit-name }] }\n',
  ),
  'catalog/tools/timeout.yaml': tool(
    'timeout',
    '  - { path: [], class: read, dashes: allowed, operands: [{ name: seconds, type: { type: integer, min: 1, max: 60 } }, { name: command, type: { type: command, tools: [service, nice] } }] }\n',
  ),
  'catalog/tools/nice.yaml': tool(
    'nice',
    '  - { path: [], class: read, options: { -n: { value: integer, required: true } }, operands: [{ name: command, type: { type: command, tools: [service, timeout] } }] }\n',
  ),
  'policy/global/behind.cedar': `@id("wrap")
permit (principal in Group::"engineers", action == Action::"run", resource) when { resource in [Tool::"timeout", Tool::"nice"] };
@id("look")
permit (principal in Group::"engineers", action == Action::"run", resource is service::status);
@id("restart")
permit (principal in Group::"engineers", action == Action::"request", resource is service::restart);
@id("no-ledger")
forbid (principal, action, resource is service::status) when { resource.unit == "ledger" };
@id("leads")
permit (principal in Group::"sre-leads", action == Action::"approve", resource) when { resource in [Tool::"timeout", Tool::"nice", Tool::"service"] };
@id("half")
permit (principal in Group::"web-leads", action == Action::"approve", resource in Tool::"timeout");
`,
}

async function load(onFinished: (fn: () => void) => void, changes: Record<string, string | null> = {}): Promise<Bundle> {
  const {bundle, findings} = await checkBundle(writeFolder(onFinished, {...behind, ...changes}).options)
  if (!bundle) throw new Error(JSON.stringify(findings))
  return bundle
}

const ask = (bundle: Bundle, ...argv: string[]): PolicyExplanation => explainArgv(bundle, {principal: 'alice', groups: ['engineers'], argv})

async function answersTo(bundle: Bundle, ...chunks: (string | Buffer)[]): Promise<string> {
  let text = ''
  for await (const piece of explainLines(bundle, Readable.from(chunks, {objectMode: true}))) text += piece
  return text
}

const question = (argv: string[]): string => JSON.stringify({principal: 'alice', groups: ['engineers'], argv})

test('TM-H13: a command behind another is its own use: the stricter decision holds, the larger number of approvals, and all rules are named', async ({
  onTestFinished,
}) => {
  const bundle = await load(onTestFinished)
  expect(ask(bundle, 'timeout', '5', 'service', 'status', 'nginx')).toMatchObject({
    decision: 'allow',
    rules: ['global/behind.cedar#wrap', 'global/behind.cedar#look'],
    structure: {tool: 'timeout', class: 'read', inner: {tool: 'service', path: ['status'], arguments: {unit: ['nginx']}}},
  })
  expect(ask(bundle, 'timeout', '5', 'nice', '-n', '3', 'service', 'restart', 'nginx')).toMatchObject({
    decision: 'request',
    approvals: 2,
    approvers: ['sre-leads'],
    rules: ['global/behind.cedar#wrap', 'global/behind.cedar#restart'],
    structure: {locks: ['nginx'], inner: {inner: {class: 'change'}}},
  })
  const ledger = ask(bundle, 'timeout', '5', 'service', 'status', 'ledger')
  expect(ledger).toMatchObject({decision: 'deny', rules: ['global/behind.cedar#no-ledger']})
  expect(ledger.message).toBe('you may not run service status on local behind timeout: rule global/behind.cedar#no-ledger forbids it')
  expect(ask(bundle, 'timeout', '5', 'service', 'mask', 'nginx')).toMatchObject({decision: 'deny', rules: []})
})

test('TM-H13: what the tool behind does not allow is refused at its place in the whole line, whatever stands before it', async ({
  onTestFinished,
}) => {
  const bundle = await load(onTestFinished)
  for (const [position, ...argv] of [
    [2, 'timeout', '5', 'sh', '-c', 'id'],
    [2, 'timeout', '5', '/usr/bin/service', 'status', 'x'],
    [2, 'timeout', '5'],
    [5, 'timeout', '5', 'service', 'status', 'nginx', '--force'],
    [5, 'timeout', '5', 'nice', '-n', '3'],
    [5, 'timeout', '5', 'nice', '-n', '3', 'sh'],
    [3, 'timeout', '5', 'nice', 'service', 'status', 'x'],
    [2, 'timeout', '5', '--', 'service', 'status', 'x'],
    // four behind one another
    [10, 'timeout', '1', 'nice', '-n', '1', 'timeout', '1', 'nice', '-n', '1', 'service', 'status', 'x'],
  ] as [number, ...string[]][])
    expect([argv.join(' '), ask(bundle, ...argv)]).toMatchObject([argv.join(' '), {decision: 'deny', position}])
})

test.each([
  [{'catalog/tools/service.yaml': null}, 'there is no tool service in the catalog'],
  [{'catalog/tools/service.yaml': behind['catalog/tools/service.yaml']?.replace('as: ops', 'as: root')}, 'runs under another account'],
  [
    {'catalog/tools/service.yaml': behind['catalog/tools/service.yaml']?.replace('/usr/bin/service', '/usr/bin/systemctl')},
    'would be started by its name',
  ],
  [
    {'catalog/tools/service.yaml': behind['catalog/tools/service.yaml']?.replace('/usr/bin/service', '/opt/bin/service')},
    'lie in several directories',
  ],
  [
    {'catalog/tools/service.yaml': behind['catalog/tools/service.yaml']?.replace('target: local', 'target: web-1')},
    'does not run on every target',
  ],
  [
    {'catalog/tools/service.yaml': behind['catalog/tools/service.yaml']?.replace('commands:', 'env: { A: b }\ncommands:')},
    'an environment of its own',
  ],
  [
    {'catalog/tools/service.yaml': behind['catalog/tools/service.yaml']?.replace('commands:', 'workdir: /srv/app\ncommands:')},
    'service has other `workdir` than timeout',
  ],
  [
    {'catalog/tools/service.yaml': behind['catalog/tools/service.yaml']?.replace('commands:', 'adds: [-q]\ncommands:')},
    'adds arguments to service',
  ],
  [
    {'catalog/tools/service.yaml': behind['catalog/tools/service.yaml']?.replace('approvals: 2', 'limit: { perTarget: 1, per: 10m }')},
    'runs of service are counted',
  ],
  [
    {
      'catalog/tools/service.yaml': behind['catalog/tools/service.yaml']?.replace(
        'type: unit-name }] }',
        'type: { type: string, secret: true } }] }',
      ),
    },
    'service takes secrets',
  ],
] as [Record<string, string | null>, string][])(
  'TM-H13: a tool that could not be behind another as it is by itself is a finding (%#)',
  async (changes, message) => {
    const finished: (() => void)[] = []
    const {findings} = await checkBundle(
      writeFolder(fn => finished.push(fn), {...behind, 'policy/global/behind.cedar': null, ...changes}).options,
    )
    for (const fn of finished) fn()
    expect(findings.map(finding => finding.message).join('\n')).toContain(message)
  },
)

test('TM-H13 TM-H11: a tool in front has the stricter of the limits, and keeps no more output than those behind it', async ({
  onTestFinished,
}) => {
  const bundle = await load(onTestFinished, {
    'catalog/tools/service.yaml': `${behind['catalog/tools/service.yaml']}limits: { wallSeconds: 20 }\nretention: none\n`,
    'catalog/tools/timeout.yaml': `${behind['catalog/tools/timeout.yaml']}limits: { wallSeconds: 30, cpuSeconds: 7 }\nretention: full\n`,
  })
  expect(bundle.catalog.tools.get('timeout')).toMatchObject({limits: {wallSeconds: 20, cpuSeconds: 7}, retention: 'none'})
})

test('an example that its command does not allow is a finding with its place', async ({onTestFinished}) => {
  const commands =
    '  - { path: [], class: read, operands: [{ name: n, type: integer }], examples: ["count 5", "count five", "count \'5", "count 5 6"] }\n'
  const {findings} = await checkBundle(writeFolder(onTestFinished, {'catalog/tools/count.yaml': tool('count', commands)}).options)
  expect(findings.map(({path, message}) => `${path}: ${message}`)).toEqual([
    'commands[0].examples[1]: argument 1: "five" is not a N',
    'commands[0].examples[2]: a quote is not closed',
    'commands[0].examples[3]: argument 2: "6" is one argument too many',
  ])
})

test('TM-K3 TM-H6: each line has its answer, in its place: bad ones, empty ones, words that no program may get', async ({
  onTestFinished,
}) => {
  const bundle = await load(onTestFinished)
  const good = question(['service', 'status', 'nginx'])
  const lines = [
    good,
    '',
    question(['service', 'status', 'a\0b']),
    '{"principal":"alice","groups":["engineers"],"argv":["service","status","\\ud800"]}',
    question([]),
    question(['']),
    '{"principal":"alice","groups":["engineers"],"argv":["service","status",7]}',
    '{"principal":"alice","groups":["engineers"],"argv":["service\u2028x","status","nginx"]}',
    `{"principal":"${'x'.repeat(300_000)}"}`,
    'null',
    `${good}\r`,
  ]
  const text = await answersTo(bundle, Buffer.from(lines.join('\n')), '\n', Buffer.from([0x7b, 0xff, 0x7d]), '\n', good)
  expect(text.endsWith('}\n')).toBe(true)
  const answers = text
    .slice(0, -1)
    .split('\n')
    .map(line => JSON.parse(line) as PolicyExplanation)
  expect(answers.map(({decision}) => decision)).toEqual(['allow', ...Array(9).fill('deny'), 'allow', 'deny', 'allow'])
  expect(answers.map(({position}) => position ?? null)).toEqual([null, null, 2, 2, 0, 0, null, 0, null, null, null, null, null])
  for (const answer of answers)
    expect(Object.keys(answer)).toEqual(expect.arrayContaining(['structure', 'decision', 'rules', 'approvals', 'approvers']))
  expect(await answersTo(bundle)).toBe('')
})

test('TM-K3: lines are answered the same however they are cut into pieces', async ({onTestFinished}) => {
  const bundle = await load(onTestFinished)
  const bytes = Buffer.from(`${[question(['service', 'status', 'é']), 'x', '', question(['nope'])].join('\n')}\n`)
  const whole = await answersTo(bundle, bytes)
  expect(whole.split('\n')).toHaveLength(5)
  for (const size of [1, 2, 7, 64])
    expect(
      await answersTo(
        bundle,
        ...Array.from({length: Math.ceil(bytes.length / size)}, (_, at) => bytes.subarray(at * size, at * size + size)),
      ),
    ).toBe(whole)
})

test('TM-K3: ten thousand lines go through one process in little memory', async ({onTestFinished}) => {
  const bundle = await load(onTestFinished)
  const chunk = Buffer.from(`${Array.from({length: 500}, (_, at) => question(['service', 'halt', `unit-${at}`])).join('\n')}\n`)
  let lines = 0
  let largest = 0
  for await (const text of explainLines(bundle, Readable.from(Array(20).fill(chunk)))) {
    lines += text.split('\n').length - 1
    largest = Math.max(largest, text.length)
  }
  expect(lines).toBe(10_000)
  expect(largest).toBeLessThan(70_000)
})

const words = (bundle: Bundle, argv: string[], groups = ['engineers']): string[] => {
  const asked: ExplainQuestion = {principal: 'alice', groups, argv}
  return explainInWords(bundle, asked, explain(bundle, asked))
}

test('TM-M3: a person sees the line with a mark under the argument that is wrong, and what would be allowed there', async ({
  onTestFinished,
}) => {
  const bundle = await load(onTestFinished)
  expect(words(bundle, ['timeout', '5', 'service', 'status', 'a b', 'x'])).toEqual([
    'deny',
    "  timeout 5 service status 'a b' x",
    '                           ^^^^^',
    'argument 4 of timeout: "a b" is not a UNIT',
    'allowed here:',
    '  UNIT: the name of a unit, such as nginx or nginx.service',
  ])
  expect(words(bundle, ['timeout', '5']).slice(0, 4)).toEqual([
    'deny',
    '  timeout 5',
    '            ^',
    'argument 2 of timeout: COMMAND is missing',
  ])
  expect(words(bundle, ['timeou', '5'])).toEqual([
    'deny',
    '  timeou 5',
    '  ^^^^^^',
    'there is no tool "timeou" in the catalog',
    'allowed here:',
    '  timeout',
    'next: prod tools',
  ])
  // a long line is shown from some words before on; nothing in it acts on the terminal
  const long = words(bundle, ['service', ...Array.from({length: 60}, () => 'statusstatus'), '\x1b[2J'])
  expect(long[1]).toMatch(/^ {2}… statusstatus .* \$'\\x1b\[2J'$/)
  expect(long.join('')).not.toContain('\x1b')
})

test('a person sees how the line was read: each option and operand by its name, with its value and what that is', async ({
  onTestFinished,
}) => {
  const bundle = await load(onTestFinished)
  expect(words(bundle, ['timeout', '5', 'nice', '-n', '3', 'service', 'restart', 'nginx'])).toEqual([
    'request, after 2 by sre-leads',
    'rule global/behind.cedar#wrap',
    'rule global/behind.cedar#restart',
    '  timeout                     class read',
    '    SECONDS            5      an integer from 1 to 60',
    '    COMMAND                   judged by its own definition, as follows',
    '    nice                      class read',
    '      -n               3      an integer from 0',
    '      COMMAND                 judged by its own definition, as follows',
    '      service restart         class change',
    '        UNIT           nginx  the name of a unit, such as nginx or nginx.service',
    'on local (production)',
  ])
})
