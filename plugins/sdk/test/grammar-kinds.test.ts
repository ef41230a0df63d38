import {expect, test} from 'vitest'
import {cedarAttributes, cedarValues} from '../src/grammar/cedar.ts'
import {checkGrammar, findGrammarFaults, showPlace} from '../src/grammar/check.ts'
import {completions} from '../src/grammar/complete.ts'
import {describeCommand, examplesOf} from '../src/grammar/describe.ts'
import {findExampleFaults, splitExample} from '../src/grammar/examples.ts'
import type {CommandGrammar, Grammar, ValueType} from '../src/grammar/grammar.ts'
import {layersOf, pathOperands, strongestClass} from '../src/grammar/operands.ts'
import {parse} from '../src/grammar/parse.ts'
import {matchesPattern, samplePattern} from '../src/grammar/pattern.ts'
import {addArguments, print} from '../src/grammar/print.ts'
import {sampleArgv, sampleValue} from '../src/grammar/sample.ts'
import {tellStructure} from '../src/grammar/tell.ts'
import {describeValue, findTypeFault, testValue} from '../src/grammar/values.ts'
import {generateArgv, seeded} from './generate-argv.ts'

const make = (command: object, more: object = {}): Grammar =>
  checkGrammar({...more, commands: [{path: [], class: 'read', ...command}]}, 'tool')
const allows = (grammar: Grammar, ...argv: string[]): boolean => {
  const parsed = parse(grammar, ['tool', ...argv])
  if (parsed.ok) expect(print(parsed.structure)).toEqual(['tool', ...argv])
  return parsed.ok
}
const refusal = (grammar: Grammar, ...argv: string[]) => {
  const parsed = parse(grammar, ['tool', ...argv])
  if (parsed.ok) throw new Error(`${argv.join(' ')} is allowed`)
  return parsed.refusal
}
const faults = (command: object): string[] =>
  findGrammarFaults({commands: [{path: [], class: 'read', ...command}]}, 'tool').map(({path, message}) => `${showPlace(path)}: ${message}`)

test.each([
  [
    'address',
    ['10.0.0.5', '0.0.0.0', '2001:db8::1', '::1'],
    [
      '10.0.0',
      '10.1',
      '167772165',
      '0x0a.0.0.5',
      '010.0.0.5',
      '10.0.0.256',
      '10.0.0.5/32x',
      '10.0.0.0/24',
      '::ffff:10.0.0.5',
      'fe80::1%eth0',
      '2001:DB8::1',
      '10.0.0.5 ',
      '١٠.0.0.5',
      '-10.0.0.5',
      '10.0.0.5\n',
      '10.0.0.1-5',
    ],
  ],
  [
    {type: 'address', within: ['10.0.0.0/8', '2001:db8::/32'], max: 256},
    ['10.0.0.5', '10.255.255.255', '10.0.0.0/24', '10.3.2.1/32', '2001:db8::/120'],
    [
      '11.0.0.0',
      '9.255.255.255',
      '10.0.0.0/23',
      '10.0.0.0/7',
      '0.0.0.0/0',
      '10.0.0.0/33',
      '10.0.0.0/024',
      '2001:db9::1',
      '2001:db8::/64',
      '10.0.0.0-255',
    ],
  ],
  [
    {type: 'address', within: ['10.0.0.0/8'], max: 256, ranges: true},
    ['10.0.0.1-20', '10.0.0,1.5', '10.0.0-15.1-16', '10.0.0.1,3,5-7'],
    [
      '10.0.0-1.0-255',
      '9-10.0.0.1',
      '10.0.0.20-1',
      '10.0.0.*',
      '10.0.0.-',
      '10.0.0.1-256',
      '10.0.0.1-',
      '10.0.0.',
      'a.0.0.1-2',
      '10.0.0.01-2',
    ],
  ],
  [
    {type: 'ports', max: 100},
    ['22', '22,80,443', '1-100', '8000-8098,22'],
    ['0', '65536', '1-101', '22,', ',22', '-', '1-', '-100', '080', '22-20', '*', 'http', '1-50,60-111', 'T:80'],
  ],
  ['ports', ['1-100'], ['1-101']],
  ['size', ['0', '512', '10M', '64KiB', '1GB', '5k', '8B'], ['-1', '1.5G', '010', '10 M', 'M', '10X', '999999999999999T', '1e3']],
  [{type: 'size', max: 1024}, ['1K', '1024', '1kB'], ['1025', '2K', '1M']],
  ['glob', ['*.log', '[a-z]?.gz', 'a b'], ['a/b', '/x', '..', '.', '-x', '--', '@x', 'a\nb', '']],
  [{type: 'glob', leading: ['-']}, ['-exec*'], ['--', '+x']],
  [
    'time',
    [
      '2026-11-22 03:00:00',
      '2026-11-22 03:00',
      '2026-11-22 03:00:00.123456',
      '2026-11-22 03:00 UTC',
      '2026-11-22',
      '2026-11-22T03:00:00Z',
      '2026-11-22T03:00:00.5+01:00',
      '03:00',
      '03:00:59',
      'now',
      'today',
      'yesterday',
      'tomorrow',
      '-1h',
      '+5m',
      '-1h30min',
      '-90 s',
      '1 hour ago',
      '2 hours 30 min ago',
      '1day ago',
    ],
    [
      '2026-13-01',
      '2026-02-30',
      '2026-11-22 25:00',
      '2026-11-22T03:00:00',
      '1 fortnight ago',
      'ago',
      '-',
      '-h',
      'Today',
      '10m',
      '@1767225600',
      'x',
      '-1h\n',
      '--since',
      '1 hour',
      '2026-11-22 03:00:00; id',
      '',
    ],
  ],
  [{type: 'time', forms: ['duration', 'epoch']}, ['10m', '1h30m', '@0', '@1767225600'], ['now', '-1h', '2026-11-22', '@', '@-1', '10']],
  [
    {type: 'host-name', hosts: ['web-{1..99}.prod.example']},
    ['web-1.prod.example', 'web-99.prod.example', 'web-42.prod.example'],
    [
      'web-0.prod.example',
      'web-100.prod.example',
      'web-01.prod.example',
      'web-.prod.example',
      'web-1.prod.example.evil.example',
      'xweb-1.prod.example',
      'web-1x.prod.example',
      'web-1-2.prod.example',
      'web-{1..99}.prod.example',
      'root@web-1.prod.example',
      'web-1.prod.example:22',
    ],
  ],
  [
    {type: 'path', below: ['/var/log'], pattern: '.*\\.log', slash: true},
    ['/var/log/a.log'],
    ['/var/log/a.gz', '/var/log', '/var/log/a.log/'],
  ],
  [{type: 'path', below: ['/var/log'], slash: true}, ['/var/log/', '/var/log/app/', '/var/log'], ['/var/log//', '/var/', '/', '//']],
  [
    {type: 'url', hosts: ['s.example']},
    ['https://s.example/a'],
    [
      'https://u:p@s.example/',
      'https://s.example:8443/',
      'https://s.example/%2e%2e/',
      'https://s.example\\x/',
      'https://s.example/ x',
      'https://s.example/\tx',
      'HTTPS://s.example/',
    ],
  ],
] as [ValueType, string[], string[]][])('TM-H1 TM-H3: the type %j takes its values alone', (type, good, bad) => {
  expect(findTypeFault(type)).toBeUndefined()
  expect(good.filter(value => !testValue(value, type))).toEqual([])
  expect(bad.filter(value => testValue(value, type))).toEqual([])
  expect(describeValue(type)).toMatch(/^an? |^ports|^the host/)
})

test.each([
  [{type: 'address', within: ['10.0.0']}, '`within` are blocks'],
  [{type: 'address', within: ['10.0.0.0/40']}, '`within` are blocks'],
  [{type: 'address', max: 0}, 'how many addresses'],
  [{type: 'ports', max: 0}, 'how many ports'],
  [{type: 'size', min: 5, max: 1}, 'bytes'],
  [{type: 'time', forms: ['clock', 'moon']}, '`forms` are of'],
  [{type: 'host-name', hosts: ['web-{9..1}.x']}, 'NAME{1..99}'],
  [{type: 'command'}, '`tools`'],
  [{type: 'any', of: ['name', {type: 'command', tools: ['x']}]}, 'neither a list, a command nor a secret'],
  [{type: 'any', of: ['name', {type: 'list', of: {type: 'command', tools: ['x']}}]}, 'neither a list, a command nor a secret'],
] as [ValueType, string][])('a type with a fault is refused in words: %j', (type, fault) => {
  expect(findTypeFault(type)).toContain(fault)
})

test('what a definition says of a type in its own words is what people read', () => {
  const type = {type: 'string', pattern: '[a-z]{2}_[A-Z]{2}', summary: 'a language such as de_DE'}
  expect(describeValue(type)).toBe('a language such as de_DE')
  expect(refusal(make({operands: [{name: 'language', type}]}), 'x').allowed).toEqual(['LANGUAGE: a language such as de_DE'])
})

test('TM-H2: a dash and a number is one option with -n, in every spelling, bounded and counted as one', () => {
  const grammar = make({
    options: {'-n': {value: {type: 'integer', min: 1, max: 100}, aliases: ['--lines', '-NUM'], attach: ['separate', 'attached', 'equals']}},
    operands: [{name: 'file', type: 'name'}],
  })
  for (const argv of [
    ['-5', 'x'],
    ['-n', '5', 'x'],
    ['-n5', 'x'],
    ['--lines=5', 'x'],
    ['--lines', '5', 'x'],
  ]) {
    expect(allows(grammar, ...argv)).toBe(true)
    const parsed = parse(grammar, ['tool', ...argv])
    expect(parsed.ok && parsed.structure.arguments).toEqual({'-n': ['5'], file: ['x']})
  }
  for (const argv of [
    ['-101', 'x'],
    ['-0', 'x'],
    ['-05', 'x'],
    ['-5', '-6', 'x'],
    ['-5', '-n', '5', 'x'],
    ['-NUM', 'x'],
    ['-5x', 'x'],
    ['-NUM=5', 'x'],
    ['x', '-5'],
    ['--5', 'x'],
  ])
    expect([argv, allows(grammar, ...argv)]).toEqual([argv, false])
  expect(refusal(grammar, '-101', 'x').message).toBe('"101" is not a value of -n')
  expect(completions(grammar, ['tool', '-'])).toEqual(['-n', '--lines'])
  expect(faults({options: {'-NUM': 'flag'}})[0]).toContain('-NUM takes an integer')
  expect(faults({options: {'-NUM': 'integer', '-4': 'flag'}})[0]).toContain('-4 can be read in two ways')
})

test('TM-H2: a flag may be turned off, or be followed by true or false; then it counts as not given, required or not', () => {
  const grammar = make({
    options: {
      '--pager': {value: 'flag', negatable: true},
      '--all': {value: 'flag', aliases: ['-A'], truth: true, required: true},
      '--deep': {value: 'flag', requires: ['--pager']},
    },
  })
  const given = (...argv: string[]) => {
    const parsed = parse(grammar, ['tool', ...argv])
    if (!parsed.ok) throw new Error(parsed.refusal.message)
    expect(print(parsed.structure)).toEqual(['tool', ...argv])
    return cedarValues(parsed.structure, grammar)
  }
  expect(given('--all')).toEqual({all: true, pager: false, deep: false})
  expect(given('--all=true', '--no-pager')).toMatchObject({all: true, pager: false})
  expect(given('-A=true', '--pager')).toMatchObject({all: true, pager: true})
  expect(refusal(grammar, '--all=false')).toMatchObject({position: 2, message: '--all is required'})
  expect(refusal(grammar, '--all', '--no-pager', '--deep')).toMatchObject({message: '--deep needs --pager with it'})
  for (const word of [
    '--all=yes',
    '--all=',
    '--all=TRUE',
    '--all=1',
    '--no-all',
    '--pager=true',
    '--no-pager=true',
    '-Atrue',
    '--no-no-pager',
  ])
    expect([word, allows(grammar, '--all', word)]).toEqual([word, false])
  expect(allows(grammar, '--all', '--pager', '--no-pager')).toBe(false)
  expect(completions(grammar, ['tool', '--all='])).toEqual(['--all=true', '--all=false'])
  expect(completions(grammar, ['tool', '--no'])).toEqual(['--no-pager'])
  expect(faults({options: {'-p': {value: 'flag', negatable: true}}})[0]).toContain('can be turned off')
  expect(faults({options: {'--p': {value: 'name', truth: true}}})[0]).toContain('are of flags')
  expect(faults({options: {'--p': {value: 'flag', negatable: true}, '--no-p': 'flag'}})[0]).toContain('--no-p is a spelling of --p')
})

test('TM-H2: an option may be given so often and no more', () => {
  const grammar = make({
    options: {'-e': {value: 'name', repeat: 2, attach: ['separate', 'attached']}, '-v': {value: 'flag', repeat: 3}},
    bundles: true,
  })
  expect(allows(grammar, '-ea', '-e', 'b', '-vvv')).toBe(true)
  expect(refusal(grammar, '-ea', '-eb', '-ec')).toMatchObject({position: 3, message: '-e is given more than 2 times'})
  expect(allows(grammar, '-vv', '-vv')).toBe(false)
  expect(cedarAttributes(grammar, 0).e).toEqual({type: 'Set<String>', required: true})
})

test('TM-H2 TM-H3: `--` between operands where options stand anywhere; flags bundled before the subcommand; options up to one operand', () => {
  const anywhere = make({
    options: {'-i': 'flag'},
    dashes: 'allowed',
    optionsStand: 'anywhere',
    operands: [
      {name: 'pattern', type: 'text'},
      {name: 'file', type: 'text'},
    ],
  })
  expect(allows(anywhere, 'x', '--', '-f')).toBe(true)
  expect(allows(anywhere, '--', '--', 'x')).toBe(true)
  expect(allows(anywhere, 'x', '--', '--', 'y')).toBe(false)
  expect(allows(anywhere, 'x', '-f')).toBe(false)
  const bundles = checkGrammar({options: {'-a': 'flag', '-l': 'flag'}, bundles: true, commands: [{path: ['list'], class: 'read'}]}, 'tool')
  expect(allows(bundles, '-al', 'list')).toBe(true)
  expect(allows(bundles, '-ax', 'list')).toBe(false)
  const ssh = make({
    options: {'-p': {value: 'integer', attach: ['separate', 'attached']}},
    optionsStand: 'anywhere',
    operands: [
      {name: 'host', type: 'host-name'},
      {name: 'command', type: {type: 'enum', values: ['uptime', 'df -h']}, optionsEnd: true},
    ],
  })
  expect(allows(ssh, 'web-1.x', '-p', '22', 'uptime')).toBe(true)
  expect(allows(ssh, '-p22', 'web-1.x', 'df -h')).toBe(true)
  expect(allows(ssh, 'web-1.x', 'uptime', '-p', '22')).toBe(false)
  expect(faults({operands: [{name: 'a', type: 'name', optionsEnd: true}]})[0]).toContain('`optionsEnd` marks one operand')
})

test('an operand that repeats may stand before one whose few values it never has', () => {
  const operands = [
    {name: 'variables', type: {type: 'string', pattern: '[A-Z]+=[a-z]*'}, min: 0, max: 2},
    {name: 'goal', type: {type: 'enum', values: ['deploy', 'test']}},
  ]
  const grammar = make({operands})
  expect(allows(grammar, 'A=b', 'C=d', 'deploy')).toBe(true)
  expect(allows(grammar, 'deploy')).toBe(true)
  expect(allows(grammar, 'deploy', 'A=b')).toBe(false)
  expect(faults({operands: [operands[0], {name: 'goal', type: 'string'}]})).toHaveLength(1)
  expect(faults({operands: [{...operands[0], type: 'string'}, operands[1]]})).toHaveLength(1)
})

const log = make({
  options: {'--since': {value: 'time', aliases: ['-S'], attach: ['separate', 'equals', 'attached']}, '--until': 'time', '-n': 'integer'},
  spans: [{from: '--since', to: '--until', max: '24h'}],
})

test.each([
  [[], true],
  [['--since', '-24h'], true],
  [['--since', '-25h'], false],
  [['--since', '24 hours ago'], true],
  [['--since', '2 days ago'], false],
  [['--since=today'], true],
  [['--since', 'yesterday'], false],
  [['--since', 'yesterday', '--until', 'today'], true],
  [['--since', '03:00'], true],
  [['--since', '2026-11-22 03:00', '--until', '2026-11-23 03:00:00'], true],
  [['--since', '2026-11-22 03:00', '--until', '2026-11-23 03:00:01'], false],
  [['--since', '2020-01-01'], false],
  [['--since', '2020-01-01', '--until', 'now'], false],
  [['--since', '2026-11-22T03:00:00+02:00', '--until', '2026-11-23T01:00:00Z'], true],
  [['--until', '-1h'], false],
  [['-S', '-3 days', '--until', '-2 days'], true],
  [['-S-3d', '--until', '-1d'], false],
] as [string[], boolean][])('TM-H1 TM-J1: two times lie at most a day apart, whatever the clock says: %j is %s', (argv, good) => {
  expect(allows(log, ...argv)).toBe(good)
})

test('TM-M3: a span that is too long is refused at the time it begins with, one that lacks its other end at the end', () => {
  expect(refusal(log, '-n', '5', '--since', '2 days ago')).toMatchObject({position: 4, message: '"2 days ago" is further back than 24h'})
  expect(refusal(log, '--since=2 days ago')).toMatchObject({position: 1})
  expect(refusal(log, '--since', '2020-01-01')).toMatchObject({
    position: 3,
    message: '--since "2020-01-01" is a fixed time: it needs --until with it',
  })
  expect(refusal(log, '--until', '-1h')).toMatchObject({position: 3, message: '--until needs --since with it'})
  expect(faults({options: {'--since': 'name'}, spans: [{from: '--since', max: '24h'}]})[0]).toContain('is not given once, as a time')
  expect(faults({options: {'--since': 'time'}, spans: [{from: '--from', max: 'long'}]})).toHaveLength(2)
})

const df = make({options: {'-h': 'flag'}, operands: [{name: 'file', type: {type: 'path', below: ['/srv']}, min: 0}]})
const restart = checkGrammar(
  {commands: [{path: ['restart'], class: 'change', operands: [{name: 'unit', type: 'unit-name', lock: true}]}]},
  'unit',
)
const wrapper: CommandGrammar = {
  path: [],
  class: 'read',
  dashes: 'allowed',
  options: {'-v': 'flag'},
  operands: [
    {name: 'seconds', type: 'integer'},
    {name: 'command', type: {type: 'command', tools: ['df', 'unit', 'timeout']}},
  ],
}
const timeout = checkGrammar({commands: [wrapper]}, 'timeout')
const tools = (name: string): Grammar | undefined => ({df: {...df, tool: 'df'}, unit: restart, timeout})[name]

test("TM-H13: a command behind another is read by its own tool's grammar; print gives the whole line again", () => {
  const argv = ['timeout', '-v', '--', '5', 'timeout', '3', 'unit', 'restart', 'nginx']
  const parsed = parse(timeout, argv, tools)
  if (!parsed.ok) throw new Error(parsed.refusal.message)
  expect(print(parsed.structure)).toEqual(argv)
  expect(print(JSON.parse(JSON.stringify(parsed.structure)))).toEqual(argv)
  expect(layersOf(parsed.structure).map(({tool}) => tool)).toEqual(['timeout', 'timeout', 'unit'])
  expect(parsed.structure).toMatchObject({class: 'read', locks: ['nginx'], arguments: {seconds: ['5'], command: ['timeout']}})
  expect(strongestClass(parsed.structure)).toBe('change')
  expect(addArguments(parsed.structure, ['--quiet'])).toEqual(['timeout', '--quiet', ...argv.slice(1)])
  expect(cedarValues(parsed.structure, timeout)).toMatchObject({command: 'timeout', seconds: 5})
  expect(tellStructure(parsed.structure, timeout, tools).map(({name, value, depth}) => [depth, name, value])).toEqual([
    [0, 'command', 'timeout'],
    [0, '-v', ''],
    [0, '--', ''],
    [0, 'SECONDS', '5'],
    [0, 'COMMAND', ''],
    [1, 'command', 'timeout'],
    [1, 'SECONDS', '3'],
    [1, 'COMMAND', ''],
    [2, 'command', 'unit restart'],
    [2, 'UNIT', 'nginx'],
  ])
})

test.each([
  [['timeout', '5', 'sh', '-c', 'id'], 2],
  [['timeout', '5', 'df', '-h', '/etc/shadow'], 4],
  [['timeout', '5', 'df', '--', 'x'], 3],
  [['timeout', '5', 'unit', 'stop', 'x'], 3],
  [['timeout', '5', 'timeout', '5', 'sh'], 4],
  [['timeout', '5', 'timeout', '5', 'timeout', '5', 'timeout', '5', 'df'], 8],
  [['timeout', '5'], 2],
  [['timeout', '5', '-v', 'df'], 2],
] as [string[], number][])('TM-H13 TM-M3: %j is refused at %d', (argv, position) => {
  const parsed = parse(timeout, argv, tools)
  expect(parsed.ok ? argv : parsed.refusal.position).toBe(position)
})

test('TM-H13: without the definitions of other tools a command behind another is refused, as is one whose tool has none', () => {
  expect(parse(timeout, ['timeout', '5', 'df']).ok).toBe(false)
  expect(parse(timeout, ['timeout', '5', 'df'], () => undefined).ok).toBe(false)
})

test.each([
  [{operands: [wrapper.operands?.[1], wrapper.operands?.[0]]}, 'once, as the last operand'],
  [{operands: [{...wrapper.operands?.[1], min: 0}]}, 'once, as the last operand'],
  [{operands: [wrapper.operands?.[1]], optionsStand: 'anywhere'}, "that command's own"],
  [{operands: [wrapper.operands?.[1]], stdin: true}, 'no stdin'],
  [{options: {'-c': {type: 'command', tools: ['df']}}}, 'a command is an operand'],
] as [object, string][])('TM-H13: a definition in which a command could be anything else is refused: %j', (command, fault) => {
  expect(faults(command).join()).toContain(fault)
})

test('TM-H13: completion goes on with the words of the command behind, and offers no tool that may not stand there', () => {
  expect(completions(timeout, ['timeout', '5', ''], tools)).toEqual(['df', 'unit', 'timeout'])
  expect(completions(timeout, ['timeout', '5', 'unit', ''], tools)).toEqual(['restart'])
  expect(completions(timeout, ['timeout', '5', 'df', '-'], tools)).toEqual(['-h'])
  expect(completions(timeout, ['timeout', '5', 'sh', ''], tools)).toEqual([])
  expect(completions(timeout, ['timeout', '5', 'unit', ''])).toEqual([])
})

test('TM-H14: paths of a command behind are found in its own layer', () => {
  const parsed = parse(timeout, ['timeout', '5', 'df', '/srv/x'], tools)
  if (!parsed.ok) throw new Error(parsed.refusal.message)
  expect(
    layersOf(parsed.structure)
      .flatMap(layer => pathOperands(layer, tools(layer.tool) as Grammar))
      .map(({value}) => value),
  ).toEqual(['/srv/x'])
})

test('arguments that the broker adds stand right after the tool, or right after the path', () => {
  const git = checkGrammar(
    {
      adds: ['-C', '/srv/app'],
      options: {'--no-pager': 'flag'},
      commands: [{path: ['log'], class: 'read', adds: ['--no-ext-diff'], operands: [{name: 'n', type: 'name'}]}],
    },
    'git',
  )
  const parsed = parse(git, ['git', '--no-pager', 'log', 'x'])
  if (!parsed.ok) throw new Error(parsed.refusal.message)
  expect(addArguments(parsed.structure, git.commands[0]?.adds, git.adds)).toEqual([
    'git',
    '-C',
    '/srv/app',
    '--no-pager',
    'log',
    '--no-ext-diff',
    'x',
  ])
  expect(describeCommand(git, 0)).toContain('  the broker adds: -C /srv/app --no-ext-diff')
})

test('examples are split at blanks with quotes kept together, and judged; where there is none, one is made', () => {
  expect(splitExample(`a 'b c' "d'e" f''g ''`)).toEqual(['a', 'b c', "d'e", 'fg', ''])
  expect(splitExample("a 'b")).toBeUndefined()
  const grammar = make({operands: [{name: 'n', type: {type: 'integer', max: 5}}], examples: ['tool 5', 'tool 6', 'tool "x']})
  expect(findExampleFaults(grammar).map(({path}) => showPlace(path))).toEqual(['commands[0].examples[1]', 'commands[0].examples[2]'])
  expect(examplesOf(make({operands: [{name: 'n', type: {type: 'integer', max: 5}}]}), 0)).toEqual(['tool 5'])
  expect(examplesOf(timeout, 0, tools)).toEqual(['timeout 10 df'])
})

test('TM-M2: a text made from a pattern matches it', () => {
  const random = seeded(3)
  const pick = (count: number): number => Math.floor(random() * count)
  for (const pattern of ['[a-z]{2,3}(?:_[A-Z]{2})?', '[^/]+', '(?:a|bc){3}x*', '\\d+\\.\\w?', '.{1,5}', '[A-Z][a-z0-9-]*(?:=[^=]{0,3})?'])
    for (let times = 0; times < 200; times++) expect(matchesPattern(pattern, samplePattern(pattern, pick))).toBe(true)
})

test('every type that knows samples of itself makes good ones', () => {
  const random = seeded(4)
  for (const type of [
    'string',
    'text',
    'name',
    'glob',
    'unit-name',
    'integer',
    'duration',
    'size',
    'ports',
    'time',
    'relative-path',
    'host-name',
    'address',
    {type: 'path', below: ['/srv']},
    {type: 'url', hosts: ['*.x.example']},
  ] as ValueType[])
    for (let times = 0; times < 50; times++)
      expect(testValue(sampleValue(type, count => Math.floor(random() * count)) ?? '', type, true), JSON.stringify(type)).toBe(true)
})

test('TM-M1: lines made by chance are allowed, in all forms, and the same for the same seed', () => {
  const seen = new Set<string>()
  const random = seeded(1)
  for (let times = 0; times < 300; times++) {
    const argv = generateArgv(timeout, random, {tools}) as string[]
    expect(parse(timeout, argv, tools).ok).toBe(true)
    seen.add(argv.join(' '))
  }
  expect(seen.size).toBeGreaterThan(20)
  expect(generateArgv(log, seeded(9))).toEqual(generateArgv(log, seeded(9)))
  expect(sampleArgv(timeout, 0, {pick: () => 0})).toBeUndefined()
})
