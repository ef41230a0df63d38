/** What one program may see and change of the machine, as arguments of bubblewrap. */
import {existsSync, lstatSync, realpathSync, statSync} from 'node:fs'
import {dirname} from 'node:path'
import type {Needs} from '@prod/sdk'
import type {Ids} from './messages.ts'

/** What a cage is made for: two runs with the same wishes can have the same kind of cage. */
export interface Wishes {
  /** null: what the account may */
  readonly needs: Needs | null
  /** who owns the private folders in it; null: whoever runs this */
  readonly owner: Ids | null
  /** most bytes that its private folders hold */
  readonly scratchBytes: number
}

/** Where a program starts, and its home: empty folders of one run's own (TM-H9). */
export interface Places {
  readonly cwd: string
  readonly home: string
}

/** The private places inside a cage, below the runner's own folder. */
export function placesIn(folder: string): Places & {root: string} {
  const root = `${folder}/run-own`
  return {root, cwd: `${root}/work`, home: `${root}/home`}
}

/** People's homes, what services and machines share, what others mount: empty in a cage unless a definition names a part of it. */
const closed = ['/home', '/root', '/run', '/srv', '/mnt', '/media', '/boot']
const shared = ['/tmp', '/var/tmp', '/dev/shm']

/**
 * The view of the machine that a definition asks for. The root folder is read-only, /proc and /dev hold what every program
 * needs, {@link closed} places are empty, {@link shared} ones private; then what is named; last what is hidden, whatever was
 * named. Reads the machine's folders.
 * @param places folders on the disk for this run; without them a cage has its own, in memory
 */
export function viewArguments(
  {needs, scratchBytes}: Wishes & {needs: Needs},
  folder: string,
  hide: readonly string[],
  places?: string,
): string[] {
  const size = ['--size', String(scratchBytes)]
  const ownFolder = (path: string) => isRealFolder(path)
  const emptied = closed.filter(ownFolder)
  const names = needs.network ? nameService() : []
  const ways = [...new Set([...needs.reads, ...names, ...needs.writes].flatMap(path => wayTo(path, [...emptied, ...shared])))]
  return [
    ...['--ro-bind', '/', '/', '--dev', '/dev'],
    ...(needs.processes ? ['--ro-bind', '/proc', '/proc'] : ['--proc', '/proc']),
    ...emptied.flatMap(path => ['--tmpfs', path]),
    ...shared.filter(path => path === '/dev/shm' || ownFolder(path)).flatMap(path => [...size, '--perms', '1777', '--tmpfs', path]),
    ...ways.flatMap(path => ['--perms', '0755', '--dir', path]),
    ...[...needs.reads, ...names].flatMap(path => [path.startsWith('/dev/') ? '--dev-bind-try' : '--ro-bind-try', path, path]),
    ...needs.writes.flatMap(path => ['--bind-try', path, path]),
    ...hideArguments(hide),
    ...privateArguments(folder, scratchBytes, places),
    ...emptied.flatMap(path => ['--remount-ro', path]),
  ]
}

/** The machine as it is, but for what is hidden and for the private folders. */
export function openArguments({scratchBytes}: Wishes, folder: string, hide: readonly string[], places?: string): string[] {
  return ['--dev-bind', '/', '/', '--proc', '/proc', ...hideArguments(hide), ...privateArguments(folder, scratchBytes, places)]
}

/** Namespaces besides the mounts' that a definition's needs leave room for. */
export function spaceArguments(needs: Needs | null): string[] {
  return [
    ...(needs?.processes ? [] : ['--unshare-pid']),
    ...(needs === null ? [] : ['--unshare-ipc']),
    ...(needs?.network === false ? ['--unshare-net'] : []),
  ]
}

function hideArguments(hide: readonly string[]): string[] {
  return hide.flatMap(path => {
    const kind = statSync(path, {throwIfNoEntry: false})
    return kind === undefined ? [] : kind.isDirectory() ? ['--perms', '0000', '--tmpfs', path] : ['--ro-bind', '/dev/null', path]
  })
}

function privateArguments(folder: string, scratchBytes: number, places: string | undefined): string[] {
  if (places !== undefined) return ['--perms', '0711', '--tmpfs', folder, '--bind', places, places]
  const {root, cwd, home} = placesIn(folder)
  const folders = [root, cwd, home].flatMap(path => ['--perms', '0700', '--dir', path])
  return ['--perms', '0711', '--size', String(scratchBytes), '--tmpfs', folder, ...folders]
}

/** Where the machine says how names are resolved, if that lies in a closed place. */
function nameService(): string[] {
  try {
    const path = dirname(realpathSync('/etc/resolv.conf'))
    return path.startsWith('/run/') ? [path] : []
  } catch {
    return []
  }
}

/** The folders on the way from one of these places to a path below it: in an empty place they must be made, and be open to the account. */
function wayTo(path: string, places: readonly string[]): string[] {
  const place = places.find(one => path.startsWith(`${one}/`))
  if (place === undefined) return []
  const names = path.slice(place.length + 1).split('/')
  return names.slice(1).map((_, index) => `${place}/${names.slice(0, index + 1).join('/')}`)
}

function isRealFolder(path: string): boolean {
  return existsSync(path) && lstatSync(path).isDirectory()
}
