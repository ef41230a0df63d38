/**
 * Paths among a program's arguments (TM-H14): walked name by name, no link on the way, a regular file or a folder at the end.
 * What somebody else could exchange between our look and the program's is held open and put into the cage in its place.
 */
import {spawn} from 'node:child_process'
import {constants, type Stats} from 'node:fs'
import {type FileHandle, open, readlink, statfs} from 'node:fs/promises'
import {join} from 'node:path'
import type {NamedPath} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {type Cage, exitOf} from './isolation.ts'

/** One path that was walked. `loose`: the first folder on its way in which others than root and we can exchange a name. */
interface Walked {
  readonly named: NamedPath
  readonly loose: string | null
  /** what it leads to; undefined where there is nothing */
  readonly file: FileHandle | undefined
}

const openPath = 0o10000000
/** proc, sysfs, devpts, cgroup, cgroup2, debugfs, tracefs, securityfs: their files are no data (statfs(2)) */
const strange = new Set([0x9fa0, 0x62656572, 0x1cd1, 0x27e0eb, 0x63677270, 0x64626720, 0x74726163, 0x73636673])

/** Puts what was walked into a cage, in place of folders that others can change: nothing else is seen there. */
const mounts = `umask 022; set -C
while [ $# -gt 0 ]; do case $1 in
cover) mount -t tmpfs -o mode=755,size=1m none "$2" || exit 1; shift 2 ;;
file) mkdir -p "\${2%/*}" && : > "$2" && mount --no-canonicalize --bind "/proc/self/fd/$3" "$2" || exit 1; shift 3 ;;
folder) mkdir -p "$2" && mount --no-canonicalize --bind "/proc/self/fd/$3" "$2" || exit 1; shift 3 ;;
seal) mount -o remount,bind,ro "$2" || exit 1; shift 2 ;;
esac; done`

/**
 * Looks at every path, and sees to it that the program gets what was looked at.
 * @param own who besides root is trusted with folders on the way: a user id, in development; null: nobody
 * @param writes folders that the program may write to: what is not there yet may be made there
 * @throws ARGV_REFUSED with what is in the way
 */
export async function settlePaths(
  paths: readonly NamedPath[],
  cage: Pick<Cage, 'inside' | 'enter'>,
  own: number | null,
  writes: readonly string[],
): Promise<void> {
  if (paths.length === 0) return
  const walked: Walked[] = []
  const byPath = new Map(paths.map(named => [named.path, named]))
  try {
    for (const named of byPath.values()) walked.push(await walk(named, cage.inside?.root ?? '', own))
    const isWritten = ({path}: NamedPath) => writes.some(folder => path === folder || path.startsWith(`${folder}/`))
    const unsure = walked.filter(({loose, file, named}) => loose !== null && !(file === undefined && isWritten(named)))
    const [first] = unsure
    if (!first) return
    if (!cage.inside) throw refused(first.named.path, `others can exchange what lies in ${first.loose}`)
    const folders = [...new Set(unsure.map(({loose}) => loose as string))]
    // one below another is covered with it
    const covered = folders.filter(folder => !folders.some(other => other !== folder && folder.startsWith(`${other}/`)))
    const held = unsure.filter((one): one is Walked & {file: FileHandle} => one.file !== undefined)
    // a mount point is made in a place of ours alone
    const nested = held.find(({named}) => held.some(other => named.path.startsWith(`${other.named.path}/`)))
    if (nested) throw refused(nested.named.path, 'it lies in another path that was given, which others can change')
    const text = [
      ...covered.flatMap(folder => ['cover', folder]),
      ...held.flatMap(({named}, index) => [named.folder ? 'folder' : 'file', named.path, String(index + 3)]),
      ...held.filter(({named}) => !isWritten(named)).flatMap(({named}) => ['seal', named.path]),
      ...covered.flatMap(folder => ['seal', folder]),
    ]
    const [file = '', ...enter] = cage.inside.enter
    const child = spawn(file, [...enter, '/bin/sh', '-c', mounts, 'sh', ...text], {
      env: {PATH: '/usr/sbin:/usr/bin:/sbin:/bin'},
      cwd: '/',
      stdio: ['ignore', 'ignore', 'ignore', ...held.map(each => each.file.fd)],
      timeout: 5000,
    })
    const {status} = await exitOf(child)
    if (status !== 0) throw refused(first.named.path, `others can exchange what lies in ${first.loose}, and it could not be held`)
  } finally {
    for (const {file} of walked) await file?.close()
  }
}

/** The folder that a definition names to start in: no link on the way, nobody who could exchange it. Throws TOOL_UNAVAILABLE. */
export async function settleFolder(path: string, cage: Pick<Cage, 'inside'>, own: number | null): Promise<void> {
  let walked: Walked | undefined
  try {
    walked = await walk({path, folder: true}, cage.inside?.root ?? '', own)
  } catch (error) {
    throw unavailable((error as Error).message)
  }
  await walked.file?.close()
  if (!walked.file) throw unavailable(`there is no folder ${path}`)
  if (walked.loose !== null) throw unavailable(`others can exchange what lies in ${walked.loose}, so ${path} is no place to start in`)
}

/**
 * The places that a definition has a cage show: each must be what its path leads to when no link is followed that somebody else
 * could have planted. Looked at once the cage is made: what it shows stays.
 * @throws TOOL_UNAVAILABLE with the link, or with the place that was exchanged meanwhile
 */
export async function settlePlaces(places: readonly string[], cage: Pick<Cage, 'inside'>, own: number | null): Promise<void> {
  for (const path of places) {
    const named = await identityOf(path, '', own)
    const shown = cage.inside && (await identityOf(path, cage.inside.root, own))
    if (shown !== undefined && shown !== named && shown !== null) throw unavailable(`${path} was exchanged while it was looked at`)
  }
}

const mostLinks = 40

/** Device and number of what a path leads to below a root, through links that root or we made alone; null: there is nothing. */
async function identityOf(path: string, root: string, own: number | null): Promise<string | null> {
  let names = path.split('/').filter(name => name !== '')
  let links = 0
  let at = await open(root === '' ? '/' : root, openPath | constants.O_DIRECTORY)
  try {
    for (let index = 0; index < names.length; index++) {
      const name = names[index] as string
      const above = await at.stat()
      let next: FileHandle
      try {
        next = await open(`/proc/self/fd/${at.fd}/${name}`, openPath | constants.O_NOFOLLOW)
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code
        if (code === 'ENOENT' || code === 'ENOTDIR') return null
        throw unavailable(`${path} cannot be looked at: ${code}`)
      }
      const found = await next.stat()
      if (!found.isSymbolicLink()) {
        await at.close()
        at = next
        continue
      }
      await next.close()
      if (isLoose(above, found, own))
        throw unavailable(`others can exchange the link /${names.slice(0, index + 1).join('/')} on the way to ${path}`)
      if (++links > mostLinks) throw unavailable(`${path} leads through too many links`)
      const target = await readlink(`/proc/self/fd/${at.fd}/${name}`)
      names = join('/', target.startsWith('/') ? '' : names.slice(0, index).join('/'), target, ...names.slice(index + 1))
        .split('/')
        .filter(part => part !== '')
      index = -1
      await at.close()
      at = await open(root === '' ? '/' : root, openPath | constants.O_DIRECTORY)
    }
    const {dev, ino} = await at.stat({bigint: true})
    return `${dev} ${ino}`
  } finally {
    await at.close().catch(() => {})
  }
}

async function walk(named: NamedPath, root: string, own: number | null): Promise<Walked> {
  const {path, folder} = named
  const names = path.split('/').filter(name => name !== '')
  if (!path.startsWith('/') || names.length === 0 || names.some(name => name === '..' || name === '.' || name.includes('\0')))
    throw refused(path, 'it is no plain absolute path')
  if (/^\/(?:proc|sys|dev)(?:\/|$)/.test(path)) throw refused(path, 'it is no file of data')
  let at = await open(root === '' ? '/' : root, openPath | constants.O_DIRECTORY)
  let loose: string | null = null
  try {
    let above = await at.stat()
    for (const [index, name] of names.entries()) {
      const here = `/${names.slice(0, index).join('/')}`
      let next: FileHandle
      try {
        next = await open(`/proc/self/fd/${at.fd}/${name}`, openPath | constants.O_NOFOLLOW)
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code
        if (code !== 'ENOENT' && code !== 'ENOTDIR') throw refused(path, `it cannot be opened: ${code}`)
        if (loose === null && isLoose(above, undefined, own)) loose = here
        await at.close()
        return {named, loose, file: undefined}
      }
      const found = await next.stat()
      if (loose === null && isLoose(above, found, own)) loose = here
      await at.close()
      at = next
      above = found
      if (found.isSymbolicLink()) throw refused(path, `/${names.slice(0, index + 1).join('/')} is a link`)
    }
    if (!(above.isFile() || (folder && above.isDirectory())))
      throw refused(path, folder ? 'it is neither a file nor a folder' : 'it is no regular file')
    if (strange.has(Number((await statfs(`/proc/self/fd/${at.fd}`)).type))) throw refused(path, 'it is no file of data')
    return {named, loose, file: at}
  } catch (error) {
    await at.close().catch(() => {})
    throw error
  }
}

/** Whether others could exchange a name in this folder. In a sticky one, what is ours or root's cannot be moved away. */
function isLoose(folder: Stats, name: Stats | undefined, own: number | null): boolean {
  const trusted = (uid: number) => uid === 0 || uid === own
  if (!trusted(folder.uid)) return true
  if ((folder.mode & 0o022) === 0) return false
  return (folder.mode & 0o1000) === 0 || name === undefined || !trusted(name.uid)
}

function refused(path: string, why: string): ProdError {
  return new ProdError('ARGV_REFUSED', `${path} is not given to a program: ${why}`, 'prod tools')
}

function unavailable(message: string): ProdError {
  return new ProdError('TOOL_UNAVAILABLE', message, 'prod tools')
}
