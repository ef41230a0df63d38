/** Signed notes with Ed25519 keys. Source: c2sp.org/signed-note. Pure. */
import {createPublicKey, hash, type KeyObject, sign, verify} from 'node:crypto'
import {ProdError} from '../errors.ts'

/** Who signs: the key's name (such as `prod.example/log`; no space, no `+`) and its private key. */
export interface NoteKey {
  name: string
  privateKey: KeyObject
}

/** A verifier key, read. */
export interface Verifier {
  name: string
  /** four bytes */
  id: Uint8Array
  publicKey: KeyObject
}

const ed25519 = 1
const spki = Buffer.from('302a300506032b6570032100', 'hex')
const namePattern = /^[^\s+\p{Cc}]+$/u

function keyId(name: string, material: Uint8Array): Uint8Array {
  return hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), material]), 'buffer').subarray(0, 4)
}

/** `name+id+key`: what a reader needs to check notes; public. Takes a public or a private Ed25519 key. */
export function verifierKey(name: string, key: KeyObject): string {
  if (!namePattern.test(name)) throw new ProdError('CONFIG_INVALID', `${JSON.stringify(name)} cannot be the name of a log key`)
  const publicKey = key.type === 'public' ? key : createPublicKey(key)
  const material = Buffer.concat([Buffer.of(ed25519), publicKey.export({format: 'der', type: 'spki'}).subarray(spki.length)])
  return `${name}+${Buffer.from(keyId(name, material)).toString('hex')}+${material.toString('base64')}`
}

/** Reads a verifier key. Throws CONFIG_INVALID unless it is exactly the text that {@link verifierKey} writes. */
export function parseVerifierKey(text: string): Verifier {
  const [, name, id, base64] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]{44})$/.exec(text) ?? []
  const material = Buffer.from(base64 ?? '', 'base64')
  if (!name || !namePattern.test(name) || material[0] !== ed25519 || Buffer.from(keyId(name, material)).toString('hex') !== id) {
    throw new ProdError('CONFIG_INVALID', `${text.slice(0, 200)} is not an Ed25519 verifier key (name+id+key)`)
  }
  const publicKey = createPublicKey({key: Buffer.concat([spki, material.subarray(1)]), format: 'der', type: 'spki'})
  return {name, id: keyId(name, material), publicKey}
}

/** Gives the function that signs texts with this key; `text` must end in a newline. */
export function noteSigner({name, privateKey}: NoteKey): (text: string) => string {
  const {id} = parseVerifierKey(verifierKey(name, privateKey))
  return text => `${text}\n— ${name} ${Buffer.concat([id, sign(null, Buffer.from(text), privateKey)]).toString('base64')}\n`
}

/** The text of a note that this key has signed. Throws SIGNATURE_INVALID for anything else. */
export function openNote(note: string, verifier: Verifier): string {
  const refuse = (why: string) => new ProdError('SIGNATURE_INVALID', why)
  const end = note.lastIndexOf('\n\n')
  if (end < 0 || !note.endsWith('\n') || note.length > 1_000_000 || /[\0-\x09\x0b-\x1f]/.test(note) || !note.isWellFormed()) {
    throw refuse('this is not a signed note')
  }
  const text = note.slice(0, end + 1)
  const lines = note.slice(end + 2, -1).split('\n')
  if (lines.length > 100) throw refuse('this note has too many signatures')
  let signed = false
  for (const line of lines) {
    const [, name, base64] = /^— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/.exec(line) ?? []
    const bytes = Buffer.from(base64 ?? '', 'base64')
    if (!name || bytes.length < 5 || bytes.toString('base64') !== base64) throw refuse('this is not a signed note')
    if (name !== verifier.name || Buffer.compare(bytes.subarray(0, 4), verifier.id) !== 0) continue
    if (!verify(null, Buffer.from(text), verifier.publicKey, bytes.subarray(4))) throw refuse(`the signature of ${name} does not hold`)
    signed = true
  }
  if (!signed) throw refuse(`this note is not signed by ${verifier.name}`)
  return text
}
