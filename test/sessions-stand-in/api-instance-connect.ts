/** EC2 Instance Connect: keys that open an account for 60 seconds, and tunnels that carry bytes to a port (section 20). */
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {connect} from 'node:net'
import {join} from 'node:path'
import type {WebSocket} from 'ws'
import type {Api, Incoming, World} from './api.ts'
import {ApiError} from './api-error.ts'
import {account, type Instance} from './world.ts'

interface PushInput {
  InstanceId: string
  InstanceOSUser: string
  SSHPublicKey: string
  AvailabilityZone?: string
}

/** The file that a real sshd reads for one account of an instance: `AuthorizedKeysFile FOLDER/authorized-keys/%u`. */
const keysFile = (world: World, instanceId: string, user: string): string => join(world.folderOf(instanceId), 'authorized-keys', user)

function sendKey({input, region, world, authorize}: Incoming<PushInput>): object {
  const {InstanceId, InstanceOSUser, SSHPublicKey, AvailabilityZone} = input
  const it = world.instances.find(one => one.id === InstanceId && one.region === region)
  authorize('ec2-instance-connect:SendSSHPublicKey', `arn:aws:ec2:${region}:${account}:instance/${InstanceId}`, {
    'ec2:osuser': InstanceOSUser,
    ...Object.fromEntries(Object.entries(it?.tags ?? {}).map(([key, value]) => [`aws:ResourceTag/${key}`, value])),
  })
  if (!it) throw new ApiError('EC2InstanceNotFoundException', 'Instance not found')
  if (AvailabilityZone && AvailabilityZone !== it.zone) throw new ApiError('EC2InstanceNotFoundException', 'Instance not found')
  if (it.state !== 'running') throw new ApiError('EC2InstanceStateInvalidException', `Instance is not running: ${it.state}`)
  if (!/^[\w.-]{1,32}$/.test(InstanceOSUser)) throw new ApiError('InvalidArgsException', 'InstanceOSUser is not valid')
  if (!/^(ssh-rsa|ssh-ed25519) [A-Za-z0-9+/=]{60,}( .*)?\n?$/.test(SSHPublicKey) || SSHPublicKey.length < 80 || SSHPublicKey.length > 4096)
    throw new ApiError('InvalidArgsException', 'SSHPublicKey is not valid')
  const file = keysFile(world, InstanceId, InstanceOSUser)
  mkdirSync(join(file, '..'), {recursive: true})
  const key = SSHPublicKey.trim()
  const lines = (): string[] => {
    try {
      return readFileSync(file, 'utf8').split('\n').filter(Boolean)
    } catch {
      return []
    }
  }
  writeFileSync(file, `${[...lines(), key].join('\n')}\n`)
  setTimeout(() => {
    const left = lines()
    left.splice(left.indexOf(key), 1)
    try {
      writeFileSync(file, left.map(line => `${line}\n`).join(''))
    } catch {}
  }, 60_000 / world.timeScale).unref()
  return {RequestId: crypto.randomUUID(), Success: true}
}

/** EC2 Instance Connect. */
export const instanceConnectApi: Api = {SendSSHPublicKey: sendKey}

/** What an address of a tunnel asks for; throws with the reason that the upgrade is refused with. */
export function tunnelWanted(
  world: World,
  query: URLSearchParams,
  region: string,
  authorize: Incoming['authorize'],
): {instance: Instance; port: number; host: string; lastsMs: number} {
  const endpoint = world.endpoints.find(one => one.id === query.get('instanceConnectEndpointId') && one.region === region)
  const remotePort = Number(query.get('remotePort'))
  const address = query.get('privateIpAddress') ?? ''
  const seconds = Number(query.get('maxTunnelDuration') ?? 3600)
  if (!endpoint) throw new ApiError('ResourceNotFoundException', 'The endpoint does not exist', 404)
  authorize('ec2-instance-connect:OpenTunnel', `arn:aws:ec2:${region}:${account}:instance-connect-endpoint/${endpoint.id}`, {
    'ec2-instance-connect:remotePort': String(remotePort),
    'ec2-instance-connect:privateIpAddress': address,
    'ec2-instance-connect:maxTunnelDuration': String(seconds),
  })
  if (!endpoint.state.startsWith('create-complete') && !endpoint.state.startsWith('update'))
    throw new ApiError('InvalidStateException', `The endpoint is in the state ${endpoint.state}`)
  if (remotePort !== 22 && remotePort !== 3389) throw new ApiError('InvalidParameter', `The port ${remotePort} is not allowed`)
  if (!(seconds >= 1 && seconds <= 3600)) throw new ApiError('InvalidParameter', 'maxTunnelDuration is from 1 to 3600')
  const instance = world.instances.find(one => one.privateIp === address && one.vpcId === endpoint.vpcId && one.region === region)
  if (instance?.state !== 'running') throw new ApiError('InvalidParameter', `${address} is no address of the endpoint's VPC`)
  const port = instance.agent.ports?.[String(remotePort)] ?? remotePort
  return {instance, port, host: '127.0.0.1', lastsMs: (seconds * 1000) / world.timeScale}
}

/** Carries bytes between a socket and a port until one of them ends. */
export function carryTunnel(client: WebSocket, {port, host, lastsMs}: {port: number; host: string; lastsMs: number}): void {
  const socket = connect({port, host, noDelay: true})
  const late = setTimeout(() => client.close(1000, 'the longest duration of a tunnel is over'), lastsMs)
  client.on('message', (data: Buffer, isBinary) => {
    if (!isBinary) return client.close(1003, 'a tunnel carries binary messages')
    if (!socket.write(data)) client.pause()
  })
  socket.on('drain', () => client.resume())
  socket.on('data', data => {
    client.send(data, () => socket.resume())
    if (client.bufferedAmount > 1024 * 1024) socket.pause()
  })
  socket.on('error', error => client.close(1011, `the port does not answer: ${error.message}`.slice(0, 120)))
  socket.on('end', () => client.close(1000))
  client.on('error', () => {})
  client.on('close', () => {
    clearTimeout(late)
    socket.destroySoon()
  })
}
