import {execFileSync} from 'node:child_process'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {beforeEach, describe, expect, test} from 'vitest'
import {argvLines} from '../src/cli/argv-text.ts'
import {type Config, changeConfig, chooseBroker, listConfig, readConfig, writeConfig} from '../src/cli/config.ts'
import {parseDuration, parseMoment, showClock, showWhen} from '../src/cli/durations.ts'
import {cut, hasColour, paint, unpaint, wrap} from '../src/cli/output.ts'
import {appendPrivate, places, privateFolder, readPrivate, writePrivate} from '../src/cli/places.ts'
import {table} from '../src/cli/table.ts'
import {showDuration} from '../src/grammar/duration.ts'

const refused = (why: RegExp): unknown => expect.objectContaining({code: 'CONFIG_INVALID', message: expect.stringMatching(why)})

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'prod-places-'))
  return () => rmSync(home, {recursive: true, force: true})
})

describe('places', () => {
  test('follow the XDG folders, which count only when absolute, and the Windows ones', () => {
    expect(places({HOME: '/home/a'}, 'linux')).toEqual({
      config: '/home/a/.config/prod',
      state: '/home/a/.local/state/prod',
      cache: '/home/a/.cache/prod',
    })
    expect(places({HOME: '/home/a', XDG_CONFIG_HOME: '/c', XDG_STATE_HOME: 's', XDG_CACHE_HOME: ''}, 'linux')).toEqual({
      config: '/c/prod',
      state: '/home/a/.local/state/prod',
      cache: '/home/a/.cache/prod',
    })
    expect(places({APPDATA: '/r', LOCALAPPDATA: '/l', USERPROFILE: '/u'}, 'win32')).toEqual({
      config: '/r/prod',
      state: '/l/prod/state',
      cache: '/l/prod/cache',
    })
  })

  test('TM-U1: files are 0600 in 0700 folders, and replaced whole', () => {
    const path = join(home, 'prod', 'a.json')
    const before = process.umask(0)
    try {
      writePrivate(path, 'one')
      writePrivate(path, 'two')
    } finally {
      process.umask(before)
    }
    expect(readPrivate(path, {secret: true})).toBe('two')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(statSync(join(home, 'prod')).mode & 0o777).toBe(0o700)
    expect(readdirSync(join(home, 'prod'))).toEqual(['a.json'])
    expect(readPrivate(join(home, 'prod', 'none'))).toBeUndefined()
    expect(readPrivate(join(home, 'nowhere', 'none'))).toBeUndefined()
  })

  test('TM-U1: a link that stands there before is not followed', () => {
    const victim = join(home, 'victim')
    writeFileSync(victim, 'keep', {mode: 0o600})
    const folder = privateFolder(join(home, 'prod'))
    symlinkSync(victim, join(folder, 'link'))
    expect(() => readPrivate(join(folder, 'link'))).toThrow(refused(/is a link/))
    expect(() => writePrivate(join(folder, 'link'), 'gone')).toThrow(refused(/is a link/))
    expect(() => appendPrivate(join(folder, 'link'), 'gone', {maxBytes: 100})).toThrow(refused(/is a link/))
    symlinkSync(folder, join(home, 'alias'))
    expect(() => writePrivate(join(home, 'alias', 'x'), 'gone')).toThrow(refused(/is a link/))
    expect(readFileSync(victim, 'utf8')).toBe('keep')
    expect(lstatSync(join(folder, 'link')).isSymbolicLink()).toBe(true)
  })

  test('TM-U1: what others can write is refused, and what others can read where it is secret', () => {
    const path = join(home, 'prod', 'a.json')
    writePrivate(path, 'x')
    for (const mode of [0o620, 0o602, 0o666]) {
      chmodSync(path, mode)
      expect(() => readPrivate(path)).toThrow(refused(/written by others/))
    }
    chmodSync(path, 0o640)
    expect(readPrivate(path)).toBe('x')
    expect(() => readPrivate(path, {secret: true})).toThrow(refused(/read by others/))
    chmodSync(path, 0o600)
    for (const mode of [0o777, 0o770, 0o1777]) {
      chmodSync(join(home, 'prod'), mode)
      expect(() => readPrivate(path)).toThrow(refused(/written by others/))
      expect(() => writePrivate(path, 'y')).toThrow(refused(/written by others/))
    }
    chmodSync(join(home, 'prod'), 0o755)
    writePrivate(path, 'y')
    expect(statSync(join(home, 'prod')).mode & 0o777).toBe(0o700)
  })

  test.skipIf(process.geteuid?.() !== 0)('TM-U1: what belongs to somebody else is refused', () => {
    const path = join(home, 'prod', 'a.json')
    writePrivate(path, 'x')
    execFileSync('chown', ['65534', path])
    expect(() => readPrivate(path)).toThrow(refused(/somebody else/))
    expect(() => writePrivate(path, 'y')).toThrow(refused(/somebody else/))
    execFileSync('chown', ['65534', join(home, 'prod')])
    expect(() => readPrivate(join(home, 'prod', 'b'))).toThrow(refused(/somebody else/))
  })

  test('TM-U1: a pipe or a folder in the place of a file is refused without waiting', () => {
    const folder = privateFolder(join(home, 'prod'))
    execFileSync('mkfifo', ['-m', '600', join(folder, 'pipe')])
    expect(() => readPrivate(join(folder, 'pipe'))).toThrow(refused(/no plain file/))
    mkdirSync(join(folder, 'dir'), {mode: 0o700})
    expect(() => readPrivate(join(folder, 'dir'))).toThrow(refused(/no plain file/))
  })
})

describe('settings', () => {
  const env = (): NodeJS.ProcessEnv => ({HOME: home})

  test('are written, read back, listed and taken out', () => {
    writeConfig(changeConfig(readConfig(env()), 'brokers.main.url', 'https://prod.example/'), env())
    writeConfig(changeConfig(readConfig(env()), 'broker', 'main'), env())
    writeConfig(changeConfig(readConfig(env()), 'telemetry', 'off'), env())
    writeConfig(changeConfig(readConfig(env()), 'brokers.main.caFile', '/etc/ca.pem'), env())
    expect(listConfig(readConfig(env()))).toEqual({
      broker: 'main',
      telemetry: 'off',
      'brokers.main.url': 'https://prod.example',
      'brokers.main.caFile': '/etc/ca.pem',
    })
    expect(changeConfig(readConfig(env()), 'brokers.main', undefined)).toEqual({telemetry: 'off', brokers: {}})
  })

  test('a key, a value or a broker that cannot be is refused', () => {
    for (const [key, value] of [
      ['nonsense', 'x'],
      ['telemetry', 'maybe'],
      ['credentialStore', 'paper'],
      ['broker', 'nobody'],
      ['brokers.Main.url', 'https://x'],
      ['brokers.main.caFile', '/x'],
      ['__proto__', 'x'],
      ['constructor', 'x'],
    ] as const) {
      expect(() => changeConfig({}, key, value), key).toThrow(expect.objectContaining({code: 'USAGE'}))
    }
    expect(() => changeConfig({}, 'brokers.main.url', 'http://prod.example')).toThrow(expect.objectContaining({code: 'INSECURE_URL'}))
  })

  test('TM-U1: a file with anything else in it, or open to writers, is refused', () => {
    const path = join(home, '.config/prod/config.json')
    for (const text of [
      '{',
      '[]',
      '{"nonsense": 1}',
      '{"telemetry": "maybe"}',
      '{"brokers": {"main": {}}}',
      '{"brokers": {"main": {"url": "https://x", "insecure": "yes"}}}',
    ]) {
      writePrivate(path, text)
      expect(() => readConfig(env()), text).toThrow(expect.objectContaining({code: 'CONFIG_INVALID'}))
    }
    writePrivate(path, '{}')
    chmodSync(path, 0o622)
    expect(() => readConfig(env())).toThrow(refused(/written by others/))
  })

  test('the broker that is meant: the flag, then PROD_BROKER, then the setting, then the only one', () => {
    const config: Config = {
      brokers: {main: {url: 'https://main.example'}, test: {url: 'http://127.0.0.1:8443', caFile: '/ca'}},
      broker: 'main',
    }
    expect(chooseBroker(config, undefined, {})).toEqual({name: 'main', url: 'https://main.example'})
    expect(chooseBroker(config, undefined, {PROD_BROKER: 'test'})).toEqual({name: 'test', url: 'http://127.0.0.1:8443', caFile: '/ca'})
    expect(chooseBroker(config, 'main', {PROD_BROKER: 'test'}).name).toBe('main')
    expect(chooseBroker(config, 'http://127.0.0.1:8443/', {}).name).toBe('test')
    expect(chooseBroker(config, 'https://other.example:9', {})).toEqual({name: 'other.example:9', url: 'https://other.example:9'})
    expect(chooseBroker({brokers: {only: {url: 'https://only.example'}}}, undefined, {}).name).toBe('only')
    for (const [some, named] of [
      [{}, undefined],
      [config, 'nobody'],
      [{brokers: {}}, 'toString'],
    ] as const)
      expect(() => chooseBroker(some, named, {})).toThrow(expect.objectContaining({code: 'USAGE'}))
    expect(() => chooseBroker(config, 'http://prod.example', {})).toThrow(expect.objectContaining({code: 'INSECURE_URL'}))
  })
})

test('colour needs a terminal or the wish, and never comes against NO_COLOR', () => {
  expect(hasColour('stdout', {FORCE_COLOR: '1'})).toBe(true)
  expect(hasColour('stdout', {FORCE_COLOR: '0'})).toBe(false)
  expect(hasColour('stdout', {FORCE_COLOR: '1', NO_COLOR: '1'})).toBe(false)
  expect(unpaint(`${paint('red', 'a')}b`)).toBe('ab')
  expect(cut('abcdef', 4)).toBe('abc…')
  expect(cut('日本語', 5)).toBe('日本…')
})

test('TM-W6: an argv that is too long for a line is listed whole, argument by argument', () => {
  expect(argvLines(['unit', 'restart', 'a b'], 80)).toEqual(["unit restart 'a b'"])
  const long = ['rm', ...Array.from({length: 11}, (_, i) => `file-${i}-${'x'.repeat(20)}`), '--force']
  const lines = argvLines(long, 80)
  expect(lines[0]).toBe('13 arguments:')
  expect(lines[1]).toBe(' 0  rm')
  expect(lines.at(-1)).toBe('12  --force')
  expect(lines).toHaveLength(14)
})

test('a table aligns wide letters, fits the room where it can, and needs rows', () => {
  expect(
    table(
      ['A', 'B'],
      [
        ['日本', 1],
        ['x', undefined],
      ],
    ).map(unpaint),
  ).toEqual(['A     B', '日本  1', 'x     -'])
  expect(table(['A', 'B'], [])).toEqual([])
  const narrow = table(['NAME', 'SUMMARY'], [['a'.repeat(30), 'b'.repeat(60)]], 40).map(unpaint)
  expect(narrow).toEqual(['NAME', 'a'.repeat(30), `  SUMMARY: ${'b'.repeat(60)}`])
  expect(table(['NAME', {head: 'SUMMARY', prose: true}], [['a', 'b'.repeat(60)]], 40).map(unpaint)[1]).toBe(`a     ${'b'.repeat(33)}…`)
  expect(table(['NAME'], [['a'.repeat(60)]], 40).map(unpaint)[1]).toBe(`${'a'.repeat(39)}…`)
  const open = ['rev_1m822112fb7xhd9q1', 'open', 'ses_1m822112fhngryekx', 'alice', 'local', 'in 2d23h', '', '']
  const reviews = table(['review', 'state', 'session', 'of', 'target', 'due', 'by', {head: 'verdict', prose: true}], [open], 80)
  expect(reviews).toHaveLength(2)
  const id = 'req_01k9x7h2d6b5x1v0m3q8r4t6wz'
  const heads = ['request', 'state', 'by', 'where', {head: 'what', prose: true}, 'asked', {head: 'reason', prose: true}] as const
  const row = [id, 'approved', 'alice.of.payments', 'production', 'web restart --all', '20h59m ago', 'the site answers slowly']
  for (const room of [80, 40]) {
    const lines = table(heads, [row, ['-', ...row.slice(1)]], room).map(unpaint)
    expect(lines[1]).toContain(`${id}  `)
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(room)
    expect(lines.filter(line => line === '  what: web restart --all')).toHaveLength(2)
    expect(lines).toContain('  reason: the site answers slowly')
  }
})

test('spans and moments are read and shown as people write them', () => {
  expect(['30m', '1h30m', '90s', '2d', '45'].map(parseDuration)).toEqual([1800, 5400, 90, 172_800, 2700])
  for (const bad of ['', '0m', '30', 'm', '1m1h', '1.5h', '-5m', '5 m', '1h1h'].filter(text => text !== '30'))
    expect(() => parseDuration(bad), bad).toThrow(expect.objectContaining({code: 'DURATION_INVALID'}))
  expect([0, 59, 61, 5400, 90_061].map(showDuration)).toEqual(['0s', '59s', '1m1s', '1h30m', '1d1h'])
  const now = new Date('2026-11-22T12:00:00.000Z')
  expect(showWhen('2026-11-22T12:05:00Z', now)).toBe('in 5m')
  expect(showWhen('2026-11-22T09:00:00Z', now)).toBe('3h ago')
  const local = new Date(2026, 10, 22, 23, 30)
  expect(showClock(new Date(2026, 10, 22, 23, 59, 1).toISOString(), local)).toBe('23:59:01')
  expect(showClock(new Date(2026, 10, 23, 1, 2, 3).toISOString(), local)).toBe('2026-11-23 01:02:03')
  expect(showClock('soon', local)).toBe('soon')
  expect(parseMoment('+2h', now)).toBe('2026-11-22T14:00:00.000Z')
  expect(parseMoment('2026-11-22T14:30:00+01:00', now)).toBe('2026-11-22T13:30:00.000Z')
  const next = new Date(parseMoment('14:30', now))
  expect([next.getHours(), next.getMinutes()]).toEqual([14, 30])
  expect(next.getTime()).toBeGreaterThan(now.getTime())
  for (const bad of ['tomorrow', '25:00', '2026-11-22', '2026-13-01T00:00Z'])
    expect(() => parseMoment(bad, now), bad).toThrow(expect.objectContaining({code: 'USAGE'}))
})

test('a long line is broken between words, a command and a word that is too long are not', () => {
  expect(wrap('short', 10)).toEqual(['short'])
  expect(wrap('the alert was not accepted by pager', 16)).toEqual(['the alert was', 'not accepted by', 'pager'])
  expect(wrap('  kept indent stays', 10)).toEqual(['  kept', '  indent', '  stays'])
  expect(wrap(`see ${'x'.repeat(20)} now`, 10)).toEqual(['see', 'x'.repeat(20), 'now'])
  expect(wrap('try: prod roles --for s3:GetObject   (see which role allows it)', 20)).toHaveLength(1)
  expect(wrap(`${paint('bold', 'one two')} three`, 13)).toEqual([`${paint('bold', 'one two')} three`])
})

test('a command that a line names stays whole, so that it can be copied', () => {
  const ask = 'prod request approve req_1m821tsh713ncdbwd'
  expect(wrap(`web restart on local (production) needs approval: ${ask}`, 74)).toEqual([
    'web restart on local (production) needs approval:',
    ask,
  ])
  expect(wrap(`it waits: ${ask}`, 20)).toEqual(['it waits:', ask])
  expect(wrap('prod attach req_1 waits for it', 20)).toEqual(['prod attach req_1 waits for it'])
  expect(wrap('not approved; prod request deny req_1', 30)).toEqual(['not approved;', 'prod request deny req_1'])
  expect(wrap('ask: prod exec --reason "it is slow; look" web status; then wait', 24)).toEqual([
    'ask:',
    'prod exec --reason "it is slow; look" web status;',
    'then wait',
  ])
  expect(wrap('skipped: prod roles, prod assume need none, prod login makes one known', 30)).toEqual([
    'skipped: prod roles,',
    'prod assume need none,',
    'prod login makes one known',
  ])
  expect(wrap('it is: prod exec kubectl get pods,secrets', 30)).toEqual(['it is:', 'prod exec kubectl get pods,secrets'])
  expect(wrap('another prod is getting credentials of base; waiting', 24)).toEqual([
    'another prod is getting',
    'credentials of base;',
    'waiting',
  ])
})
