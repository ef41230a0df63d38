import {execFileSync, spawn} from 'node:child_process'
import {existsSync, mkdtempSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:http'
import {type AddressInfo, connect} from 'node:net'
import {tmpdir, userInfo} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {serveForwarded} from '@prod/sdk/testing/forwarded-server'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {cli, collect, type RealBroker, startRealBroker} from './broker.ts'

let broker: RealBroker
const finish: (() => Promise<void> | void)[] = []
beforeAll(async () => {
  broker = await startRealBroker(end => void finish.push(end))
  await Promise.all([broker.as('alice').login(), broker.as('bob').login()])
})
afterAll(async () => {
  for (const end of finish) await end()
})

const why = ['--reason', 'look at the page that fails']

/** Approves what is said to wait on a command's stderr. */
async function approve(stderr: NodeJS.ReadableStream): Promise<void> {
  let said = ''
  for await (const piece of stderr) {
    said += String(piece)
    const request = /prod request approve (req_[0-9a-z]+)/.exec(said)?.[1]
    if (request === undefined) continue
    stderr.resume()
    const {status, stderr: fault} = await broker.as('bob').run(['request', 'approve', request, '--yes'])
    if (status !== 0) throw new Error(fault)
    return
  }
  throw new Error(`nothing waits: ${said}`)
}

test('a command runs with the port open, after an approval that names it, and its status is ours', async ({onTestFinished}) => {
  const server = createServer((_, response) => response.end('a page of production')).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await new Promise(resolve => server.once('listening', resolve))
  const {port} = server.address() as AddressInfo
  const get = `fetch('http://127.0.0.1:' + process.env.PROD_FORWARD_PORT).then(r => r.text()).then(t => (console.log(t), process.exitCode = 7))`
  const child = await broker.as('alice').start(['forward', 'local', '-L', `0:localhost:${port}`, ...why, '--', process.execPath, '-e', get])
  child.stdin.end()
  const ended = collect(child)
  await approve(child.stderr)
  expect(await ended).toMatchObject({status: 7, stdout: 'a page of production\n'})
})

test('--json says in one line where it listens, Ctrl-C closes it, and the session is listed', async ({onTestFinished}) => {
  const servers = await serveForwarded()
  onTestFinished(() => servers.close())
  const alice = broker.as('alice')
  const child = await alice.start(['forward', 'local', '-L', `0:127.0.0.1:${servers.echo.port}`, ...why, '--json'])
  const [line] = await Promise.all([
    new Promise<string>(resolve => child.stdout.once('data', data => resolve(String(data)))),
    approve(child.stderr),
  ])
  const ready = JSON.parse(line) as {session: string; forwards: {address: string; port: number; to: object}[]}
  expect(line.trimEnd().split('\n')).toHaveLength(1)
  expect(ready).toMatchObject({
    ready: true,
    target: 'local',
    environment: 'production',
    forwards: [{address: '127.0.0.1', to: servers.echo}],
  })
  const one = connect({...ready.forwards[0], host: '127.0.0.1', allowHalfOpen: true} as never)
  one.end('through')
  expect(await text(one)).toBe('through')
  expect((await alice.run(['sessions', 'ls'])).stdout).toMatch(new RegExp(`${ready.session} +open +alice +local +forward `))
  expect((await alice.run(['attach', ready.session])).status).toBe(241)
  const status = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGINT')
  expect(await status).toBe(130)
  expect((await alice.run(['sessions', 'ls'])).stdout).toMatch(new RegExp(`${ready.session} +closed `))
})

test('a socket of the file system is its person’s alone, leads like a port, and is gone afterwards', async ({onTestFinished}) => {
  const servers = await serveForwarded()
  onTestFinished(() => servers.close())
  const alice = broker.as('alice')
  const path = join(alice.home, 'echo.sock')
  const listen = `${path}:127.0.0.1:${servers.echo.port}`
  const child = await alice.start(['forward', 'local', '-L', listen, ...why, '--json'])
  const [line] = await Promise.all([
    new Promise<string>(resolve => child.stdout.once('data', data => resolve(String(data)))),
    approve(child.stderr),
  ])
  expect(JSON.parse(line)).toMatchObject({ready: true, forwards: [{path, to: servers.echo}]})
  expect(statSync(path).mode & 0o777).toBe(0o600)
  const one = connect({path, allowHalfOpen: true})
  one.end('through')
  expect(await text(one)).toBe('through')
  const taken = await alice.run(['forward', 'local', '-L', listen, ...why])
  expect(taken).toMatchObject({status: 241, stderr: expect.stringMatching(/echo\.sock is taken/)})
  const status = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGINT')
  expect(await status).toBe(130)
  expect(existsSync(path)).toBe(false)
})

test.each([
  ['nothing said of ports', ['local'], 241, /nothing is said of ports/],
  ['a form that ssh does not know', ['local', '-L', '80:x'], 241, /PORT:HOST:PORT/],
  ['an address that others reach', ['local', '-L', '0.0.0.0:0:localhost:8080'], 241, /other machines could come in.*\n.*--expose/],
  ['a place that the catalog does not name', ['local', '-L', '0:10.0.0.1:80'], 243, /local does not forward to 10\.0\.0\.1:80/],
  ['a reason that was given before', ['local', '-L', '0:localhost:8080', '--reason', '-'], 241, /a reason of its own/],
  ['break-glass without a hand', ['local', '-L', '0:localhost:8080', '--break-glass', '--incident', 'INC-1'], 241, /confirmed by hand/],
] as const)('%s is refused before anything opens', async (_, words, status, said) => {
  const reason = (words as readonly string[]).includes('--reason') ? [] : why
  const ended = await broker.as('alice').run(['forward', ...words, ...reason])
  expect([ended.status, ended.stdout]).toEqual([status, ''])
  expect(ended.stderr).toMatch(said)
})

test('--nowait gives the request, and the request opens the forward', async ({onTestFinished}) => {
  const servers = await serveForwarded()
  onTestFinished(() => servers.close())
  const alice = broker.as('alice')
  const {status, stdout} = await alice.run(['forward', 'local', '-L', `0:127.0.0.1:${servers.greeter.port}`, ...why, '--nowait'])
  expect(status).toBe(245)
  const request = stdout.trim()
  await broker.as('bob').run(['request', 'approve', request, '--yes'])
  expect(await alice.run(['forward', request, '--stdio', `127.0.0.1:${servers.echo.port}`])).toMatchObject({status: 243})
  // the far side's end is the end of it
  expect(await alice.run(['forward', request, '--stdio', `127.0.0.1:${servers.greeter.port}`])).toMatchObject({status: 0, stdout: 'hello'})
})

const sshd = '/usr/sbin/sshd'
const there = existsSync(sshd) && existsSync('/usr/bin/ssh') && userInfo().uid === 0
test.runIf(there)(
  'ssh goes through it as its ProxyCommand, with the status of what ran and nothing left behind',
  async ({onTestFinished}) => {
    const dir = mkdtempSync(join(tmpdir(), 'prod-sshd-'))
    onTestFinished(() => rmSync(dir, {recursive: true, force: true}))
    for (const name of ['host', 'user']) execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(dir, name)])
    const port = await freePort()
    const settings = [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${join(dir, 'host')}`,
      `AuthorizedKeysFile ${join(dir, 'user.pub')}`,
      'StrictModes no',
      'UsePAM no',
      'PidFile none',
    ]
    writeFileSync(join(dir, 'config'), `${settings.join('\n')}\n`)
    execFileSync('mkdir', ['-p', '/run/sshd'])
    const server = spawn(sshd, ['-D', '-e', '-f', join(dir, 'config')], {stdio: ['ignore', 'ignore', 'pipe']})
    onTestFinished(() => void server.kill())
    await new Promise<void>(resolve => server.stderr.on('data', data => String(data).includes('listening') && resolve()))

    const alice = broker.as('alice')
    const proxy = `${process.execPath} ${cli} forward local --stdio ${port} --reason 'disk alert on the machine'`
    const options = ['StrictHostKeyChecking=no', `UserKnownHostsFile=${join(dir, 'known')}`, 'LogLevel=ERROR', `ProxyCommand=${proxy}`]
    const ssh = spawn(
      'ssh',
      [...options.flatMap(one => ['-o', one]), '-i', join(dir, 'user'), 'root@web', 'head -c 3000000 /dev/zero | wc -c; exit 5'],
      {env: alice.env, stdio: ['ignore', 'pipe', 'pipe']},
    )
    const ended = collect(ssh as never)
    await approve(ssh.stderr)
    expect(await ended).toMatchObject({status: 5, stdout: '3000000\n'})
    await expect
      .poll(async () => (await alice.run(['sessions', 'ls'])).stdout.split('\n').find(line => line.includes('disk alert')), {
        timeout: 60_000,
      })
      .toMatch(/ closed /)
  },
)

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const {port} = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}
