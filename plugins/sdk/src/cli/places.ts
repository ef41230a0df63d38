/** Where the CLI keeps its files, and how it reads and writes them so that no other account of the machine can meddle (TM-U1). */
import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  type Stats,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import {dirname, isAbsolute, join} from 'node:path'
import {ProdError} from '../errors.ts'

/** Our own folders: absolute, and not made before something is written. */
export interface Places {
  /** what the person decides */
  readonly config: string
  /** what must outlive a restart: logins, spools */
  readonly state: string
  /** what can be made again */
  readonly cache: string
}

/** XDG Base Directory Specification 0.8 (a relative path is ignored); on Windows `%APPDATA%` and `%LOCALAPPDATA%`. Pure. */
export function places(env: NodeJS.ProcessEnv = process.env, platform: NodeJS.Platform = process.platform): Places {
  const home = env.HOME || env.USERPROFILE || process.getBuiltinModule('node:os').homedir()
  const of = (name: string, otherwise: string): string => {
    const given = env[name]
    return join(given && isAbsolute(given) ? given : otherwise, 'prod')
  }
  if (platform === 'win32') {
    const local = of('LOCALAPPDATA', join(home, 'AppData', 'Local'))
    return {config: of('APPDATA', join(home, 'AppData', 'Roaming')), state: join(local, 'state'), cache: join(local, 'cache')}
  }
  return {
    config: of('XDG_CONFIG_HOME', join(home, '.config')),
    state: of('XDG_STATE_HOME', join(home, '.local', 'state')),
    cache: of('XDG_CACHE_HOME', join(home, '.cache')),
  }
}

function refuse(path: string, why: string, hint: string): never {
  throw new ProdError('CONFIG_INVALID', `${path} ${why}`, hint)
}

/** POSIX owners and modes; Windows has access lists, and a profile folder is its person's alone. */
const ownersCount = process.geteuid !== undefined

function checkOwner(path: string, {uid, mode}: Stats, forbidden: number, mend: string): void {
  if (!ownersCount) return
  if (uid !== process.geteuid?.()) refuse(path, 'belongs to somebody else', `ls -ld ${path}`)
  if (mode & forbidden) refuse(path, forbidden === 0o022 ? 'can be written by others' : 'can be read by others', mend)
}

function statOf(path: string): Stats | undefined {
  return lstatSync(path, {throwIfNoEntry: false})
}

/** Makes one of our folders (0700), or checks that it is one: no link, ours, closed to writers. Others' right to read is taken away. */
export function privateFolder(path: string): string {
  if (isPrivate(statOf(path))) return path
  mkdirSync(path, {recursive: true, mode: 0o700})
  checkFolder(path)
  if (!ownersCount) return path
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  try {
    if (fstatSync(fd).mode & 0o077) fchmodSync(fd, 0o700)
  } finally {
    closeSync(fd)
  }
  return path
}

/** As it should be already: one look, and nothing to mend. */
function isPrivate(stats: Stats | undefined): boolean {
  return ownersCount && stats?.isDirectory() === true && stats.uid === process.geteuid?.() && (stats.mode & 0o077) === 0
}

function checkFolder(path: string): void {
  const stats = statOf(path)
  if (!stats) return
  if (stats.isSymbolicLink()) refuse(path, 'is a link', `rm ${path}`)
  if (!stats.isDirectory()) refuse(path, 'is no folder', `rm ${path}`)
  checkOwner(path, stats, 0o022, `chmod 700 ${path}`)
}

function checkFile(path: string, stats: Stats, secret: boolean): void {
  if (!stats.isFile()) refuse(path, 'is no plain file', `ls -l ${path}`)
  checkOwner(path, stats, 0o022, `chmod 600 ${path}`)
  if (secret) checkOwner(path, stats, 0o077, `chmod 600 ${path}`)
}

/** Opens without following a link and without waiting on a pipe. */
function openOurs(path: string, flags: number): number {
  try {
    return openSync(path, flags | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0), 0o600)
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException
    if (code === 'ELOOP') refuse(path, 'is a link', `rm ${path}`)
    if (code === 'EACCES' || code === 'EPERM') refuse(path, 'cannot be opened', `ls -l ${path}`)
    if (code === 'ENXIO' || code === 'EISDIR') refuse(path, 'is no plain file', `ls -l ${path}`)
    throw error
  }
}

/**
 * The text of a file of ours, or undefined where there is none. Throws CONFIG_INVALID where the file or its folder is a link, belongs to
 * somebody else or can be written by others; with `secret` also where others can read it.
 */
export function readPrivate(path: string, {secret = false}: {secret?: boolean} = {}): string | undefined {
  checkFolder(dirname(path))
  let fd: number
  try {
    fd = openOurs(path, constants.O_RDONLY)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    checkFile(path, fstatSync(fd), secret)
    return readFileSync(fd, 'utf8')
  } finally {
    closeSync(fd)
  }
}

/** Writes a file of ours whole or not at all (0600, in a 0700 folder, on the disk before it is named). Throws CONFIG_INVALID as {@link readPrivate}. */
export function writePrivate(path: string, data: string | Uint8Array): void {
  privateFolder(dirname(path))
  const old = statOf(path)
  if (old?.isSymbolicLink()) refuse(path, 'is a link', `rm ${path}`)
  if (old) checkOwner(path, old, 0, '')
  const draft = `${path}.${process.pid}.${Math.random().toString(36).slice(2, 10)}`
  const fd = openOurs(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL)
  try {
    writeFileSync(fd, data)
    fsyncSync(fd)
    closeSync(fd)
    renameSync(draft, path)
  } catch (error) {
    removePrivate(draft)
    throw error
  }
}

/** Adds a line to a file of ours, unless it has grown to `maxBytes`. Answers whether it was added. Throws as {@link readPrivate}. */
export function appendPrivate(path: string, line: string, {maxBytes}: {maxBytes: number}): boolean {
  privateFolder(dirname(path))
  const fd = openOurs(path, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT)
  try {
    const stats = fstatSync(fd)
    checkFile(path, stats, false)
    if (stats.size + line.length + 1 > maxBytes) return false
    writeSync(fd, `${line}\n`)
    return true
  } finally {
    closeSync(fd)
  }
}

/** Removes a file of ours; one that is gone is fine. */
export function removePrivate(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
