import {spawn} from 'node:child_process'
import {chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {keepCode, lendCode} from '@prod/sdk/testing/kept-code'
import {beforeEach, expect, test} from 'vitest'

const root = join(import.meta.dirname, '..')
let home: string
let lent: Record<string, string>
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'prod-config-'))
  lent = lendCode(home)
  return () => {
    keepCode(home)
    rmSync(home, {recursive: true, force: true})
  }
})

interface Ended {
  status: number | null
  stdout: string
  stderr: string
}

/** The command line as it is shipped, in a home of its own. */
function prod(args: string[], env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const child = spawn(process.execPath, [join(root, 'bin/run.js'), ...args], {
    env: {PATH: process.env.PATH, HOME: home, PROD_CREDENTIAL_STORE: 'file', ...lent, ...env},
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const out = {stdout: '', stderr: ''}
  child.stdout.on('data', bytes => {
    out.stdout += bytes
  })
  child.stderr.on('data', bytes => {
    out.stderr += bytes
  })
  return new Promise(resolve => child.on('close', status => resolve({status, ...out})))
}

const config = (): string => join(home, '.config/prod/config.json')

test('settings are set, shown, listed and taken out again', async () => {
  expect(await prod(['config', 'get', 'telemetry'])).toEqual({status: 0, stdout: 'on\n', stderr: ''})
  expect(await prod(['config', 'set', 'brokers.main.url', 'https://prod.example/'])).toMatchObject({
    status: 0,
    stdout: '',
    stderr: 'prod: brokers.main.url is now https://prod.example\n',
  })
  await prod(['config', 'set', 'telemetry', 'off'])
  expect(JSON.parse(readFileSync(config(), 'utf8'))).toEqual({brokers: {main: {url: 'https://prod.example'}}, telemetry: 'off'})
  expect(statSync(config()).mode & 0o777).toBe(0o600)
  expect(JSON.parse((await prod(['config', 'ls', '--json'])).stdout).settings).toEqual({
    'brokers.main.url': 'https://prod.example',
    telemetry: 'off',
  })
  await prod(['config', 'unset', 'brokers.main'])
  expect((await prod(['config', 'get', 'brokers.main.url'])).status).toBe(241)
})

test('TM-Q8: a broker without TLS cannot be set', async () => {
  const {status, stdout} = await prod(['config', 'set', 'brokers.main.url', 'http://prod.example', '--json'])
  expect([status, JSON.parse(stdout).error.code]).toEqual([241, 'INSECURE_URL'])
})

test('TM-U1: a configuration that others can write, or that is a link, is refused', async () => {
  await prod(['config', 'set', 'telemetry', 'off'])
  chmodSync(config(), 0o666)
  const open = await prod(['config', 'ls'])
  expect(open).toMatchObject({status: 241, stdout: ''})
  expect(open.stderr).toContain('can be written by others\nprod: try: chmod 600 ')

  rmSync(config())
  writeFileSync(join(home, 'elsewhere'), '{}', {mode: 0o600})
  symlinkSync(join(home, 'elsewhere'), config())
  expect((await prod(['config', 'set', 'telemetry', 'on'])).stderr).toContain('is a link')
  expect(readFileSync(join(home, 'elsewhere'), 'utf8')).toBe('{}')
})

test('doctor names what is wrong and what to type, and ends with 1', async () => {
  const {status, stdout} = await prod(['doctor', '--json', '--broker', 'nowhere'])
  const {ok, checks} = JSON.parse(stdout)
  expect([status, ok]).toEqual([1, false])
  expect(checks.filter((check: {ok: boolean}) => !check.ok)).toEqual([
    {name: 'broker', ok: false, detail: expect.stringContaining('nowhere'), next: expect.stringContaining('prod ')},
  ])

  const unreachable = await prod(['doctor'], {PROD_BROKER: 'http://127.0.0.1:1'})
  expect(unreachable.status).toBe(1)
  expect(unreachable.stdout).toMatch(/^ok {4}node +24\./m)
  expect(unreachable.stdout).toMatch(/^FAIL {2}broker answers +http:\/\/127\.0\.0\.1:1 cannot be reached/m)
})

test('doctor passes over the broker where none is known, and says so; where one is meant it must be there', async () => {
  const {stdout} = await prod(['doctor'])
  expect(stdout).toMatch(/^-- {4}broker +skipped: none is known here; prod roles, prod assume/m)
  const {checks} = JSON.parse((await prod(['doctor', '--json'])).stdout) as {checks: {name: string; ok: boolean; skipped?: boolean}[]}
  expect(checks.find(({name}) => name === 'broker')).toMatchObject({ok: true, skipped: true})
  expect((await prod(['doctor'])).status).toBe(0)
})

test('TM-U1: doctor sees folders that are open to others, and links in their place', async () => {
  mkdirSync(join(home, '.local/state/prod'), {recursive: true})
  chmodSync(join(home, '.local/state/prod'), 0o755)
  rmSync(join(home, '.cache/prod'), {recursive: true})
  symlinkSync(home, join(home, '.cache/prod'))
  const {stdout} = await prod(['doctor'])
  expect(stdout).toMatch(/^FAIL {2}state folder +\S+ is open to others\n +try: chmod 700 /m)
  expect(stdout).toMatch(/^FAIL {2}cache folder +\S+ is no folder/m)
})

test('doctor sees a clock that is off, and that nobody is logged in', async ({onTestFinished}) => {
  const server = createServer((_, response) => {
    response.setHeader('date', new Date(Date.now() - 300_000).toUTCString())
    response.end('{}')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
  })
  const {port} = server.address() as AddressInfo
  const {stdout, status} = await prod(['doctor', '--broker', `http://127.0.0.1:${port}`, '--json'])
  const checks: {name: string; ok: boolean; detail: string; next?: string}[] = JSON.parse(stdout).checks
  const find = (name: string): unknown => checks.find(check => check.name === name)
  expect(status).toBe(1)
  expect(find('broker answers')).toMatchObject({ok: true})
  expect(find('clock')).toMatchObject({ok: false, detail: expect.stringMatching(/^(?:299|300|301) s off/)})
  expect(find('login')).toMatchObject({ok: false, next: expect.stringContaining('prod login')})
})
