import {createHash} from 'node:crypto'
import {constants, type Stats} from 'node:fs'
import {type FileHandle, lstat, open, readlink, realpath} from 'node:fs/promises'
import {ProdError} from '@prod/sdk/errors'

/** A program that was opened once and checked: whatever happens to its path now, `file` is what was looked at. */
export interface HeldProgram {
  readonly path: string
  /** null where nobody asked for it */
  readonly sha256: string | null
  /** begins with `#!`: an interpreter reads it by name */
  readonly script: boolean
  readonly file: FileHandle
}

/** Who may own a program and the folders above it: root, and `own` (a user id) in development. */
export interface Owners {
  readonly own: number | null
}

const digests = new Map<string, string>()

/**
 * Opens a program and checks it (TM-H7): no link in its path, it and every folder above owned by root and written by its
 * owner alone, its digest as given. The caller closes `file`.
 * @throws TOOL_UNAVAILABLE with what to write or change
 */
export async function holdProgram(
  program: {path: string; sha256?: string},
  owners: Owners,
  wantDigest = program.sha256 !== undefined,
): Promise<HeldProgram> {
  const {path} = program
  if (!path.startsWith('/') || path.includes('\0')) throw unavailable(`the program ${JSON.stringify(path)} is not an absolute path`)
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    throw await whyNot(path, error)
  }
  try {
    const found = await readlink(`/proc/self/fd/${file.fd}`)
    if (found !== path)
      throw unavailable(
        `${path} is not the real path of a program`,
        found.startsWith('/') && !found.endsWith(' (deleted)') ? found : undefined,
      )
    const stats = await file.stat()
    if (!stats.isFile()) throw unavailable(`${path} is not a file`)
    if ((stats.mode & 0o111) === 0) throw unavailable(`${path} may not be executed`)
    checkOwner(path, stats, owners)
    for (let folder = path; folder !== '/'; ) {
      folder = folder.slice(0, folder.lastIndexOf('/')) || '/'
      checkOwner(folder, await lstat(folder), owners)
    }
    const sha256 = wantDigest ? await digest(file) : null
    if (program.sha256 !== undefined && sha256 !== program.sha256)
      throw unavailable(`${path} is not the program that was approved: its digest is ${sha256}`)
    const head = Buffer.alloc(2)
    await file.read(head, 0, 2, 0)
    return {path, sha256, script: head.toString('latin1') === '#!', file}
  } catch (error) {
    await file.close()
    throw error
  }
}

function checkOwner(path: string, stats: Stats, {own}: Owners): void {
  if (stats.uid !== 0 && stats.uid !== own) throw unavailable(`${path} does not belong to root`)
  // in development, others may write into a sticky folder such as /tmp: they cannot replace what is ours there
  const sticky = own !== null && stats.isDirectory() && (stats.mode & 0o1000) !== 0
  if ((stats.mode & 0o022) !== 0 && !sticky) throw unavailable(`${path} can be changed by others than its owner`)
}

/** Lower-case hex SHA-256. Remembered by what the kernel says of the file: `ctime` cannot be set by who lacks root. */
async function digest(file: FileHandle): Promise<string> {
  const key = async () => {
    const {dev, ino, size, mtimeNs, ctimeNs} = await file.stat({bigint: true})
    return [dev, ino, size, mtimeNs, ctimeNs].join(':')
  }
  const before = await key()
  const known = digests.get(before)
  if (known !== undefined) return known
  const hash = createHash('sha256')
  const chunk = Buffer.allocUnsafe(1 << 20)
  for (let at = 0; ; ) {
    const {bytesRead} = await file.read(chunk, 0, chunk.length, at)
    if (bytesRead === 0) break
    hash.update(chunk.subarray(0, bytesRead))
    at += bytesRead
  }
  const hex = hash.digest('hex')
  // a file that changed this very moment may change again within one tick of its clock: such a digest is not remembered
  const settled = Date.now() - Number((await file.stat()).ctimeMs) > 2000
  if (settled && (await key()) === before) {
    if (digests.size >= 1000) digests.clear()
    digests.set(before, hex)
  }
  return hex
}

async function whyNot(path: string, error: unknown): Promise<ProdError> {
  const code = (error as NodeJS.ErrnoException).code
  if (code === 'ELOOP') return unavailable(`${path} is a link`, await realpath(path).catch(() => undefined))
  if (code === 'ENOENT' || code === 'ENOTDIR') return unavailable(`there is no program ${path}`)
  return unavailable(`the program ${path} cannot be opened: ${code ?? 'unknown reason'}`)
}

function unavailable(message: string, real?: string): ProdError {
  return new ProdError('TOOL_UNAVAILABLE', real === undefined ? message : `${message}: the catalog must say ${real}`, 'prod tools')
}
