import {expect, test} from 'vitest'
import {cedarAttributes, cedarTypeName, cedarValues} from '../src/grammar/cedar.ts'
import {checkGrammar, findGrammarFaults, showPlace} from '../src/grammar/check.ts'
import {completions} from '../src/grammar/complete.ts'
import {describeCommand} from '../src/grammar/describe.ts'
import {parseDuration} from '../src/grammar/duration.ts'
import type {CommandGrammar, Grammar, Structure} from '../src/grammar/grammar.ts'
import {hasSecret, pathOperands, redactArgv, redactStructure} from '../src/grammar/operands.ts'
import {checkArgv, parse} from '../src/grammar/parse.ts'
import {findPatternFault, matchesPattern} from '../src/grammar/pattern.ts'
import {addArguments, print} from '../src/grammar/print.ts'
import {testValue} from '../src/grammar/values.ts'
import {grammars} from './data/grammars.ts'

const unit = checkGrammar(
  {
    commands: [
      {
        path: ['status'],
        class: 'read',
        options: {'--no-pager': 'flag', '--since': 'duration', '-n': {value: {type: 'integer', min: 1, max: 50}, aliases: ['--lines']}},
        operands: [{name: 'unit', type: 'unit-name'}],
      },
      {
        path: ['restart'],
        class: 'change',
        operands: [{name: 'unit', type: 'unit-name', lock: true}],
        adds: ['--no-block'],
        examples: ['unit restart nginx'],
      },
    ],
  },
  'unit',
)

function structureOf(grammar: Grammar, argv: string[]): Structure {
  const parsed = parse(grammar, argv)
  if (!parsed.ok) throw new Error(parsed.refusal.message)
  return parsed.structure
}

function refusalOf(grammar: Grammar, argv: string[]) {
  const parsed = parse(grammar, argv)
  if (parsed.ok) throw new Error(`${argv.join(' ')} is allowed`)
  return parsed.refusal
}

const faultsOf = (command: object, options?: object): string[] =>
  findGrammarFaults({...(options ? {options} : {}), commands: [{path: [], class: 'read', ...command}]}, 'tool').map(
    ({path, message}) => `${showPlace(path)}: ${message}`,
  )

test('a command is read into what policy sees and what a run locks', () => {
  expect(structureOf(unit, ['unit', 'status', '--no-pager', '--since=10m', 'nginx.service'])).toEqual({
    tool: 'unit',
    command: 0,
    path: ['status'],
    class: 'read',
    parts: [
      {kind: 'path', text: 'status'},
      {kind: 'option', name: '--no-pager', spelling: '--no-pager', value: null, attach: 'none'},
      {kind: 'option', name: '--since', spelling: '--since', value: '10m', attach: 'equals'},
      {kind: 'operand', name: 'unit', value: 'nginx.service'},
    ],
    arguments: {'--no-pager': [''], '--since': ['10m'], unit: ['nginx.service']},
    locks: [],
  })
  expect(structureOf(unit, ['unit', 'restart', 'nginx'])).toMatchObject({class: 'change', locks: ['nginx']})
})

test('what the broker adds comes right after the path, and is no part of what was typed', () => {
  const structure = structureOf(unit, ['unit', 'restart', 'nginx'])
  expect(print(structure)).toEqual(['unit', 'restart', 'nginx'])
  expect(addArguments(structure, unit.commands[1]?.adds)).toEqual(['unit', 'restart', '--no-block', 'nginx'])
})

test.each([
  [['unit'], 1, 'a subcommand is missing'],
  [['unit', 'stop', 'nginx'], 1, 'there is no subcommand "stop"'],
  [['unit', '--no-pager', 'status', 'nginx'], 1, 'there is no option "--no-pager" before the subcommand'],
  [['units', 'status'], 0, '"units" is not unit'],
  [['unit', 'status'], 2, 'UNIT is missing'],
  [['unit', 'status', 'nginx', 'cron'], 3, '"cron" is one argument too many'],
  [['unit', 'status', '--no-pag', 'nginx'], 2, 'there is no option "--no-pag"'],
  [['unit', 'status', '--no-pager=1', 'nginx'], 2, '--no-pager takes no value'],
  [['unit', 'status', '--no-pager', '--no-pager', 'nginx'], 3, '--no-pager is given twice'],
  [['unit', 'status', 'nginx', '--no-pager'], 3, '"--no-pager" stands before the operands'],
  [['unit', 'status', '--since', '10 minutes', 'nginx'], 3, '"10 minutes" is not a value of --since'],
  [['unit', 'status', '--since'], 3, '--since needs a value'],
  [['unit', 'status', '-n51', 'nginx'], 2, 'the value of -n stands apart from it: -n VALUE'],
  [['unit', 'status', '-n', '51', 'nginx'], 3, '"51" is not a value of -n'],
  [['unit', 'status', '--lines=5', '-n', '5', 'nginx'], 3, '-n is given twice'],
  [['unit', 'status', '--', 'nginx'], 2, '`--` is not allowed'],
  [['unit', 'status', '-H', 'x', 'nginx'], 2, 'there is no option "-H"'],
  [['unit', 'status', '-'], 2, '"-" is not a UNIT'],
  [['unit', 'status', ''], 2, '"" is not a UNIT'],
  [['unit', 'status', 'nginx*'], 2, '"nginx*" is not a UNIT'],
  [['unit', 'status', 'nginx\n'], 2, '"nginx\\n" is not a UNIT'],
] as [string[], number, string][])('TM-H1 TM-M3: %j is refused at %d: %s', (argv, position, message) => {
  expect(refusalOf(unit, argv)).toMatchObject({position, message})
})

test('TM-M3: a refusal says what would be allowed there', () => {
  expect(refusalOf(unit, ['unit', 'stop']).allowed).toEqual(['status', 'restart'])
  expect(refusalOf(unit, ['unit', 'status', '-x']).allowed).toEqual([
    'UNIT: the name of a unit, such as nginx or nginx.service',
    '--no-pager',
    '--since DURATION',
    '-n INTEGER',
  ])
  expect(refusalOf(unit, ['unit', 'status', '-n', 'x']).allowed).toEqual(['an integer from 1 to 50'])
})

test('TM-H2: bundles, attached values and `--` only where the grammar says so', () => {
  const command = {
    options: {'-a': 'flag', '-b': {value: 'flag', repeat: true}, '-n': {value: 'integer', attach: ['separate', 'attached']}},
    operands: [{name: 'file', type: 'name'}],
  }
  const plain = checkGrammar({commands: [{path: [], class: 'read', ...command}]}, 'tool')
  const bundled = checkGrammar({commands: [{path: [], class: 'read', ...command, bundles: true, dashes: 'required'}]}, 'tool')
  expect(refusalOf(plain, ['tool', '-ab', 'x'])).toMatchObject({position: 1})
  expect(refusalOf(plain, ['tool', '--', 'x'])).toMatchObject({position: 1})
  expect(structureOf(plain, ['tool', '-a', '-n5', 'x']).arguments).toEqual({'-a': [''], '-n': ['5'], file: ['x']})
  for (const argv of [
    ['tool', '-abbn5', '--', 'x'],
    ['tool', '-abn', '5', '--', 'x'],
    ['tool', '-bb', '-b', '--', 'x'],
  ])
    expect(print(structureOf(bundled, argv))).toEqual(argv)
  expect(refusalOf(bundled, ['tool', '-aab', '--', 'x'])).toMatchObject({position: 1, message: '-a is given twice'})
  expect(refusalOf(bundled, ['tool', '-abz', '--', 'x'])).toMatchObject({position: 1, message: 'there is no option "-z" in "-abz"'})
  expect(refusalOf(bundled, ['tool', '-abn'])).toMatchObject({position: 2, message: '-n needs a value'})
  expect(refusalOf(bundled, ['tool', '-a', 'x'])).toMatchObject({position: 2, message: '`--` must come before the operands'})
  expect(refusalOf(bundled, ['tool', '--', '--', 'x'])).toMatchObject({position: 2})
})

test('TM-H2: options that exclude, require or need one of each other', () => {
  const grammar = checkGrammar(
    {
      commands: [
        {
          path: [],
          class: 'read',
          options: {
            '--a': {value: 'flag', aliases: ['-a']},
            '--b': {value: 'flag', excludes: ['-a']},
            '--c': {value: 'flag', requires: ['--b']},
          },
          requireOne: [['-a', '--b']],
        },
      ],
    },
    'tool',
  )
  expect(grammar.commands[0]?.options?.['--b']).toMatchObject({excludes: ['--a']})
  expect(refusalOf(grammar, ['tool', '--b', '-a'])).toMatchObject({position: 2, message: '--a does not go with --b'})
  expect(refusalOf(grammar, ['tool', '-a', '--b'])).toMatchObject({position: 2})
  expect(refusalOf(grammar, ['tool', '-a', '--c'])).toMatchObject({position: 3, message: '--c needs --b with it'})
  expect(refusalOf(grammar, ['tool'])).toMatchObject({position: 1, message: 'one of --a, --b is required'})
})

test('an option may take many values, a value may be left out, and operands may stand on both sides of `--`', () => {
  const grammar = checkGrammar(
    {
      commands: [
        {
          path: ['ids'],
          class: 'read',
          options: {'--ids': {value: 'name', many: 3}, '--color': {value: {type: 'enum', values: ['auto', 'never']}, optional: true}},
        },
        {
          path: ['diff'],
          class: 'read',
          dashes: 'allowed',
          operands: [
            {name: 'revision', type: 'name', min: 0},
            {name: 'paths', type: 'relative-path', min: 0, max: 3, afterDashes: true},
          ],
        },
      ],
    },
    'tool',
  )
  const argv = ['tool', 'ids', '--ids', 'a', 'b', 'c', '--color']
  expect(structureOf(grammar, argv).arguments).toEqual({'--ids': ['a', 'b', 'c'], '--color': ['']})
  expect(print(structureOf(grammar, argv))).toEqual(argv)
  expect(refusalOf(grammar, ['tool', 'ids', '--ids', 'a', 'b', 'c', 'd'])).toMatchObject({position: 6})
  expect(refusalOf(grammar, ['tool', 'ids', '--color', 'auto'])).toMatchObject({position: 3})
  expect(structureOf(grammar, ['tool', 'diff', 'HEAD', '--', 'src/a.ts']).arguments).toEqual({revision: ['HEAD'], paths: ['src/a.ts']})
  expect(structureOf(grammar, ['tool', 'diff', '--', 'src/a.ts']).arguments).toEqual({paths: ['src/a.ts']})
  expect(refusalOf(grammar, ['tool', 'diff', 'HEAD', 'src/a.ts'])).toMatchObject({position: 3})
  expect(refusalOf(grammar, ['tool', 'diff', '--', '../a.ts'])).toMatchObject({position: 3})
})

test.each([
  '-x',
  '--',
  '-',
  '+x',
  '@file',
  '|sh',
  '!sh',
  'file:///etc/shadow',
  'fileb://x',
  'http://x/',
  'ext::sh',
  'C:\\x',
  'a\u202eb',
  'a\u200bb',
  'a\nb',
  'a\tb',
  '',
])("TM-H3 TM-H4 TM-H6: a string, an operand or an option's value, is never %j", value => {
  const grammar = checkGrammar(
    {commands: [{path: [], class: 'read', options: {'--o': 'string'}, operands: [{name: 'host', type: 'string', min: 0}]}]},
    'tool',
  )
  for (const argv of [
    ['tool', value],
    ['tool', '--o', value],
    ['tool', `--o=${value}`],
  ])
    expect(parse(grammar, argv).ok, argv.join(' ')).toBe(false)
})

test('TM-H3: `--` protects an operand that begins with a dash, and nothing else that tools give a meaning', () => {
  const grammar = checkGrammar(
    {commands: [{path: [], class: 'read', dashes: 'allowed', operands: [{name: 'pattern', type: 'text'}]}]},
    'tool',
  )
  expect(parse(grammar, ['tool', '--', '-f/etc/shadow']).ok).toBe(true)
  expect(refusalOf(grammar, ['tool', '-f/etc/shadow'])).toMatchObject({position: 1})
  expect(refusalOf(grammar, ['tool', '--', '@x'])).toMatchObject({position: 2})
  // a type that lets a dash in does not make options of operands
  const open = checkGrammar(
    {commands: [{path: [], class: 'read', operands: [{name: 'pattern', type: {type: 'text', leading: ['-']}}]}]},
    'tool',
  )
  expect(refusalOf(open, ['tool', '-f/etc/shadow'])).toMatchObject({position: 1})
})

test('TM-H5: shell syntax is plain text, and an operand may hold any script', () => {
  const grammar = checkGrammar({commands: [{path: [], class: 'read', operands: [{name: 'pattern', type: 'text'}]}]}, 'tool')
  for (const word of [
    '$(reboot)',
    '; rm -rf / #',
    'a b  c\t\'"\\',
    '*',
    '~root/$HOME',
    'naïve é 日本語',
    '{a,b}',
    '\u0301',
    'می\u200cخواهم',
  ]) {
    checkArgv(['tool', word])
    expect(print(structureOf(grammar, ['tool', word]))).toEqual(['tool', word])
  }
})

test.each([
  [[], 0],
  [[''], 0],
  [['tool', 'a\0b'], 1],
  [['tool', '\ud800'], 1],
  [['tool', 'a\udc00'], 1],
  [['tool', '\ufffd'], 1],
  [['tool', 'x', '\x1b[2J'], 2],
  [['tool', 'a\rb'], 1],
  [['tool', '\x9b2J'], 1],
  [['tool', '\x7f'], 1],
  [['to\u200bol', 'x'], 0],
  [['to\u202eol', 'x'], 0],
  [['to ol\n', 'x'], 0],
  [['tool', '--no\u200b-pager'], 1],
  [['tool', '--se\u202et=x'], 1],
  [['tool', '-\u00ad'], 1],
  [['tool', ...Array.from({length: 4096}, () => 'x')], 4096],
  [['tool', 'x'.repeat(1024 * 1024)], 1],
  [['tool', ...Array.from({length: 2000}, () => 'x'.repeat(100))], 1298],
  [['tool', 7], 1],
  ['tool x', 0],
  [null, 0],
] as [unknown, number][])('TM-H6: bad argv number %# is refused before any grammar, with its position', (argv, position) => {
  expect(() => checkArgv(argv)).toThrow(expect.objectContaining({code: 'ARGV_INVALID', position}))
})

test('TM-H6: 4,096 arguments and 128 KiB are the limit, not below it', () => {
  checkArgv(['tool', ...Array.from({length: 4095}, () => 'x')])
  checkArgv(['tool', 'x'.repeat(128 * 1024 - 6)])
})

test.each([
  '^a|b$',
  'a|b',
  '(a+)+$',
  '(a+)+',
  '(a*)*',
  '((?:a+b)*)',
  '(?=a)b',
  '(?<!a)b',
  '(a)\\1',
  '(?<n>a)',
  '^a',
  'a$',
  '[a',
  '(a',
  'a)',
  'a**',
  'a{2',
  '*a',
  '\\b',
  '\\x41',
  '[z-a]',
  '[]',
  '',
  'a{3,2}',
  '(?:x{1,100}){1,100}',
  '(|a)',
])('TM-M2: the pattern %j is refused', pattern => {
  expect(findPatternFault(pattern)).toMatch(/./)
  expect(faultsOf({operands: [{name: 'x', type: {type: 'string', pattern}}]})).toHaveLength(1)
})

test('TM-M2: a pattern is matched against one whole argument, and not past a newline', () => {
  expect(matchesPattern('web-1\\.prod', 'web-1.prod')).toBe(true)
  for (const value of ['web-1.prod\n', 'web-1.prod\nx', 'xweb-1.prod', 'web-1xprod', ''])
    expect(matchesPattern('web-1\\.prod', value), value).toBe(false)
  expect(matchesPattern('(?:a|b){2}', 'ab')).toBe(true)
  expect(matchesPattern('.', '😀')).toBe(true)
  expect(matchesPattern('[^x]+', 'a\nb')).toBe(false)
})

test('TM-M2: matching takes linear time where a backtracking engine would not end', () => {
  const started = performance.now()
  expect(matchesPattern('(?:a|a)*(?:a|a)*a{0,50}b', 'a'.repeat(4096))).toBe(false)
  expect(performance.now() - started).toBeLessThan(2000)
})

test.each([
  ['integer', ['0', '7', '999'], ['-1', '007', '+5', '1e3', '0x1', ' 1', '1.0', '', '9'.repeat(20)]],
  [{type: 'integer', min: -5, max: 5}, ['-5', '0', '5'], ['-6', '6', '-0']],
  ['duration', ['90s', '10m', '1h30m', '2d'], ['10', '1w', '-1m', '1.5h', 'm', `${'9'.repeat(31)}d`]],
  [{type: 'duration', max: 3600}, ['1h', '60m'], ['61m', '1d']],
  ['unit-name', ['nginx', 'a@b.service', 'dev-sda1.device', 'x\\x2dy.mount'], ['-x', '@x', '*.service', 'a b', 'a/b', 'é']],
  [
    'host-name',
    ['web-1.prod.example', 'localhost'],
    [
      '-oProxyCommand=x',
      '10.0.0.1',
      '2130706433',
      '0x7f.1',
      'a..b',
      'a.',
      'A.b',
      'web-1.prоd.example',
      'a_b',
      'a\u200b.b',
      'user@host',
      '[::1]',
    ],
  ],
  [
    {type: 'host-name', hosts: ['*.internal.example', 'db']},
    ['a.internal.example', 'x.y.internal.example', 'db'],
    ['internal.example', 'evil-internal.example', 'db.x', '.internal.example', 'a.internal.example.evil'],
  ],
  ['name', ['a', 'A.b-c_1', '_x'], ['-a', '.a', 'a/b', 'a b', 'a\n', 'é', '@a']],
  [
    {type: 'path', below: ['/var/log/app', '/srv']},
    ['/var/log/app', '/var/log/app/a b.log', '/srv/x/y'],
    [
      '/var/log/app/../x',
      '/var/log/app//x',
      '/var/log/app/',
      '/var/log/app/./x',
      '/var/log/application',
      'var/log/app/x',
      '/',
      '/srv/a\u202eb',
      '/srv/a\n',
      '/proc/self/environ',
    ],
  ],
  ['relative-path', ['src/a.ts', 'a'], ['../a', 'a/../b', '/a', './a', '-a', 'a//b', '~/a', ':(top)a', 'a/']],
  [
    {type: 'url', hosts: ['s.example', 't.example:8443'], below: ['/v1']},
    ['https://s.example/v1', 'https://s.example/v1/a?b=c', 'https://t.example:8443/v1/x'],
    [
      'http://s.example/v1',
      'https://s.example',
      'https://s.example/v2',
      'https://s.example/v1/../v2',
      'https://s.example/v1/%2e%2e/v2',
      'https://s.example/v1/%2fx',
      'https://u@s.example/v1',
      'https://s.example:444/v1',
      'https://s.example/v1{a,b}',
      'https://s.example/v1[1-9]',
      'https://s.example/v1#x',
      'https://s.example\\@evil/v1',
      'https://S.example/v1',
      'https://s.example/v1%zz',
      'file:///v1',
    ],
  ],
  [{type: 'list', of: 'name', max: 2}, ['a', 'a,b'], ['a,b,c', 'a,', ',a', 'a,-b', 'a, b', '']],
  [{type: 'joined', of: ['name', {type: 'text', leading: ['@']}], separator: '='}, ['a=b', 'a=b=c', 'a=@b'], ['a', '=b', 'a=', '-a=b']],
  [{type: 'enum', values: ['a', '-b']}, ['a', '-b'], ['b', 'A', '', 'a,-b']],
  [{type: 'text', lines: true}, ['a\nb'], ['']],
  [{type: 'string', maxLength: 3}, ['abc'], ['abcd', 'a\u00a0b']],
] as [string | {type: string}, string[], string[]][])('TM-H1 TM-H3: the type %j takes its values alone', (type, good, bad) => {
  expect(good.filter(value => !testValue(value, type))).toEqual([])
  expect(bad.filter(value => testValue(value, type))).toEqual([])
})

test.each([
  [
    {
      operands: [
        {name: 'a', type: 'name', min: 0},
        {name: 'b', type: 'name'},
      ],
    },
    'commands[0].operands[0]: an operand that may be left out or repeated comes before one that is required',
  ],
  [
    {
      operands: [
        {name: 'a', type: 'name', max: 3},
        {name: 'b', type: 'name'},
      ],
    },
    'commands[0].operands[0]: an operand that may be left out',
  ],
  [{operands: [{name: 'a', type: 'name', min: 3, max: 2}]}, 'commands[0].operands[0]: `min` is more than `max`'],
  [
    {
      operands: [
        {name: 'a', type: 'name'},
        {name: 'a', type: 'name'},
      ],
    },
    'commands[0].operands[1]: a is taken',
  ],
  [{operands: [{name: 'a', type: 'nam'}]}, 'commands[0].operands[0]: there is no type "nam"'],
  [{operands: [{name: 'a', type: {type: 'path'}}]}, 'commands[0].operands[0]: a path has `below`'],
  [
    {operands: [{name: 'a', type: {type: 'path', below: ['/proc/1']}}]},
    'commands[0].operands[0]: `below` names absolute directories outside /proc',
  ],
  [{operands: [{name: 'a', type: {type: 'url'}}]}, 'commands[0].operands[0]: a url has `hosts`'],
  [{operands: [{name: 'a', type: {type: 'integer', values: ['1']}}]}, 'commands[0].operands[0]: the type integer takes no `values`'],
  [
    {operands: [{name: 'a', type: {type: 'string', nonsense: 1}}]},
    'commands[0].operands[0].type.nonsense: is not a field that is known here',
  ],
  [
    {operands: [{name: 'a', type: {type: 'name', secret: true}, lock: true}]},
    'commands[0].operands[0]: a secret cannot be what a run locks',
  ],
  [{dashes: 'allowed'}, 'commands[0].dashes: nothing could follow `--`'],
  [{operands: [{name: 'a', type: 'name', afterDashes: true}]}, 'commands[0].dashes: operands stand after `--`, and `--` is refused'],
  [{options: {'--a': {value: 'flag', aliases: ['--a']}}}, 'commands[0].options.--a: --a is a spelling of this option already'],
  [
    {options: {'--a': {value: 'flag', aliases: ['-x']}, '--b': {value: 'flag', aliases: ['-x']}}},
    'commands[0].options.--b: -x is a spelling of --a',
  ],
  [{options: {'--a': {value: 'flag', excludes: ['--c']}}}, 'commands[0].options.--a: there is no option --c'],
  [{options: {'--a': {value: 'flag', attach: ['equals']}}}, 'commands[0].options.--a: a flag takes no value'],
  [{options: {'-n': {value: 'integer', attach: ['equals']}}}, 'commands[0].options.-n: nothing says how -n gets its value'],
  [{options: {'-n': 'flag', '-name': 'string'}, bundles: true}, 'commands[0].options.-name: -name can also be read as -n and more'],
  [{options: {'--since': 'flg'}}, 'commands[0].options.--since: there is no type "flg"'],
  [{options: {'-- x': 'flag'}}, 'commands[0].options.-- x: is not a name that is allowed here'],
  [{options: {'--a': 'name'}, operands: [{name: 'a', type: 'name'}]}, 'commands[0]: policy would see --a and a under one name'],
  [{requireOne: [['--z']]}, 'commands[0].requireOne[0]: there is no option --z'],
  [{limit: {perTarget: 1, per: '10 min'}}, 'commands[0].limit.per: "10 min" is no duration'],
  [{adds: ['a\0']}, 'commands[0].adds[0]: is not well-formed text'],
  [{pth: []}, 'commands[0].pth: is not a field that is known here'],
  [{class: 'write'}, 'commands[0].class: must be one of read, change, admin, shell'],
  [{options: {'-NUM': {value: {type: 'integer'}, optional: true}}}, 'commands[0].options.-NUM: -NUM is its own value'],
] as [object, string][])('a definition with a fault is refused with its place: %j', (command, fault) => {
  expect(faultsOf(command).join('\n')).toContain(fault)
})

test('TM-H1: an option of the tool with many values and a subcommand leave it open where the one ends', () => {
  const options = {'--ids': {value: 'string', many: 3}}
  expect(findGrammarFaults({options, commands: [{path: ['go'], class: 'read'}]}, 'tool').map(({path}) => showPlace(path))).toEqual([
    'options.--ids',
  ])
  expect(findGrammarFaults({options, commands: [{path: [], class: 'read'}]}, 'tool')).toEqual([])
})

test('a grammar that is no grammar is CATALOG_INVALID, whatever it is', () => {
  for (const value of [
    null,
    undefined,
    [],
    'x',
    {},
    {commands: []},
    {commands: [null]},
    {commands: [{path: 'x', class: 'read'}]},
    {commands: [{path: ['-x'], class: 'read'}]},
    {commands: {}},
    JSON.parse('{"commands":[{"path":[],"class":"read","options":{"__proto__":"flag"}}]}'),
  ]) {
    expect(() => checkGrammar(value, 'tool')).toThrow(expect.objectContaining({code: 'CATALOG_INVALID'}))
  }
  expect(() =>
    checkGrammar(
      {
        commands: [
          {path: [], class: 'read'},
          {path: [], class: 'read'},
        ],
      },
      'tool',
    ),
  ).toThrow('commands[1]: policy would see it and commands[0] as one, tool::run')
  expect(() =>
    checkGrammar(
      {
        commands: [
          {path: ['a'], class: 'read'},
          {path: ['b'], class: 'read', options: {'--since': 'x'}},
        ],
      },
      'tool',
    ),
  ).toThrow('tool: commands[1].options.--since: ')
})

test('a checked grammar is data, says the same again, and is unchanged by a second check', () => {
  for (const {tool, data} of Object.values(grammars)) {
    const before = JSON.stringify(data)
    const checked = checkGrammar(data, tool)
    expect(JSON.stringify(data)).toBe(before)
    expect(checkGrammar(JSON.parse(JSON.stringify({options: checked.options, commands: checked.commands})), tool)).toEqual(checked)
  }
})

test('completion offers subcommands, options and values of few, and only what fits', () => {
  expect(completions(unit, ['uni'])).toEqual(['unit'])
  expect(completions(unit, ['unit', ''])).toEqual(['status', 'restart'])
  expect(completions(unit, ['unit', 're'])).toEqual(['restart'])
  expect(completions(unit, ['unit', 'status', '--'])).toEqual(['--no-pager', '--since', '--lines'])
  expect(completions(unit, ['unit', 'status', '--no-pager', '--'])).toEqual(['--since', '--lines'])
  expect(completions(unit, ['unit', 'status', 'nginx', ''])).toEqual([])
  expect(completions(unit, ['unit', 'stop', ''])).toEqual([])
  const kubectl = checkGrammar(grammars.kubectl?.data, 'kubectl')
  expect(completions(kubectl, ['kubectl', '-n', 'x', 'rollout', ''])).toEqual(['status', 'history'])
  expect(completions(kubectl, ['kubectl', 'version', '-o', ''])).toEqual(['json', 'yaml'])
  expect(completions(kubectl, ['kubectl', 'version', '--output=y'])).toEqual(['--output=yaml'])
  expect(completions(kubectl, ['kubectl', 'get', 'pods', '-n', 'x', '-'])).not.toContain('-A')
})

test('a command is described in words, for people', () => {
  expect(describeCommand(unit, 0)).toEqual([
    'unit status [--no-pager] [--since DURATION] [-n INTEGER] UNIT',
    '  UNIT: the name of a unit, such as nginx or nginx.service',
    '  --no-pager',
    '  --since DURATION: a duration such as 90s, 10m, 1h30m or 2d',
    '  -n INTEGER, --lines: an integer from 1 to 50',
    '  options stand before the operands',
    '  in policy: unit::status',
    '  for example: unit status nginx',
  ])
  expect(describeCommand(unit, 1)).toContain('  the broker adds: --no-block')
  expect(describeCommand(unit, 1)).toContain('  for example: unit restart nginx')
})

test('policy sees a command as an entity type with its arguments as attributes', () => {
  expect(cedarTypeName(unit, 0)).toBe('unit::status')
  expect(cedarAttributes(unit, 0)).toEqual({
    no_pager: {type: 'Bool', required: true},
    since: {type: 'Long', required: false},
    n: {type: 'Long', required: false},
    unit: {type: 'String', required: true},
  })
  expect(cedarValues(structureOf(unit, ['unit', 'status', '--since', '10m', 'nginx']), unit)).toEqual({
    no_pager: false,
    since: 600,
    unit: 'nginx',
  })

  const kubectl = checkGrammar(grammars.kubectl?.data, 'kubectl')
  expect(kubectl.commands.map((_, index) => cedarTypeName(kubectl, index)).slice(0, 2)).toEqual(['kubectl::get', 'kubectl::get_objects'])
  expect(cedarValues(structureOf(kubectl, ['kubectl', 'get', 'pods,svc', 'a', 'b']), kubectl)).toEqual({
    A: false,
    kinds: ['pods', 'svc'],
    names: ['a', 'b'],
  })
  expect(cedarTypeName(checkGrammar(grammars.grep?.data, 'grep'), 1)).toBe('grep::run_by_option')
  expect(cedarTypeName({tool: 'redis-cli', commands: [{path: ['in'], class: 'read'}]}, 0)).toBe('redis_cli::in_')
  expect(Object.keys(cedarAttributes(checkGrammar(grammars.find?.data, 'find'), 0))).not.toContain('_')
})

test('TM-H14: every path in argv is named for the broker to resolve, pieces of values too', () => {
  const path = {type: 'path', below: ['/srv']}
  const command: CommandGrammar = {
    path: [],
    class: 'read',
    options: {
      '--in': path,
      '--map': {type: 'joined', of: ['name', path], separator: ':'},
      '--many': {type: 'list', of: path},
      '--or': {type: 'any', of: ['integer', path]},
    },
    operands: [{name: 'file', type: path, min: 0, max: 2}],
  }
  const grammar = checkGrammar({commands: [command]}, 'tool')
  const found = pathOperands(
    structureOf(grammar, ['tool', '--in=/srv/a', '--map', 'x:/srv/b:c', '--many', '/srv/d,/srv/e', '--or', '/srv/f', '/srv/g', '/srv/h']),
    grammar,
  )
  expect(found.map(({name, value}) => [name, value])).toEqual([
    ['--in', '/srv/a'],
    ['--map', '/srv/b:c'],
    ['--many', '/srv/d'],
    ['--many', '/srv/e'],
    ['--or', '/srv/f'],
    ['file', '/srv/g'],
    ['file', '/srv/h'],
  ])
  expect(found.every(({below}) => below.join() === '/srv')).toBe(true)
  expect(pathOperands(structureOf(grammar, ['tool', '--or', '7']), grammar)).toEqual([])
})

test('TM-U2: a secret is kept from policy and replaced for display, however it is attached', () => {
  const grammar = checkGrammar(
    {
      commands: [
        {
          path: [],
          class: 'read',
          options: {'-p': {value: {type: 'string', secret: true}, aliases: ['--password'], attach: ['separate', 'equals', 'attached']}},
          operands: [{name: 'user', type: 'name'}],
        },
      ],
    },
    'tool',
  )
  for (const [argv, shown] of [
    [
      ['tool', '-phunter2', 'bob'],
      ['tool', '-p[secret]', 'bob'],
    ],
    [
      ['tool', '-p', 'hunter2', 'bob'],
      ['tool', '-p', '[secret]', 'bob'],
    ],
    [
      ['tool', '--password=hunter2', 'bob'],
      ['tool', '--password=[secret]', 'bob'],
    ],
  ] as [string[], string[]][]) {
    const structure = structureOf(grammar, argv)
    expect(hasSecret(structure, grammar)).toBe(true)
    expect(redactArgv(structure, grammar)).toEqual(shown)
    expect(JSON.stringify([redactStructure(structure, grammar), cedarValues(structure, grammar)])).not.toContain('hunter2')
  }
  expect(hasSecret(structureOf(grammar, ['tool', 'bob']), grammar)).toBe(false)
  expect(cedarAttributes(grammar, 0)).toEqual({user: {type: 'String', required: true}})
  // a refused value may be a secret too: it is not repeated
  expect(JSON.stringify(refusalOf(grammar, ['tool', '-p', '@hunter2', 'bob']))).not.toContain('hunter2')
})

test('a duration is text at the borders and seconds inside', () => {
  expect(parseDuration('1h30m')).toBe(5400)
  expect(() => parseDuration('10 minutes')).toThrow(expect.objectContaining({code: 'DURATION_INVALID'}))
})

test('a large grammar and a long argv are read in milliseconds', () => {
  const commands = Array.from(
    {length: 200},
    (_, index): CommandGrammar => ({
      path: [`c${index}`],
      class: 'read',
      options: {'--a': {value: 'string', repeat: true}},
      optionsStand: 'anywhere',
      operands: [{name: 'x', type: 'name', max: 4000}],
    }),
  )
  const grammar = checkGrammar({commands}, 'tool')
  const argv = ['tool', 'c199', ...Array.from({length: 4000}, (_, index) => `n${index}`)]
  parse(grammar, argv)
  const started = performance.now()
  expect(parse(grammar, argv).ok).toBe(true)
  expect(performance.now() - started).toBeLessThan(200)
})
