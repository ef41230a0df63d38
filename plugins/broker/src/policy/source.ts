/** Where the files of a bundle come from: two folders, or one signed file that counts only under the operator's keys (TM-G1). */
import {constants} from 'node:fs'
import {lstat, open} from 'node:fs/promises'
import {dirname} from 'node:path'
import {ProdError} from '@prod/sdk/errors'
import {parseVerifierKey, type Verifier} from '@prod/sdk/log/note'
import type {Finding} from '../catalog/finding.ts'
import {type BundleFile, readBundleFiles} from '../catalog/read.ts'
import {maxSignedBytes, readSignedText, signersOf} from './signed.ts'

/** Two folders: nothing says who wrote them but the file system. */
export interface Folders {
  catalogDir: string
  policyDir: string
}

/** A file that `prod policy build` wrote and `prod policy sign` signed. */
export interface SignedFile {
  file: string
  /** whose signatures count */
  keys: readonly Verifier[]
  /** of how many of them */
  signatures: number
  /** the newest bundle that was loaded: none older is, and it serves where `file` does not; absent: no such memory */
  kept?: string
  /** the newest of which the log knows that it was loaded: none older is, whatever became of `kept`; absent: of none */
  logged?: {version: number; digest: string}
}

/** What was read. `signed`: whose bundle it is, and its text to keep. */
export interface Source {
  files: BundleFile[]
  findings: Finding[]
  signed?: {version: number; madeAt: string; by: string[]; text: string}
}

const futureSeconds = 600

/** Reads a bundle's files. A signed one is checked: form, digests, signatures, that it is not older than the kept one nor from the future. */
export async function readSource(place: Folders | SignedFile, now: () => Date, development: boolean): Promise<Source> {
  if (!('file' in place)) return readBundleFiles({...place, development})
  const refuse = (message: string, mend?: string): Source => ({
    files: [],
    findings: [{file: 'policy', message, ...(mend ? {mend} : {})}],
  })
  try {
    const text = await readClosed(place.file, development)
    if (text === undefined) return refuse(`there is no file ${place.file}`, 'prod policy build --dir DIR --out FILE')
    const read = readSignedText(text)
    const {version, madeAt, digest} = read.manifest
    const by = signersOf(read, place.keys)
    if (by.length < place.signatures)
      return refuse(
        `the bundle has ${by.length} of ${place.signatures} signatures that count${by.length > 0 ? ` (${by.join(', ')})` : ''}`,
        'prod policy sign FILE --key KEY',
      )
    if (Date.parse(madeAt) > now().getTime() + futureSeconds * 1000) return refuse(`the bundle is from the future: ${madeAt}`)
    const kept = place.kept === undefined ? undefined : await readKept(place.kept)
    const newest = place.logged && place.logged.version > (kept?.version ?? 0) ? place.logged : kept
    if (newest && version < newest.version)
      return refuse(
        `the bundle has version ${version}, and ${newest.version} was loaded already`,
        'to go back, build the old files with a higher --version, and sign them',
      )
    if (newest && version === newest.version && digest !== newest.digest)
      return refuse(`there was another bundle of version ${version} already`, 'give it a higher --version')
    return {files: read.files, findings: [], signed: {version, madeAt, by, text}}
  } catch (error) {
    if (!(error instanceof ProdError)) throw error
    return refuse(error.message, error.hint)
  }
}

/** Reads the operator's keys. Throws CONFIG_INVALID for one that is none, stands twice, or is among `own`: then the broker could sign. */
export function readPolicyKeys(texts: readonly string[], signatures: number, own: readonly Verifier[] = []): Verifier[] {
  const keys = texts.map(parseVerifierKey)
  const same = (a: Verifier, b: Verifier): boolean => a.publicKey.equals(b.publicKey)
  for (const [at, key] of keys.entries()) {
    if (keys.slice(0, at).some(other => same(other, key) || other.name === key.name))
      throw new ProdError('CONFIG_INVALID', `policy.keys has ${key.name} twice`, 'one key and one name for each signer')
    if (own.some(other => same(other, key)))
      throw new ProdError('CONFIG_INVALID', `policy.keys has ${key.name}, a key of this broker`, 'prod policy keygen, on another machine')
  }
  if (signatures > keys.length)
    throw new ProdError('CONFIG_INVALID', `policy.signatures is ${signatures}, of ${keys.length} keys`, 'signatures: 1')
  return keys
}

/** Version and digest of the newest bundle that was loaded; undefined: none yet. Throws if there is a file that is no bundle. */
async function readKept(file: string): Promise<{version: number; digest: string} | undefined> {
  const text = await readClosed(file, false)
  return text === undefined ? undefined : readSignedText(text).manifest
}

/** One regular file, never through a link, not writable by everybody, nor replaceable by them; undefined: there is none. */
async function readClosed(path: string, development: boolean): Promise<string | undefined> {
  const refuse = (why: string) => new ProdError('POLICY_INVALID', `${path} ${why}`)
  const folder = await lstat(dirname(path)).catch(() => undefined)
  if (!folder) return undefined
  if (!folder.isDirectory()) throw refuse('is in a folder that is a symbolic link')
  if (!development && (folder.mode & 0o1002) === 0o002) throw refuse('is in a folder that everybody may write')
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw refuse(error.code === 'ELOOP' ? 'is a symbolic link' : `cannot be opened: ${error.code}`)
    },
  )
  if (!handle) return undefined
  try {
    const info = await handle.stat()
    if (!info.isFile() || info.size > maxSignedBytes) throw refuse('is no bundle')
    if (!development && (info.mode & 0o002) !== 0) throw refuse('may be written by everybody')
    const bytes = await handle.readFile()
    const text = bytes.toString('utf8')
    if (!Buffer.from(text).equals(bytes)) throw refuse('is not UTF-8')
    return text
  } finally {
    await handle.close()
  }
}
