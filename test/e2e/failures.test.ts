/** What goes wrong, and what people then see: one clear sentence and the exit status of docs/errors.md. */
import {type ChildProcessByStdio, spawn, spawnSync} from 'node:child_process'
import {once} from 'node:events'
import {chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {Readable} from 'node:stream'
import {briefly, lendCode} from '@prod/sdk/testing/kept-code'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {cli, collect} from './broker.ts'

const program = `#!/bin/bash
case $1 in
  mark) echo "$2" >> "$JOB_DIR/marks"; echo "marked $2" ;;
  hold) echo "$2" >> "$JOB_DIR/marks"; echo holding; n=0; while [ $n -lt 400 ]; do sleep 0.05; n=$((n + 1)); done; echo done ;;
  stubborn) trap '' INT TERM HUP; echo stubborn; (setsid bash -c 'trap "" INT TERM HUP; n=0; while [ $n -lt 400 ]; do sleep 0.05; n=$((n + 1)); done' &) ; n=0; while [ $n -lt 400 ]; do sleep 0.05; n=$((n + 1)); done ;;
esac
`
const tool = (dir: string) => `kind: Tool
name: job
summary: for these tests
program: ${dir}/bin/job
run: { primitive: host, target: local }
env: { JOB_DIR: ${dir} }
commands:
  - { path: [mark], class: change, operands: [{ name: word, type: { type: string } }] }
  - { path: [hold], class: change, operands: [{ name: word, type: { type: string } }] }
  - { path: [stubborn], class: change }
  - { path: [ask], class: change }
`
const rules = `@id("job") permit (principal in Group::"engineers", action == Action::"run", resource in Tool::"job") unless { resource is job::ask };
@id("job-ask") permit (principal in Group::"engineers", action == Action::"request", resource is job::ask);
@id("job-yes") permit (principal in Group::"sre-leads", action == Action::"approve", resource is job::ask);
`
const because = ['--reason', 'to see what goes wrong']

let base: string
let dir: string
let port: number
let broker: ChildProcessByStdio<null, Readable, Readable>
const home = (name: string) => {
  const own = join(base, name)
  return {PATH: process.env.PATH ?? '', HOME: own, PROD_CREDENTIAL_STORE: 'file', LANG: 'C.UTF-8', ...lendCode(own)}
}
const start = (who: string, args: readonly string[]) =>
  spawn(process.execPath, [cli, ...args], {env: home(who), stdio: ['pipe', 'pipe', 'pipe']})
const prod = async (who: string, ...args: string[]) => {
  const child = start(who, args)
  child.stdin.end()
  return collect(child)
}
const marks = () => (existsSync(join(dir, 'marks')) ? readFileSync(join(dir, 'marks'), 'utf8').trim().split('\n') : [])

async function startBroker(): Promise<void> {
  broker = spawn(process.execPath, [...briefly, cli, 'broker', 'start', '--dev', '--dir', dir, '--port', String(port), '--json'], {
    env: home('broker'),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  broker.stderr.resume()
  const ended = once(broker, 'exit').then(() => {
    throw new Error('the broker did not start')
  })
  await Promise.race([once(broker.stdout, 'data'), ended])
}
async function stopBroker(signal: NodeJS.Signals): Promise<void> {
  broker.kill(signal)
  await once(broker, 'exit')
}

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'prod-failures-'))
  dir = join(base, 'data')
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as {port: number}).port
  await new Promise(resolve => server.close(resolve))
  await startBroker()
  writeFileSync(join(dir, 'bin/job'), program)
  chmodSync(join(dir, 'bin/job'), 0o755)
  writeFileSync(join(dir, 'policy/global/job.cedar'), '')
  writeFileSync(join(dir, 'catalog/tools/job.yaml'), tool(dir))
  writeFileSync(join(dir, 'policy/global/job.cedar'), rules)
  await Promise.all(['alice', 'bob'].map(who => prod(who, 'login', '--broker', `http://127.0.0.1:${port}`, '--as', who)))
  while ((await prod('alice', 'tools', 'show', 'job')).status !== 0);
}, 240_000)
afterAll(async () => {
  if (broker.exitCode === null && broker.signalCode === null) await stopBroker('SIGTERM')
  rmSync(base, {recursive: true, force: true})
})

test('each refusal is one sentence with its own exit status, and stdout stays empty', async () => {
  const cases: [string[], number, RegExp][] = [
    [['exec', 'job', 'mark', 'x'], 241, /reason/],
    [['exec', '--reason', 'no', 'job', 'mark', 'x'], 241, /reason/],
    [['exec', ...because, 'nothing'], 241, /no tool "nothing"/],
    [['exec', ...because, 'job', 'mark'], 243, /argument 2 of job/],
    [['exec', ...because, '--on', 'nowhere', 'job', 'mark', 'x'], 241, /nowhere/],
    [['exec', ...because, 'web', 'stop'], 243, /web-stop|no rule permits/],
    [['attach', 'run_00000000000000000'], 241, /no run/],
    [['request', 'approve', 'req_00000000000000000'], 241, /no request/],
  ]
  for (const [args, status, words] of cases) {
    const done = await prod('alice', ...args)
    expect([args.join(' '), done.status, done.stdout]).toEqual([args.join(' '), status, ''])
    expect(done.stderr).toMatch(words)
    expect(done.stderr).not.toMatch(/\n\s+at /)
  }
  expect((await prod('stranger', 'exec', ...because, '--broker', `http://127.0.0.1:${port}`, 'job', 'mark', 'x')).status).toBe(242)
  expect(marks()).toEqual([])
}, 240_000)

test('pending is 245 with the id on stdout, denied is 244 with the words of whoever denied', async () => {
  const pending = await prod('alice', 'exec', '--nowait', ...because, 'job', 'ask')
  expect(pending.status).toBe(245)
  const id = pending.stdout.trim()
  expect(id).toMatch(/^req_[0-9a-z]+$/)
  expect((await prod('alice', 'request', 'approve', id, '--yes')).status).toBe(243)
  expect((await prod('bob', 'request', 'deny', id, '--note', 'not on a Sunday')).status).toBe(0)
  const attached = await prod('alice', 'attach', id)
  expect(attached.status).toBe(244)
  expect(attached.stderr).toContain('not on a Sunday')
})

test('a program that is missing or open to others is 247, and nothing ran', async () => {
  chmodSync(join(dir, 'bin/job'), 0o777)
  const open = await prod('alice', 'exec', ...because, 'job', 'mark', 'open')
  rmSync(join(dir, 'bin/job'))
  const missing = await prod('alice', 'exec', ...because, 'job', 'mark', 'missing')
  writeFileSync(join(dir, 'bin/job'), program)
  chmodSync(join(dir, 'bin/job'), 0o755)
  expect([open.status, missing.status]).toEqual([247, 247])
  expect(missing.stderr).toContain('there is no program')
  expect(marks()).toEqual([])
})

test('Ctrl-C twice ends a tool that ignores signals and has forked away: 130', async () => {
  const child = start('alice', ['exec', ...because, 'job', 'stubborn'])
  const done = collect(child)
  let out = ''
  child.stdout.on('data', (text: Buffer) => {
    out += text.toString()
  })
  await until(() => out.includes('stubborn'))
  child.kill('SIGINT')
  // the first goes to the tool, which is deaf to it
  await new Promise(resolve => setTimeout(resolve, 300))
  child.kill('SIGINT')
  expect((await done).status).toBe(130)
  expect(running(`${dir}/bin/job`)).toBe(0)
})

test('TM-E4: with a full disk nothing starts and the sentence says why: 246', async ({skip}) => {
  const limit = (size: string) => spawnSync('prlimit', ['--pid', String(broker.pid), `--fsize=${size}:unlimited`]).status
  if (limit('unlimited') !== 0) skip('no prlimit here')
  limit('1')
  const full = await prod('alice', 'exec', ...because, 'job', 'mark', 'full')
  limit('unlimited')
  expect(full.status).toBe(246)
  expect(full.stderr).toMatch(/disk|room|written|store/)
  expect(marks()).toEqual([])
  expect((await prod('alice', 'exec', ...because, 'job', 'mark', 'room')).stdout).toBe('marked room\n')
})

test('TM-E5: a broker that dies under a run and comes back: the client takes it up again and says unknown: 248, and nothing ran twice', async () => {
  const child = start('alice', ['exec', ...because, 'job', 'hold', 'killed'])
  let out = ''
  child.stdout.on('data', (text: Buffer) => {
    out += text.toString()
  })
  const done = collect(child)
  await until(() => out.includes('holding'))
  await stopBroker('SIGKILL')
  await until(() => running(`${dir}/bin/job`) === 0)
  await startBroker()
  const {status, stderr} = await done
  expect(status).toBe(248)
  expect(stderr).toMatch(/unknown|lost/)
  expect(marks().filter(mark => mark === 'killed')).toHaveLength(1)
}, 240_000)

test('a broker that is not there is 246 at once, and the words say what is still possible', async () => {
  await stopBroker('SIGTERM')
  for (const args of [['exec', ...because, 'job', 'mark', 'gone'], ['request', 'ls'], ['tools']]) {
    const at = Date.now()
    const done = await prod('alice', ...args)
    expect([args[0], done.status]).toEqual([args[0], 246])
    expect(done.stderr).toMatch(/cannot be reached|not be reached|unreachable/)
    expect(Date.now() - at).toBeLessThan(8000)
  }
  expect((await prod('alice', 'audit', 'verify', '--dir', dir)).status).toBe(0)
  const json = await prod('alice', 'request', 'ls', '--json')
  expect(JSON.parse(json.stdout)).toMatchObject({error: {code: 'BROKER_UNREACHABLE'}})
})

async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  const last = Date.now() + 60_000
  while (!(await check())) {
    if (Date.now() > last) throw new Error('it did not come')
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

/** Processes whose command line holds a text. */
function running(text: string): number {
  return readdirSync('/proc').filter(name => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(text)
    } catch {
      return false
    }
  }).length
}
