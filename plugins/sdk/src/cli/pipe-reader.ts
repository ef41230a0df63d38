/** Whether a pipe that we write to still has a reader. Nothing tells a writer that does not write; Linux shows who holds the other end. */
import {fstatSync, lstatSync, readdirSync, readlinkSync} from 'node:fs'

/**
 * Looks at the pipe behind `fd`, again at each call: true once its last reader is gone. False where that cannot be known: another kind of file,
 * another system, a reader that never was in sight (of another user); then the next write tells.
 */
export function watchReader(fd: number): () => boolean {
  const pipe = process.platform === 'linux' && fstatSync(fd).isFIFO() ? readlinkSync(`/proc/self/fd/${fd}`) : undefined
  if (pipe === undefined) return () => false
  let reader: string | undefined
  return () => {
    const seen = reader
    if (seen === undefined || !reads(seen, pipe)) reader = findReader(pipe)
    return seen !== undefined && reader === undefined
  }
}

/** `/proc/PID/fd/N` of a process other than this one that holds the reading end. */
function findReader(pipe: string): string | undefined {
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) continue
    const folder = `/proc/${pid}/fd`
    const found = list(folder).find(name => reads(`${folder}/${name}`, pipe))
    if (found !== undefined) return `${folder}/${found}`
  }
  return undefined
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return [] // it has ended, or is another user's
  }
}

function reads(path: string, pipe: string): boolean {
  try {
    return readlinkSync(path) === pipe && (lstatSync(path).mode & 0o400) !== 0
  } catch {
    return false
  }
}
