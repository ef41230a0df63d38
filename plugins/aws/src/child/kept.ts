import {reportFailure} from '@prod/sdk/cli/failure'
import type {Kept} from '../credentials/kept.ts'
import {countUse} from '../used.ts'
import {serveChild} from './serve.ts'

/** Runs a command with what was kept; answers its status, ours where it could not be started. What renews loads when it is due. */
export async function runKept(command: readonly string[], {name, credentials, from, child}: Kept): Promise<number> {
  const renew = async () => (await (await import('@prod/aws/assume')).obtain(name)).credentials
  try {
    const ended = serveChild(command, {name, credentials, from, child, renew})
    // while the command starts
    setImmediate(() => countUse(name))
    return await ended
  } catch (error) {
    return reportFailure(error)
  }
}
