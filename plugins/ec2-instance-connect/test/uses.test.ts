import {once} from 'node:events'
import {readdirSync, readFileSync} from 'node:fs'
import {type AddressInfo, connect, createServer, type Socket} from 'node:net'
import {text} from 'node:stream/consumers'
import type {Access, Channel, Permission, Use} from '@prod/sdk'
import {serveForwarded} from '@prod/sdk/testing/forwarded-server'
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from 'vitest'
import {fingerprintOf} from '../src/host-keys.ts'
import {primitive} from '../src/index.ts'
import {type Here, instanceId, limits, script, sshdPath, startHere} from './instance.ts'

// into a real sshd; skipped where none is installed
describe.skipIf(!sshdPath)('an instance with a real sshd', () => {
  let here: Here
  let base: string
  beforeAll(async () => {
    here = await startHere()
    base = `us-east-1/${instanceId}?user=${here.sshd.user}`
  })
  afterAll(() => here.close())

  const instance = () => here.standIn.world.instances.find(({id}) => id === instanceId) as Here['standIn']['world']['instances'][number]
  let before: object
  beforeEach(() => {
    before = {...instance()}
  })
  afterEach(() => {
    Object.assign(instance(), before)
    here.standIn.mend()
  })

  const shell: Use = {kind: 'shell', size: {columns: 80, rows: 24}, env: {TERM: 'xterm'}, limits}
  const open = (use: Use, address = base, access: Access = here.access): Promise<Channel> =>
    primitive.open(primitive.parse(address), use, access, new AbortController().signal)
  async function run(use: Use, address = base, access = here.access) {
    const channel = await open(use, address, access)
    const [stdout, stderr, exit] = await Promise.all([text(channel.stdout), text(channel.stderr), channel.ended])
    return {stdout, stderr, exit, limit: channel.limit}
  }
  /** Who may do no more than this, as a grant provider bounds it. */
  function bounded(use: Use, address = base): Access {
    const statements = primitive.permissions(primitive.parse(address), use).map(({actions, resources, conditions}: Permission) => ({
      Effect: 'Allow' as const,
      Action: actions,
      Resource: resources,
      ...(conditions ? {Condition: conditions} : {}),
    }))
    const {accessKeyId, secretAccessKey, sessionToken} = here.standIn.register({sessionToken: 'a session', policy: {Statement: statements}})
    return {
      ...here.access,
      id: `run_${accessKeyId}`,
      credential: {AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken},
    }
  }
  const pushes = () => here.standIn.calls.filter(({action}) => action === 'SendSSHPublicKey').map(({input}) => String(input.SSHPublicKey))

  test('TM-J2: what a use says that it needs is enough for it, and not for another account of the instance', async () => {
    const echo = script('echo done')
    const access = bounded(echo)
    expect(await run(echo, base, access)).toMatchObject({stdout: 'done\n', exit: {status: 0}})
    await expect(run(echo, `us-east-1/${instanceId}?user=somebody`, access)).rejects.toMatchObject({code: 'DENIED'})
    await expect(run(echo, base.replace('0001', '0002'), access)).rejects.toMatchObject({code: 'DENIED'})
  })

  test('the prompt of a shell says where it is, whatever the account has as start-up files', async () => {
    const channel = await open({...shell, env: {TERM: 'xterm', PS1: '[prod \u00fcber %41] \\$ '}} as Use)
    channel.stdin.write('exit 4\n')
    const [said, exit] = await Promise.all([text(channel.stdout), channel.ended])
    expect(said).toMatch(/\[prod \u00fcber %41\] (?:[#$]|\\\$) /)
    expect(exit).toEqual({status: 4})
  })

  test('each connection has a key of its own, pushed for it alone', async () => {
    const first = pushes().length
    await run(script('true'))
    await run(script('true'))
    const keys = pushes().slice(first)
    expect(keys).toHaveLength(2)
    expect(new Set(keys).size).toBe(2)
    for (const key of keys) expect(key).toMatch(/^ssh-ed25519 [A-Za-z0-9+/=]+$/)
  })

  test('TM-X2: an instance of another account, without its tag, or that does not run is refused', async () => {
    await expect(run(script('true'), `${base}&account=999999999999`)).rejects.toMatchObject({code: 'TARGET_INVALID'})
    await expect(run(script('true'), `${base}&tag:Service=other`)).rejects.toMatchObject({
      code: 'TARGET_INVALID',
      message: `${instanceId}: the tag Service is "web", and the catalog says "other"`,
    })
    instance().state = 'stopped'
    await expect(run(script('true'))).rejects.toMatchObject({code: 'TARGET_UNREACHABLE', message: `${instanceId} is stopped`})
  })

  test('a host key that is not known is refused before anything is sent, unless the catalog says otherwise', async () => {
    const blob = Buffer.from(here.sshd.hostKey.split(' ')[1] as string, 'base64')
    const [pin, other] = [fingerprintOf(blob), fingerprintOf(Buffer.from('another'))]
    const refused = {
      code: 'TARGET_UNREACHABLE',
      message: expect.stringContaining(`shows a host key that it is not known by (ssh-ed25519 ${pin})`),
    }
    await expect(run(script('true'), `${base}&hostkey=${other}`)).rejects.toMatchObject(refused)
    expect(await run(script('true'), `${base}&hostkey=${other},${pin}`)).toMatchObject({exit: {status: 0}})
    const shown = instance().console ?? ''
    instance().console = shown.replace(/AAAA\S+/, `AAAAC3NzaC1lZDI1NTE5AAAAI${'B'.repeat(43)}`)
    await expect(run(script('true'))).rejects.toMatchObject(refused)
    instance().console = 'nothing of keys'
    await expect(run(script('true'))).rejects.toMatchObject({
      code: 'TARGET_UNREACHABLE',
      message: expect.stringContaining('its console no longer shows it'),
    })
    expect(await run(script('true'), `${base}&hostkey=unchecked`)).toMatchObject({exit: {status: 0}})
  })

  test('an account that is not there is told as that', async () => {
    await expect(run(script('true'), `us-east-1/${instanceId}?user=nobody-of-this-name`)).rejects.toMatchObject({
      code: 'TARGET_UNREACHABLE',
      message: expect.stringContaining('does not let nobody-of-this-name in'),
    })
  })

  test('an endpoint that refuses says why; a VPC without one, too', async () => {
    for (const one of here.standIn.world.endpoints) one.vpcId = `${one.vpcId}x`
    try {
      await expect(run(script('true'))).rejects.toMatchObject({message: expect.stringContaining('has no EC2 Instance Connect Endpoint')})
    } finally {
      for (const one of here.standIn.world.endpoints) one.vpcId = one.vpcId.slice(0, -1)
    }
    await expect(run(script('true'), `${base}&port=2222`)).rejects.toMatchObject({
      message: expect.stringMatching(/cannot be reached through eice-\w+: the endpoint answers 4\d\d: .*2222/),
    })
  })

  test('what the endpoint lets through goes there without SSH, and without a key', async () => {
    const first = pushes().length
    const use: Use = {kind: 'forward', to: {host: 'localhost', port: 22}}
    const channel = await open(use, base, bounded(use))
    const [banner] = await once(channel.stdout, 'data')
    expect(String(banner)).toMatch(/^SSH-2\.0-/)
    await channel.end('seen')
    expect(pushes()).toHaveLength(first)
  })

  test('connections of one forward share one login, which ends with it', async () => {
    const servers = await serveForwarded()
    const access = bounded({kind: 'forward', to: servers.echo})
    const first = pushes().length
    const talk = async (words: string) => {
      const channel = await open({kind: 'forward', to: servers.echo}, base, access)
      channel.stdin.end(words)
      return text(channel.stdout)
    }
    expect(await Promise.all(['one', 'two', 'three'].map(talk))).toEqual(['one', 'two', 'three'])
    expect(pushes()).toHaveLength(first + 1)
    await primitive.release?.(access.id)
    expect(await talk('four')).toBe('four')
    expect(pushes()).toHaveLength(first + 2)
    await primitive.release?.(access.id)
    await servers.close()
  })

  test('a link that is cut leaves nothing running, and no status that nobody sent', async () => {
    const links = new Set<Socket>()
    const proxy = createServer(near => {
      const far = connect(here.sshd.port, '127.0.0.1')
      for (const socket of [near, far]) {
        links.add(socket)
        socket.on('error', () => {})
      }
      near.pipe(far).pipe(near)
    }).listen(0, '127.0.0.1')
    await once(proxy, 'listening')
    instance().privateIp = '127.0.0.1'
    const mark = `6${Date.now()}`
    const channel = await open(
      script(`(setsid sleep ${mark} &); echo ready; sleep ${mark}`),
      `${base}&via=private&port=${(proxy.address() as AddressInfo).port}`,
    )
    await once(channel.stdout, 'readable')
    channel.stdout.resume()
    channel.stderr.resume()
    for (const link of links) link.destroy()
    expect(await channel.ended).toEqual({unknown: expect.any(String)})
    await expect.poll(() => commandLines().filter(line => line.includes(mark)), {timeout: 30_000}).toEqual([])
    proxy.close()
  })

  test('time that is over ends all of it, and says so', async () => {
    const started = script('sleep 1000', {limits: {...limits, wallSeconds: 1}})
    expect(await run(started)).toMatchObject({exit: {signal: 'SIGKILL'}, limit: 'wall'})
  })

  test('a digest of the program, a variable that nobody may set: what cannot be held to is refused', async () => {
    await expect(run(script('true', {program: {path: '/bin/sh', sha256: 'a'.repeat(64)}}))).rejects.toMatchObject({
      code: 'TOOL_UNAVAILABLE',
    })
    await expect(run(script('true', {env: {LD_PRELOAD: '/tmp/x.so'}}))).rejects.toMatchObject({code: 'TOOL_UNAVAILABLE'})
  })

  test('finds what a star stands for', async () => {
    const found: string[] = []
    for await (const {address} of primitive.discover?.(
      {text: 'web', within: primitive.parse('us-east-1/*?tag:Service=web&via=private')},
      here.access,
    ) ?? [])
      found.push(address)
    expect(found.sort()).toEqual([1, 2].map(at => `ec2-instance-connect:us-east-1/i-0a1b2c3d4e5f6000${at}?tag:Service=web&via=private`))
    await expect(open(shell, 'us-east-1/*?tag:Service=web')).rejects.toMatchObject({code: 'TARGET_INVALID'})
  })
})

function commandLines(): string[] {
  return readdirSync('/proc').flatMap(name => {
    try {
      return /^\d+$/.test(name) ? [readFileSync(`/proc/${name}/cmdline`, 'utf8')] : []
    } catch {
      return []
    }
  })
}
