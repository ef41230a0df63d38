import type {Denial} from '@prod/sdk/cli/after-failure'
import {spoolUsage} from '@prod/sdk/cli/usage'
import type {Kept} from '../credentials/kept.ts'
import {countUse} from '../used.ts'
import {serveChild} from './serve.ts'

/** Runs a command with what was kept; answers its status, undefined where it could not be started. What renews loads when it is due. */
export async function runKept(command: readonly string[], {name, credentials, from, child}: Kept): Promise<number | undefined> {
  const renew = async (mayLogIn: boolean) =>
    (await (await import('@prod/aws/assume')).obtain(name, {asking: mayLogIn ? 'browser' : 'nobody'})).credentials
  const started = Date.now()
  let denial: Denial | undefined
  const denied = (one: Denial): void => {
    denial = one
  }
  const ended = serveChild(command, {name, credentials, from, child, renew, denied})
  // while the command starts; one that ends at once is counted before this process does
  const counted = new Promise<void>(resolve => setImmediate(() => resolve(countUse(name))))
  const [status] = await Promise.all([ended.catch(() => undefined), counted])
  // one that could not be started the slow way tells
  if (status !== undefined) keepUsage(command, name, started, status, denial)
  return status
}

function keepUsage([program = '']: readonly string[], role: string, started: number, exit: number, denial: Denial | undefined): void {
  spoolUsage({
    command: 'assume',
    durationMs: Date.now() - started,
    exit,
    at: started,
    platform: process.platform,
    // its name alone, never an argument
    tool: program.slice(program.lastIndexOf('/') + 1).slice(0, 64),
    role: role.slice(0, 128),
    ...(denial === undefined ? {} : {denied: denial.category}),
    ...(denial?.action ? {action: denial.action} : {}),
  })
}
