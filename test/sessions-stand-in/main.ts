/**
 * Starts a stand-in as a process. The first argument, if there is one, is its options as JSON, with `sshd`: the instances that have a
 * real sshd behind them. One line of JSON says that it is ready. It ends with a stdin that is a pipe, or on a signal; each line there
 * asks what was counted of its sessions so far, which one line of JSON answers.
 */
import {fstatSync} from 'node:fs'
import {createInterface} from 'node:readline'
import {startSshd} from './sshd.ts'
import {type StandInOptions, startStandIn} from './stand-in.ts'

const {sshd = [], ...options} = JSON.parse(process.argv[2] ?? '{}') as StandInOptions & {sshd?: string[]}
const standIn = await startStandIn(options)
const servers = await Promise.all(sshd.map(async id => [id, await startSshd(standIn, id)] as const))
const {url, region, account, env, world} = standIn
const reached = Object.fromEntries(servers.map(([id, {user, port, hostKey}]) => [id, {user, port, hostKey}]))
const instances = world.instances.map(({id, name, privateIp, tags}) => ({id, name, privateIp, tags}))
process.stdout.write(`${JSON.stringify({ready: true, url, region, account, env, instances, sshd: reached})}\n`)

let ending = false
const end = async (): Promise<void> => {
  if (ending) return
  ending = true
  for (const [, server] of servers) await server.close()
  await standIn.close()
  process.exit(0)
}
process.on('SIGTERM', () => void end())
process.on('SIGINT', () => void end())
const stdin = fstatSync(0)
if (stdin.isFIFO() || stdin.isSocket())
  createInterface(process.stdin)
    .on('line', () => process.stdout.write(`${JSON.stringify([...standIn.sessions.values()].map(({counts}) => counts))}\n`))
    .once('close', () => void end())
