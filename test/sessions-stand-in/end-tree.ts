/** Ends what was started for a session, and what that started: each has a mark in its environment that its children inherit. */
import {readdirSync, readFileSync} from 'node:fs'

/** Name of the mark. */
export const mark = 'PROD_STAND_IN'

/** Ends a process group, and then everything on this machine whose mark begins so. */
export function endTree(pid: number | undefined, marked: string, signal: NodeJS.Signals = 'SIGKILL'): void {
  const kill = (which: number): void => {
    try {
      process.kill(which, signal)
    } catch {}
  }
  if (pid !== undefined) kill(-pid)
  const wanted = `\0${mark}=${marked}`
  try {
    for (const name of readdirSync('/proc')) if (/^\d+$/.test(name) && Number(name) !== process.pid && has(name, wanted)) kill(Number(name))
  } catch {}
}

function has(pid: string, wanted: string): boolean {
  try {
    return `\0${readFileSync(`/proc/${pid}/environ`, 'latin1')}`.includes(wanted)
  } catch {
    return false
  }
}
