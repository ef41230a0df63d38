/** A real sshd behind an instance: it lets in by the keys that SendSSHPublicKey put there, and shows its host key on the console. */
import {spawn, spawnSync} from 'node:child_process'
import {existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {type AddressInfo, createServer} from 'node:net'
import {userInfo} from 'node:os'
import {join} from 'node:path'
import type {StandIn} from './stand-in.ts'

/** A running sshd; it lets in whoever runs it, for no other account can be entered without more rights. */
export interface Sshd {
  port: number
  user: string
  /** the public host key, as in known_hosts without a name */
  hostKey: string
  close(): Promise<void>
}

/** Where Debian and others have it; undefined where it is not installed. */
export const sshdPath = ['/usr/sbin/sshd', '/usr/bin/sshd', '/usr/local/sbin/sshd'].find(path => existsSync(path))

/** Puts an sshd behind port 22 of an instance: each connection is one `sshd -i`, so that no port need be chosen before. */
export async function startSshd(standIn: StandIn, instanceId: string): Promise<Sshd> {
  const instance = standIn.world.instances.find(one => one.id === instanceId)
  if (!sshdPath || !instance) throw new Error('there is no sshd, or no such instance')
  const folder = standIn.world.folderOf(instanceId)
  const [key, config] = [join(folder, 'ssh_host_ed25519_key'), join(folder, 'sshd_config')]
  const keys = join(folder, 'authorized-keys')
  mkdirSync(keys, {recursive: true})
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', {recursive: true})
  const made = spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', key])
  if (made.status !== 0) throw new Error(`ssh-keygen: ${made.stderr}`)
  const hostKey = readFileSync(`${key}.pub`, 'utf8').trim()
  const lines = [
    `HostKey ${key}`,
    `AuthorizedKeysFile ${keys}/%u`,
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin prohibit-password',
    'StrictModes no',
    'UsePAM no',
    'PrintMotd no',
    'AllowTcpForwarding yes',
    'Subsystem sftp internal-sftp',
    'PidFile none',
  ]
  writeFileSync(config, `${lines.join('\n')}\n`)
  instance.console = `-----BEGIN SSH HOST KEY KEYS-----\r\n${hostKey} root@${instance.privateDns}\r\n-----END SSH HOST KEY KEYS-----\r\n`
  const running = new Set<ReturnType<typeof spawn>>()
  const server = createServer({pauseOnConnect: true}, socket => {
    const child = spawn(sshdPath as string, ['-i', '-e', '-f', config], {stdio: [socket, socket, 'ignore']})
    running.add(child)
    socket.on('error', () => {})
    child.once('exit', () => {
      running.delete(child)
      socket.destroy()
    })
    child.once('error', () => socket.destroy())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const {port} = server.address() as AddressInfo
  instance.agent = {...instance.agent, ports: {...instance.agent.ports, 22: port}}
  return {
    port,
    user: userInfo().username,
    hostKey,
    async close() {
      for (const child of running) child.kill('SIGTERM')
      await new Promise(resolve => server.close(resolve))
    },
  }
}
