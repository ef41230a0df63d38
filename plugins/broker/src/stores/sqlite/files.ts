/** The store's file: private, ours, on a local disk. */
import {chmodSync, closeSync, lstatSync, mkdirSync, openSync, statfsSync, statSync} from 'node:fs'
import {dirname, resolve} from 'node:path'
import {ProdError} from '@prod/sdk/errors'

/** File systems whose locks and shared memory do not reach the other machines. Source: `f_type` of statfs(2). */
const network = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xfe534d42, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x73757245, 'Coda'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
  [0x47504653, 'GPFS'],
])

/** Name of the network file system with this `f_type`; undefined for a local one, or one that cannot be told (FUSE, 9p). Pure. */
export function networkFileSystem(type: number): string | undefined {
  return network.get(type >>> 0)
}

/**
 * Makes the file (0600) and its folder (0700) where they are missing, and checks them where they are there. Our own that
 * others could read are closed to them; what belongs to somebody else, what others can write and symbolic links are
 * refused with CONFIG_INVALID (TM-U1), a network file system too (TM-N8).
 */
export function prepareFile(file: string): void {
  const folder = dirname(resolve(file))
  unavailable(() => {
    mkdirSync(folder, {recursive: true, mode: 0o700})
    own(folder, statSync(folder), 0o700, true)
    const kind = networkFileSystem(Number(statfsSync(folder, {bigint: true}).type & 0xffffffffn))
    if (kind)
      throw new ProdError(
        'CONFIG_INVALID',
        `${folder} is on ${kind}: an SQLite store needs a local disk`,
        'prod broker start --config FILE',
      )
    for (const end of ['', '-wal', '-shm', '.lock']) {
      const found = lstatSync(file + end, {throwIfNoEntry: false})
      // nothing that exists is opened here: closing it would drop the locks this process holds on it
      if (found) own(file + end, found, 0o600, false)
      else if (end === '' || end === '.lock') closeSync(openSync(file + end, 'wx', 0o600))
    }
  })
}

function own(
  path: string,
  found: {uid: number; mode: number; isFile(): boolean; isDirectory(): boolean},
  mode: number,
  folder: boolean,
): void {
  const refuse = (why: string) => new ProdError('CONFIG_INVALID', `${path} ${why}`, `ls -ld ${path}`)
  if (folder ? !found.isDirectory() : !found.isFile()) throw refuse(`is not a ${folder ? 'folder' : 'plain file'}`)
  const user = process.getuid?.()
  if (user === undefined) return
  if (found.uid !== user) throw refuse('belongs to somebody else')
  if (folder && found.mode & 0o022) throw refuse('can be written by others')
  if (found.mode & 0o077) chmodSync(path, mode)
}

function unavailable(work: () => void): void {
  try {
    work()
  } catch (error) {
    if (error instanceof ProdError) throw error
    throw new ProdError('STORE_UNAVAILABLE', `the store cannot be opened: ${(error as Error).message}`, 'prod doctor', {cause: error})
  }
}
