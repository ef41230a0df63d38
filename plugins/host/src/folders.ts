/** The folders of a runner: where its socket is and its runs' own places. One that was killed leaves them to the next. */
import {chmodSync, mkdtempSync} from 'node:fs'
import {lstat, readdir, rm} from 'node:fs/promises'
import {connect} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {readProcess} from './processes.ts'

/** `prod-host-PID.BEGAN-…`, in base 36: which process made it */
const named = /^prod-host-([0-9a-z]+)\.([0-9a-z]+)-\w{6}$/

/** New folders: one for what the runner makes, through which others may pass; in it the socket's own, 0700: no other user can connect (TM-A5). */
export function makeFolders(): {folder: string; socket: string} {
  const began = readProcess(process.pid)?.began ?? 0
  const folder = mkdtempSync(join(tmpdir(), `prod-host-${process.pid.toString(36)}.${began.toString(36)}-`))
  chmodSync(folder, 0o711)
  return {folder, socket: join(mkdtempSync(join(folder, 'link-')), 'runner')}
}

/**
 * Removes the folders of brokers that were killed together with their runners: what programs were given must not outlive them (TM-U2). A
 * folder is left alone while the process that made it lives, or a runner answers in it.
 */
export async function sweepFolders(): Promise<void> {
  for (const name of await readdir(tmpdir()).catch(() => [])) {
    const [, pid = '', began = ''] = named.exec(name) ?? []
    const folder = join(tmpdir(), name)
    if (pid === '' || readProcess(Number.parseInt(pid, 36))?.began === Number.parseInt(began, 36)) continue
    const found = await lstat(folder).catch(() => undefined)
    if (!found?.isDirectory() || found.uid !== process.getuid?.() || (await isAnswered(folder))) continue
    await rm(folder, {recursive: true, force: true}).catch(() => {})
  }
}

async function isAnswered(folder: string): Promise<boolean> {
  const links = await readdir(folder).catch(() => [])
  const link = links.find(name => name.startsWith('link-'))
  if (link === undefined) return false
  return new Promise(resolve => {
    const socket = connect(join(folder, link, 'runner'))
    const answer = (answered: boolean) => {
      socket.destroy()
      resolve(answered)
    }
    socket.once('connect', () => answer(true)).once('error', () => answer(false))
  })
}
