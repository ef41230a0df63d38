import {spawnSync} from 'node:child_process'
import {chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {api} from '@prod/sdk/api'
import type {CatalogView} from '@prod/sdk/catalog-view'
import {keepForCompletion} from '@prod/sdk/cli/catalog-cache'
import {completions} from '@prod/sdk/grammar/complete'
import {expect, onTestFinished, test, vi} from 'vitest'
import {candidates, completion, type Manifest} from '../src/completion/complete.ts'
import {scripts} from '../src/completion/scripts.ts'
import {afterBreak, splitLine} from '../src/completion/words.ts'

const root = join(import.meta.dirname, '..')

const packages: Manifest[] = [
  {
    commands: {
      exec: {
        flags: {
          reason: {type: 'option', char: 'r'},
          on: {type: 'option', multiple: true},
          wait: {type: 'boolean'},
          secret: {type: 'boolean', hidden: true},
        },
      },
      'request:create': {args: {role: {}}},
      'request:approve': {args: {request: {}}},
      'request:show': {args: {request: {}}},
      'broker:check': {args: {file: {}}},
      autocomplete: {args: {shell: {options: ['bash', 'zsh', 'fish']}}},
      'review:done': {flags: {verdict: {type: 'option', options: ['ok', 'violation']}}},
      hidden: {hidden: true},
    },
  },
  {commands: {'broker:start': {flags: {dev: {type: 'boolean'}}}}},
]
const view: CatalogView = {
  bundle: 'b',
  tools: [
    {
      name: 'unit',
      summary: 'services',
      service: null,
      targets: ['local'],
      grammar: {
        tool: 'unit',
        commands: [
          {path: ['status'], class: 'read', options: {'--no-pager': 'flag'}},
          {path: ['restart'], class: 'change', options: {'--output': {type: 'list', of: {type: 'enum', values: ['name', 'load', 'size']}}}},
        ],
      },
      commands: [],
    },
    {
      name: '$(touch pwned)',
      summary: 'a name that a shell would run',
      service: null,
      targets: [],
      grammar: {tool: 'x', commands: []},
      commands: [],
    },
  ],
  targets: [{name: 'local', address: 'host:local', environment: 'production', summary: '', shell: 'no'}],
  roles: [{name: 'web-operator', summary: '', provider: 'group', class: 'change', maxSeconds: 60, usable: 'request', active: null}],
}
const catalog = {
  broker: 'https://prod.example',
  savedAt: '2026-11-22T03:04:05.678Z',
  view,
  requests: ['req_7h2k', 'req_done'],
  pending: ['req_7h2k'],
}

function offered(line: string, broker?: string): string {
  return candidates(['bash', line], {ofTool: completions, packages, catalog, broker}).join(' ')
}

test.for([
  ['prod ', 'exec request broker autocomplete review'],
  ['prod re', 'request review'],
  ['prod request ', 'create approve show'],
  ['prod request a', 'approve'],
  ['prod help request ', 'create approve show'],
  ['prod broker start --', '--help --dev'],
  ['prod exec --', '--help --reason --on --wait'],
  ['prod exec --wait --', '--help --reason --on'],
  ['prod exec --reason ', ''],
  ['prod exec --on ', 'local'],
  ['prod exec --on=l', 'local'],
  ['prod exec --on local --on ', 'local'],
  ['prod exec --reason "why not" ', 'unit'],
  ['prod exec -r why u', 'unit'],
  ['prod exec -- u', 'unit'],
  ['prod exec unit ', 'status restart'],
  ['prod exec --reason x unit re', 'restart'],
  ['prod exec unit status --', '--no-pager'],
  ['prod exec unit restart --output ', 'name load size'],
  ['prod exec unit restart --output name,', 'name,load name,size'],
  ['prod exec unit restart --output=name,l', 'name,load'],
  ['prod exec unit restart --output wrong,', ''],
  ['prod exec nosuch ', ''],
  ['prod request create ', 'web-operator'],
  ['prod request approve ', 'req_7h2k'],
  ['prod request show ', 'req_7h2k req_done'],
  ['prod autocomplete ', 'bash zsh fish'],
  ['prod autocomplete bash ', ''],
  ['prod review done --verdict ', 'ok violation'],
  ['prod nosuch ', ''],
])('after %j come %j', ([line = '', expected]) => {
  expect(offered(line)).toBe(expected)
})

test('where a value of the catalog or of few is to stand, no file is offered in its place', () => {
  const answer = (line: string, sources = {}) =>
    completion(['bash', line], {ofTool: completions, packages, catalog, broker: undefined, ...sources})
  for (const line of [
    'prod exec x',
    'prod exec --on x',
    'prod request approve x',
    'prod request create x',
    'prod exec unit x',
    'prod autocomplete x',
  ])
    expect([line, answer(line)]).toEqual([line, ['!']])
  for (const line of ['prod request approve ', 'prod exec ']) expect(answer(line, {catalog: undefined})).toEqual(['!'])
  expect(answer('prod exec un')).toEqual(['unit'])
  for (const line of ['prod broker check x', 'prod exec --reason x', 'prod exec nosuch x']) expect([line, answer(line)]).toEqual([line, []])
})

test('TM-R1: a name that a shell would act on is never offered', () => {
  expect(offered('prod exec $')).toBe('')
  expect(offered('prod exec ')).toBe('unit')
})

test('assume is offered the roles of this machine, and nothing behind --', () => {
  const commands = {assume: {args: {role: {}}, flags: {env: {type: 'boolean' as const}}}}
  const offered = (roles: unknown, ...words: string[]) =>
    candidates(['zsh', 'prod', 'assume', ...words], {
      ofTool: completions,
      packages: [{commands}],
      catalog: undefined,
      broker: undefined,
      roles,
    })
  const roles = ['staging', 'corp/payments/Audit', '$(touch pwned)', 7]
  expect(offered(roles, '')).toEqual(['staging', 'corp/payments/Audit'])
  expect(offered(roles, '--env', 'st')).toEqual(['staging'])
  expect(offered(roles, '--')).toEqual(['--help', '--env'])
  expect(offered(roles, 'staging', '')).toEqual([])
  expect(offered(roles, 'staging', '--', '')).toEqual([])
  expect(offered({evil: true}, '')).toEqual([])
})

test('the catalog of another broker, or none that can be read, offers nothing', () => {
  expect(offered('prod exec ', 'https://other.example')).toBe('')
  const named = {packages, catalog: {...catalog, named: 'staging'}}
  expect(candidates(['bash', 'prod exec '], {ofTool: completions, ...named, broker: 'staging'})).toEqual(['unit'])
  expect(candidates(['bash', 'prod exec '], {ofTool: completions, ...named, broker: undefined})).toEqual([])
  for (const broken of [undefined, null, 7, {}, {view: {}}, {view: {tools: [], targets: 3, roles: []}}]) {
    expect(candidates(['zsh', 'prod', 'exec', ''], {ofTool: completions, packages, catalog: broken, broker: undefined})).toEqual([])
  }
})

test('what a call has answered is offered from then on', async ({onTestFinished}) => {
  const home = mkdtempSync(join(tmpdir(), 'prod-completion-'))
  vi.stubEnv('XDG_CACHE_HOME', home)
  vi.stubEnv('PROD_BROKER', 'staging')
  onTestFinished(() => {
    vi.unstubAllEnvs()
    rmSync(home, {recursive: true})
  })
  const seen = () => JSON.parse(readFileSync(join(home, 'prod/catalog.json'), 'utf8')) as unknown
  const ask = (line: string) => candidates(['bash', line], {ofTool: completions, packages, catalog: seen(), broker: 'staging'})

  keepForCompletion(api.catalog, view, 'https://prod.example')
  expect(ask('prod exec ')).toEqual(['unit'])
  keepForCompletion(
    api.listRequests,
    {
      requests: [
        {id: 'req_9', state: 'pending'},
        {id: 'req_8', state: 'done'},
      ],
    },
    'https://prod.example',
  )
  expect(ask('prod request approve ')).toEqual(['req_9'])
  keepForCompletion(api.catalog, {...view, tools: []}, 'https://prod.example')
  expect([ask('prod exec '), ask('prod request approve ')]).toEqual([[], ['req_9']])
  keepForCompletion(api.catalog, view, 'https://other.example')
  expect(ask('prod request approve ')).toEqual([])
  keepForCompletion(api.listRequests, {requests: [{id: 'req_7', state: 'pending'}]}, 'https://third.example')
  expect(ask('prod request approve ')).toEqual(['req_7'])
  keepForCompletion(api.approveRequest, {id: 'req_7', state: 'approved'}, 'https://third.example')
  expect([ask('prod request approve '), ask('prod request show ')]).toEqual([[], ['req_7']])
  expect(statSync(join(home, 'prod/catalog.json')).mode & 0o777).toBe(0o600)
})

test('a line is split as a POSIX shell would split it, and nothing is expanded', () => {
  expect(splitLine(`prod  exec --reason "a \\"b\\" 'c'" 'd e' f\\ g ""`)).toEqual([
    'prod',
    'exec',
    '--reason',
    `a "b" 'c'`,
    'd e',
    'f g',
    '',
  ])
  expect(splitLine('prod exec $(x) `y` ')).toEqual(['prod', 'exec', '$(x)', '`y`', ''])
})

test('bash is given what stands behind the last colon or equals sign', () => {
  expect(afterBreak('ssm:eu-west-1/i-0a', 'ssm:eu')).toBe('eu-west-1/i-0a')
  expect(afterBreak('--on=host:local', '--on=host:l')).toBe('local')
  expect(afterBreak('unit', 'un')).toBe('unit')
})

/** What a real bash would put on the line: its own completion function, run without a terminal. */
function askBash(line: string): string[] {
  const home = mkdtempSync(join(tmpdir(), 'prod-completion-'))
  onTestFinished(() => rmSync(home, {recursive: true, force: true}))
  mkdirSync(join(home, 'bin'))
  mkdirSync(join(home, '.cache/prod'), {recursive: true, mode: 0o700})
  writeFileSync(join(home, '.cache/prod/catalog.json'), JSON.stringify(catalog), {mode: 0o600})
  writeFileSync(join(home, 'bin/prod'), `#!/bin/sh\nexec '${process.execPath}' '${join(root, 'bin/run.js')}' "$@"\n`)
  chmodSync(join(home, 'bin/prod'), 0o755)
  const ask = `source <(prod autocomplete bash)
    complete -p prod | grep -q -- '-F _prod' || exit 9
    COMP_LINE=$1 COMP_POINT=\${#1}
    _prod
    printf '%s\\n' "\${COMPREPLY[@]}"`
  const {status, stdout, stderr} = spawnSync('bash', ['--norc', '-c', ask, 'bash', line], {
    encoding: 'utf8',
    env: {HOME: home, PATH: `${join(home, 'bin')}:${process.env.PATH}`},
  })
  expect({status, stderr}).toEqual({status: 0, stderr: ''})
  return stdout.split('\n').filter(Boolean)
}

test('a real bash completes commands, tools and what the grammar of a tool allows', () => {
  expect(askBash('prod autoc')).toEqual(['autocomplete'])
  expect(askBash('prod exec --reason "look at it" un')).toEqual(['unit'])
  expect(askBash('prod exec unit res')).toEqual(['restart'])
})

test('every script is what its shell can read', () => {
  for (const [shell, script] of Object.entries(scripts)) {
    const {status, stderr, error} = spawnSync(shell, ['-n'], {input: script, encoding: 'utf8'})
    if (error) continue // this shell is not on this machine
    expect({shell, status, stderr}).toEqual({shell, status: 0, stderr: ''})
  }
})

test('a forward is offered targets after its ports, and where ports stand no files', () => {
  const forward: Manifest = {
    commands: {
      forward: {
        args: {target: {}},
        flags: {listen: {type: 'option', char: 'L', multiple: true}, stdio: {type: 'option'}, reason: {type: 'option', char: 'r'}},
      },
    },
  }
  const ask = (...words: string[]) =>
    completion(['zsh', 'prod', 'forward', ...words], {packages: [forward], catalog: {view}, broker: undefined})
  for (const words of [
    [''],
    ['-L', '5432:db:5432', ''],
    ['-L5432:db:5432', ''],
    ['--listen=1:db:2', ''],
    ['--listen', '1:db:2', '-r', 'to look', ''],
  ])
    expect([words, ask(...words)]).toEqual([words, ['local', 'web-1'].filter(name => view.targets.some(one => one.name === name))])
  for (const words of [
    ['-L', ''],
    ['--listen', '54'],
    ['local', '-L', ''],
  ])
    expect([words, ask(...words)]).toEqual([words, ['!']])
})
