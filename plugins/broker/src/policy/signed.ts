/**
 * A signed bundle: catalog and policy as one file, a signed note over the digest of each of its files (TM-G1). The keys that sign
 * are never the broker's. There is one way to write the same bundle, and any other text is refused. Pure.
 */
import type {KeyObject} from 'node:crypto'
import {sha256} from '@prod/sdk/document'
import {ProdError} from '@prod/sdk/errors'
import {noteSigner, openNote, type Verifier} from '@prod/sdk/log/note'
import {type BundleFile, digestFiles, findPlaceFault} from '../catalog/read.ts'

/** What the note says of a bundle. */
export interface Manifest {
  /** grows with each bundle; a broker never goes back */
  version: number
  /** when it was built: ISO 8601, UTC, whole seconds */
  madeAt: string
  /** over all files, as `prod policy check` prints it */
  digest: string
  files: {name: string; sha256: string}[]
}

/** The text of a bundle's file, taken apart: its form and digests hold; whose signatures it has, {@link signersOf} says. */
export interface SignedText {
  manifest: Manifest
  /** the note: the manifest and its signatures, of which it may have none yet */
  note: string
  files: BundleFile[]
}

/** The largest file of a bundle that is read at all. */
export const maxSignedBytes = 64 * 1024 * 1024

const kind = 'prod.policy/v1'
const fileName = /^(?:catalog|policy)(?:\/[A-Za-z0-9_@+-][A-Za-z0-9._@+-]*)+$/

/** The file's text, without signatures: the same files, version and time give the same bytes. Throws POLICY_INVALID for a name it cannot hold. */
export function writeSignedText(files: readonly BundleFile[], {version, madeAt}: Pick<Manifest, 'version' | 'madeAt'>): string {
  const sorted = [...files].sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const {name} of sorted)
    if (!fileName.test(name)) throw new ProdError('POLICY_INVALID', `${JSON.stringify(name)} is no name for a file of a signed bundle`)
  if (!Number.isSafeInteger(version) || version < 1) throw new ProdError('USAGE', `${version} is no version of a bundle: 1 and up`)
  if (!isMoment(madeAt)) throw new ProdError('USAGE', `${madeAt} is no time such as 2026-01-31T12:00:00Z`)
  const lines = [
    kind,
    `version ${version}`,
    `made ${madeAt}`,
    `digest ${digestFiles(sorted)}`,
    ...sorted.map(({name, bytes}) => `${sha256(bytes)} ${name}`),
  ]
  return join(`${lines.join('\n')}\n`, sorted)
}

/** Takes a file's text apart. Throws SIGNATURE_INVALID unless it is exactly what {@link writeSignedText} writes for its files, signed or not. */
export function readSignedText(text: string): SignedText {
  const refuse = (why: string) => new ProdError('SIGNATURE_INVALID', why, 'prod policy build --dir DIR --out FILE')
  let data: {note?: unknown; files?: unknown}
  try {
    data = JSON.parse(text)
  } catch {
    throw refuse('this is no bundle: not JSON')
  }
  const {note, files: texts} = data ?? {}
  if (typeof note !== 'string' || typeof texts !== 'object' || texts === null) throw refuse('this is no bundle')
  const files = Object.entries(texts).map(([name, content]): BundleFile => {
    if (!fileName.test(name) || typeof content !== 'string' || !content.isWellFormed())
      throw refuse(`${JSON.stringify(name)} is no file of a bundle`)
    const fault = findPlaceFault(name)
    if (fault) throw refuse(`${name} ${fault}`)
    return {name, text: content, bytes: Buffer.from(content)}
  })
  const end = note.indexOf('\n\n')
  const said = end < 0 ? note : note.slice(0, end + 1)
  const [, version, madeAt, digest] =
    /^prod\.policy\/v1\nversion ([1-9][0-9]{0,15})\nmade ([0-9TZ:-]+)\ndigest ([0-9a-f]{64})\n/.exec(said) ?? []
  if (!version || !madeAt || !digest || !Number.isSafeInteger(Number(version)) || !isMoment(madeAt))
    throw refuse('this is no bundle: its note is odd')
  const expected = readNote(writeSignedText(files, {version: Number(version), madeAt}))
  if (expected !== said) throw refuse('the files of the bundle are not those that its note names')
  if (join(note, files) !== text) throw refuse('the bundle is not written as it must be')
  return {
    manifest: {version: Number(version), madeAt, digest, files: files.map(({name, bytes}) => ({name, sha256: sha256(bytes)}))},
    note,
    files,
  }
}

/** The same text with one more signature; a second one by the same key changes nothing. Throws SIGNATURE_INVALID as {@link readSignedText}. */
export function addSignature(text: string, key: {name: string; privateKey: KeyObject}): string {
  const {note, files} = readSignedText(text)
  const end = note.indexOf('\n\n')
  const said = end < 0 ? note : note.slice(0, end + 1)
  const signed = noteSigner(key)(said)
  if (end < 0) return join(signed, files)
  const line = signed.slice(said.length + 1)
  return note.slice(end + 2).includes(line) ? text : join(note + line, files)
}

/** Names of the keys among these that signed it, each counted once. Throws SIGNATURE_INVALID if a signature under one of them does not hold. */
export function signersOf({note}: Pick<SignedText, 'note'>, keys: readonly Verifier[]): string[] {
  return keys.flatMap(key => {
    try {
      openNote(note, key)
      return [key.name]
    } catch (error) {
      if (error instanceof ProdError && /does not hold$/.test(error.message)) throw error
      return []
    }
  })
}

function readNote(text: string): string {
  return (JSON.parse(text) as {note: string}).note
}

function join(note: string, files: readonly BundleFile[]): string {
  const sorted = [...files].sort((a, b) => (a.name < b.name ? -1 : 1))
  return `${JSON.stringify({note, files: Object.fromEntries(sorted.map(file => [file.name, file.text]))}, null, 1)}\n`
}

function isMoment(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) && !Number.isNaN(Date.parse(text))
}
