import type {Kept} from '../credentials/kept.ts'
import {countUse} from '../used.ts'
import {serveChild} from './serve.ts'

/** Runs a command with what was kept; answers its status, undefined where it could not be started. What renews loads when it is due. */
export async function runKept(command: readonly string[], {name, credentials, from, child}: Kept): Promise<number | undefined> {
  const renew = async (mayLogIn: boolean) =>
    (await (await import('@prod/aws/assume')).obtain(name, {asking: mayLogIn ? 'browser' : 'nobody'})).credentials
  const ended = serveChild(command, {name, credentials, from, child, renew})
  // while the command starts
  setImmediate(() => countUse(name))
  return ended.catch(() => undefined)
}
