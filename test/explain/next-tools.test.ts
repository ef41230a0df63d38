/**
 * Whatever stands in a message, the next commands are whole words to a shell and nothing but the command that was meant: read by `sh`, by grammars of
 * ours for each of the tools, and by the tools themselves where they are on this machine.
 */
import {spawnSync} from 'node:child_process'
import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {delimiter, join} from 'node:path'
import {explain} from '@prod/sdk/explain/explain'
import {nextCommands} from '@prod/sdk/explain/next'
import {type Category, categories} from '@prod/sdk/explainer'
import {checkGrammar} from '@prod/sdk/grammar/check'
import type {Grammar, OptionGrammar, ValueType} from '@prod/sdk/grammar/grammar'
import {parse} from '@prod/sdk/grammar/parse'
import {afterAll, expect, test} from 'vitest'
import {explainers} from '../../plugins/explain/src/index.ts'
import {messages} from '../../plugins/explain/test/messages.ts'
import {typedCommands} from '../read-docs.ts'

const root = join(import.meta.dirname, '../..')

/** What a message could name, and what somebody could make it name. */
const benign = [
  'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab',
  'arn:aws:ec2:eu-west-1:111122223333:instance/i-0a1b2c3d4e5f67890',
  'arn:aws:s3:::reports/2026/a.csv',
  'mi-0a1b2c3d4e5f67890',
  's3:GetObject',
  'get',
  'deployments.apps/scale',
  'payments-prod',
  'AQABzjQk3mZyX0-_w1Zz1234567890abcdef',
]
const hostile = [
  '$(touch owned)',
  '`touch owned`',
  'x; touch owned',
  'x\ntouch owned',
  'x\r\ntouch owned',
  'x && touch owned',
  'x | sh',
  'x > owned',
  "'; touch owned; '",
  '"; touch owned; "',
  '\\',
  '*',
  '?wned',
  '~',
  '~root/x',
  '{a,b}',
  '!!',
  '#x',
  '=ls',
  '-rf',
  '--endpoint-url=https://evil.example',
  '--kubeconfig=x',
  'a b',
  'a\tb',
  'a\u00a0b',
  'a\u202eb',
  'a\u0000b',
  'a\u001b[2Jb',
  '%PATH%',
  '$HOME',
  `$\{IFS}x`,
  '<owned',
  'file:///etc/passwd',
  'fileb://owned',
  'https://evil.example/:kms:x',
  'file:///x:kms:/i-0a1b2c3d4e5f67890',
  'arn:aws:kms:$(id):1:key/x',
  'arn:aws:kms:eu-west-1:111122223333:key/x;id',
  'AQAB...',
  `${'a'.repeat(5000)}`,
  '',
]

const names = ['principal', 'action', 'resource', 'role'] as const
const words = ['profile', 'verb', 'kind', 'namespace'] as const
const by = ['', ...explainers.map(({id}) => id)]

/** Every command that any explainer can give for these values: each alone in its place, the others as they should be, or missing. */
function commandsOf(values: readonly string[]): Set<string> {
  const found = new Set<string>()
  const good = {principal: 'ana', action: 's3:GetObject', resource: benign[0] as string, role: 'ops'}
  const goodWords = {profile: 'dev', verb: 'get', kind: 'pods', namespace: 'shop'}
  const add = (category: Category, one: Partial<Parameters<typeof nextCommands>[0]>): void => {
    for (const id of by) {
      const finding = {category, confidence: 1, by: id, fields: good, encoded: null, words: goodWords, evidence: null, ...one}
      for (const {command} of nextCommands(finding)) found.add(command)
    }
  }
  for (const category of categories) {
    add(category, {})
    add(category, {fields: {principal: null, action: null, resource: null, role: null}, words: {}})
    for (const value of values) {
      for (const name of names) add(category, {fields: {...good, [name]: value}})
      for (const name of words) add(category, {words: {...goodWords, [name]: value}})
      add(category, {encoded: value})
    }
  }
  return found
}

/** The same through whole messages: what they name is replaced by something else. */
function commandsOfMessages(values: readonly string[]): Set<string> {
  const found = new Set<string>()
  for (const [index, [text]] of messages.entries()) {
    const {action, resource} = explain(text, explainers)
    for (const named of [action, resource]) {
      if (named === null || named.length < 3) continue
      const changed = text.replaceAll(named, values[index % values.length] as string)
      for (const {command} of explain(changed, explainers).next) found.add(command)
    }
  }
  return found
}

const good = commandsOf(benign)
const all = [...new Set([...good, ...commandsOf(hostile), ...commandsOfMessages(hostile), ...commandsOfMessages(benign)])]

const folder = mkdtempSync(join(tmpdir(), 'prod-next-'))
afterAll(() => rmSync(folder, {recursive: true, force: true}))

/** The words that `sh` makes of each command, in a folder where a pattern would find something. Nothing is run: the first word is an argument too. */
function wordsOf(commands: readonly string[]): string[][] {
  writeFileSync(join(folder, 'owned.txt'), '')
  const script = `show() { printf '%s\\0' "$@"; printf '\\n\\0'; }\n${commands.map(command => `show ${command}`).join('\n')}\n`
  const {status, stdout, stderr} = spawnSync('/bin/sh', ['-s'], {
    cwd: folder,
    input: script,
    env: {HOME: folder},
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  expect([status, stderr]).toEqual([0, ''])
  const read: string[][] = [[]]
  for (const word of stdout.split('\0').slice(0, -1)) word === '\n' ? read.push([]) : read.at(-1)?.push(word)
  return read.slice(0, -1)
}

const argvs = wordsOf(all)

test('a shell takes each as the words that stand there, and runs nothing of a message', () => {
  expect(all.length).toBeGreaterThan(40)
  expect(argvs).toHaveLength(all.length)
  expect(argvs.map(argv => argv.map(word => (word.includes(' ') ? `"${word}"` : word)).join(' '))).toEqual(all)
  expect(existsSync(join(folder, 'owned'))).toBe(false)
  expect(all.filter(command => /owned|evil|[^ -~]/.test(command))).toEqual([])
})

test('every one of ours is read by the CLI that is shipped', () => {
  const ours = all.filter(command => command.startsWith('prod '))
  expect(ours.length).toBeGreaterThan(10)
  expect(typedCommands(root, `\`\`\`sh\n${ours.join('\n')}\n\`\`\``)).toEqual([])
})

const word = (pattern: string): ValueType => ({type: 'string', pattern})
const option = (value: OptionGrammar['value']): OptionGrammar => ({value, attach: ['separate']})
const command = (path: string[], options: Record<string, OptionGrammar> = {}, operands: object[] = []): object => ({
  path,
  class: 'read',
  optionsStand: 'anywhere',
  options,
  operands,
})

/** What each tool takes, as its own reference has it, and no more than that. */
const grammars: Record<string, object[]> = {
  aws: [
    command(['sts', 'get-caller-identity']),
    command(['sts', 'decode-authorization-message'], {'--encoded-message': {...option(word('[A-Za-z0-9_-]+')), required: true}}),
    command(['kms', 'describe-key'], {
      '--key-id': {...option(word('(arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/|alias/)[A-Za-z0-9/_-]+')), required: true},
    }),
    command(['configure', 'list']),
    command(['configure', 'set'], {}, [
      {name: 'setting', type: {type: 'literal', value: 'retry_mode'}},
      {name: 'value', type: {type: 'literal', value: 'adaptive'}},
    ]),
    command(['iam', 'list-mfa-devices']),
    command(['sso', 'login'], {'--profile': option(word('[A-Za-z0-9][A-Za-z0-9_.:/@+=-]*'))}),
    command(['ssm', 'describe-instance-information'], {'--filters': option(word('Key=InstanceIds,Values=m?i-[0-9a-f]{8,17}'))}),
    command(['ecs', 'list-clusters']),
  ],
  kubectl: [
    command(['auth', 'can-i'], {'--list': {value: 'flag'}, '--namespace': option(word('[a-z0-9-]+'))}, [
      {name: 'what', type: word('[a-z][a-z0-9.-]*(/[a-z]+)?'), min: 0, max: 2},
    ]),
    command(['config', 'current-context']),
  ],
  gcloud: [
    command(['compute', 'instances', 'list']),
    command(['auth', 'list']),
    command(['auth', 'login']),
    command(['auth', 'application-default', 'login']),
  ],
  vault: [command(['login']), command(['token', 'lookup'])],
  az: [command(['login'])],
  docker: [command(['login'])],
  'ssh-add': [command([], {'-l': {value: 'flag', required: true}})],
  date: [command([], {'-u': {value: 'flag', required: true}})],
  sudo: [command([], {'-l': {value: 'flag', required: true}})],
}

test('every one of another tool is read by its grammar, and no field of a message changes which command it is', () => {
  const read: Record<string, Grammar> = Object.fromEntries(
    Object.entries(grammars).map(([tool, commands]) => [tool, checkGrammar({commands}, tool)]),
  )
  const refused = argvs.flatMap(argv => {
    const [tool = ''] = argv
    if (tool === 'prod') return []
    const parsed = read[tool] ? parse(read[tool], argv) : undefined
    return parsed?.ok ? [] : [[argv.join(' '), parsed ? parsed.refusal.message : 'no grammar']]
  })
  expect(refused).toEqual([])
})

/** Where a program is, if it is on this machine. */
function find(program: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .map(place => join(place, program))
    .find(path => existsSync(path))
}

/** Nothing that is asked for leaves: no credentials, no configuration, and every address is one where nobody listens. */
const nowhere = 'http://127.0.0.1:1'
const env = {
  PATH: process.env.PATH ?? '',
  HOME: folder,
  KUBECONFIG: '/dev/null',
  AWS_ENDPOINT_URL: nowhere,
  AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'example',
  AWS_DEFAULT_REGION: 'eu-west-1',
  AWS_MAX_ATTEMPTS: '1',
  AWS_EC2_METADATA_DISABLED: 'true',
  CLOUDSDK_CONFIG: folder,
  CLOUDSDK_CORE_DISABLE_PROMPTS: '1',
}
const run = (argv: readonly string[]) => spawnSync(argv[0] as string, argv.slice(1), {cwd: folder, env, encoding: 'utf8', input: ''})

/** One of each form: a tool takes a second. */
function formsOf(tool: string): string[][] {
  const forms = new Map<string, string[]>()
  for (const argv of wordsOf([...good].filter(one => one.startsWith(`${tool} `))))
    forms.set([...argv.slice(0, 3), ...argv.filter(one => one.startsWith('-'))].join(' '), argv)
  return [...forms.values()]
}

test.runIf(find('aws'))('the AWS CLI of this machine takes them: it tries to connect, or answers from its own files', () => {
  // the older of the two CLIs has no login of its own
  const isOld = /^aws-cli\/1\./.test(run(['aws', '--version']).stdout)
  const refused = formsOf('aws').flatMap(argv => {
    if (isOld && argv[1] === 'sso') return []
    const {status, stderr} = run(argv)
    return status === 0 || /Could not connect to the endpoint URL|profile \S+ could not be found/.test(stderr)
      ? []
      : [[argv.join(' '), status, stderr]]
  })
  expect(refused).toEqual([])
  expect(readFileSync(join(folder, '.aws/config'), 'utf8')).toContain('retry_mode = adaptive')
})

test.runIf(find('kubectl'))('kubectl of this machine takes them: it tries to connect, or answers from its own files', () => {
  const refused = formsOf('kubectl').flatMap(([tool = '', ...rest]) => {
    const {status, stderr} = run([tool, `--server=${nowhere}`, '--request-timeout=1s', ...rest])
    return status === 0 || /was refused|current-context is not set/.test(stderr) ? [] : [[rest.join(' '), status, stderr]]
  })
  expect(refused).toEqual([])
})

test.runIf(find('docker'))('docker of this machine takes them', () => {
  // --help after what is right is help; after a word too many, or an option that is none, it is a refusal
  for (const argv of formsOf('docker')) expect([argv, run([...argv, '--help']).status]).toEqual([argv, 0])
})
