import {spawn, spawnSync} from 'node:child_process'
import {once} from 'node:events'
import {existsSync, mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {type AddressInfo, createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {WebSocket} from 'ws'
import {presigned} from './signature.ts'
import {type Sshd, sshdPath, startSshd} from './sshd.ts'
import {type StandIn, startStandIn} from './stand-in.ts'
import {call, first} from './test-client.ts'

const target = 'i-0a1b2c3d4e5f60001'
let standIn: StandIn
let sshd: Sshd | undefined
beforeAll(async () => {
  standIn = await startStandIn()
  if (sshdPath) sshd = await startSshd(standIn, target)
})
afterAll(async () => {
  await sshd?.close()
  await standIn.close()
})

/** The address of a tunnel, signed for a minute. */
function address(changes: Record<string, string> = {}, service = 'ec2-instance-connect'): string {
  const [endpoint] = standIn.world.endpoints
  const query = new URLSearchParams({
    instanceConnectEndpointId: endpoint?.id ?? '',
    remotePort: '22',
    privateIpAddress: '10.0.1.11',
    ...changes,
  })
  const url = `ws://${standIn.world.host}/openTunnel?${query}`
  return presigned(url, {...first(standIn), region: standIn.region, service, at: new Date()}, 60)
}

/** The status of a refused upgrade, and its words. */
async function refusal(url: string): Promise<string> {
  const socket = new WebSocket(url)
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, import('node:http').IncomingMessage]
  let text = ''
  for await (const chunk of response) text += String(chunk)
  return `${response.statusCode} ${text}`
}

test.skipIf(!sshdPath)('a pushed key opens a real sshd through a tunnel, and no other key does', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'prod-tunnel-'))
  const bridge = createServer(local => {
    const socket = new WebSocket(address(), {perMessageDeflate: false})
    socket.on('open', () => local.on('data', data => socket.send(data)))
    socket.on('message', data => local.write(data as Buffer))
    socket.on('close', () => local.end())
    local.on('close', () => socket.close()).on('error', () => {})
  }).listen(0, '127.0.0.1')
  await once(bridge, 'listening')
  try {
    const key = join(folder, 'key')
    spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key])
    const ssh = async (): Promise<[number | null, string]> => {
      const port = String((bridge.address() as AddressInfo).port)
      const known = ['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'IdentitiesOnly=yes', '-F', '/dev/null']
      const child = spawn('ssh', [...known, '-i', key, '-p', port, `${sshd?.user}@127.0.0.1`, 'echo in; exit 7'], {
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      let text = ''
      child.stdout.on('data', data => {
        text += data
      })
      const [status] = (await once(child, 'close')) as [number | null]
      return [status, text]
    }
    expect(await ssh()).toEqual([255, ''])
    const push = {InstanceId: target, InstanceOSUser: sshd?.user, SSHPublicKey: readFileSync(`${key}.pub`, 'utf8')}
    expect(await call(standIn, 'ec2-instance-connect', 'SendSSHPublicKey', push)).toMatchObject({Success: true})
    expect(await ssh()).toEqual([7, 'in\n'])
  } finally {
    bridge.close()
    rmSync(folder, {recursive: true})
  }
})

test('a tunnel is refused with the reason: another port, another address, another service, a changed address', async () => {
  expect(await refusal(address({remotePort: '5432'}))).toMatch('400 The port 5432 is not allowed')
  expect(await refusal(address({privateIpAddress: '10.9.9.9'}))).toMatch('400 10.9.9.9 is no address')
  expect(await refusal(address({}, 'ssmmessages'))).toMatch('403 signed for another service')
  expect(await refusal(address().replace('remotePort=22', 'remotePort=3389'))).toMatch('403')
})

test('a key is in force for its 60 seconds, by a clock that runs faster', async () => {
  const fast = await startStandIn({timeScale: 600})
  try {
    const key = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${'A'.repeat(43)}`
    await call(fast, 'ec2-instance-connect', 'SendSSHPublicKey', {InstanceId: target, InstanceOSUser: 'ops', SSHPublicKey: key})
    const file = join(fast.world.folderOf(target), 'authorized-keys', 'ops')
    expect(readFileSync(file, 'utf8')).toBe(`${key}\n`)
    await expect.poll(() => existsSync(file) && readFileSync(file, 'utf8'), {timeout: 30_000}).toBe('')
  } finally {
    await fast.close()
  }
})
