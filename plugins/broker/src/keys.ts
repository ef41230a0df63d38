/** The broker's own keys, each a 0600 file in `DIR/keys`: made at first start, owner checked at each. */
import {createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes} from 'node:crypto'
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import {dirname, join} from 'node:path'
import {ProdError} from '@prod/sdk/errors'
import {handOverType} from '@prod/sdk/log/hand-over'
import {verifierKey} from '@prod/sdk/log/note'
import type {Store} from './stores/store.ts'

export interface Keys {
  /** Ed25519: receipts and end frames */
  readonly receipt: {privateKey: KeyObject; publicJwk: Record<string, string>}
  /** Ed25519: access tokens of this broker */
  readonly token: {privateKey: KeyObject; publicKey: KeyObject}
  /** Ed25519: checkpoints of the log; `name` is the C2SP note key name */
  readonly log: {
    name: string
    privateKey: KeyObject
    verifierKey: string
    /** a key that lies ready to take over, or has taken over in the log but not yet in the folder */
    next?: KeyObject
  }
  /** 32 bytes: seals the identity provider's tokens at rest (AES-256-GCM) */
  readonly seal: Uint8Array
}

const sealBytes = 32

/**
 * Opens the keys of a data folder, made where they are missing: `DIR/keys` (0700) with receipt.pem, token.pem, log.pem, seal.key (0600
 * each) and log.pub, the verifier key of the log. `logName` names a new log key (the broker's host, say); one that exists keeps its name.
 * Throws CONFIG_INVALID where a file is a link, somebody else's, open to others, or no key.
 */
export function openKeys(dir: string, logName = 'prod'): Keys {
  const folder = join(dir, 'keys')
  openFolder(folder)
  const receipt = openEd25519(join(folder, 'receipt.pem'))
  const token = openEd25519(join(folder, 'token.pem'))
  const log = openEd25519(join(folder, 'log.pem'))
  const seal = openSecret(join(folder, 'seal.key'), () => randomBytes(sealBytes))
  if (seal.length !== sealBytes) throw damaged(join(folder, 'seal.key'))
  const next = readLogKey(dir)
  const {x} = createPublicKey(receipt).export({format: 'jwk'}) as {x: string}
  const name = openSecret(join(folder, 'log.name'), () => Buffer.from(logName)).toString('utf8')
  const verifier = verifierKey(name, createPublicKey(log))
  replaceFile(join(folder, 'log.pub'), `${verifier}\n`)
  return {
    receipt: {privateKey: receipt, publicJwk: {kty: 'OKP', crv: 'Ed25519', x}},
    token: {privateKey: token, publicKey: createPublicKey(token)},
    log: {name, privateKey: log, verifierKey: verifier, ...(next ? {next} : {})},
    seal,
  }
}

const logKey = 'log.pem'
const nextLogKey = 'log.next.pem'

/** Lays a new log key ready in `DIR/keys/log.next.pem`; one that lies there stays. Throws NOT_FOUND where there is no log yet. */
export function layLogKey(dir: string): void {
  const folder = join(dir, 'keys')
  if (!existsSync(join(folder, logKey)))
    throw new ProdError('NOT_FOUND', `there is no ${logKey} in ${folder}`, 'prod broker start --config FILE makes one')
  openEd25519(join(folder, nextLogKey))
}

/** The log key that lies ready, if one does. */
export function readLogKey(dir: string): KeyObject | undefined {
  const file = join(dir, 'keys', nextLogKey)
  const pem = readSecret(file)
  return pem && parseEd25519(file, pem)
}

/** Puts the key that lay ready in the place of the one before, which is gone then. Safe to repeat. */
export function takeUpLogKey(dir: string, verifier: string): void {
  const folder = join(dir, 'keys')
  if (existsSync(join(folder, nextLogKey))) renameSync(join(folder, nextLogKey), join(folder, logKey))
  replaceFile(join(folder, 'log.pub'), `${verifier}\n`)
  syncFolder(folder)
}

/** Every hand-over of the log's key, oldest first: public, so that who knows an old key can follow. */
export async function handOversOf(store: Pick<Store, 'entries'>): Promise<string[]> {
  const rows = await store.entries({from: 0, limit: 1000, type: handOverType})
  return rows.map(({envelope}) => (JSON.parse(envelope) as {data: {note: string}}).data.note)
}

/** A folder for this user alone. Throws CONFIG_INVALID where it is a link, somebody else's or open to others. */
export function openFolder(folder: string): void {
  mkdirSync(folder, {recursive: true, mode: 0o700})
  const info = lstatSync(folder)
  if (!info.isDirectory() || info.uid !== process.getuid?.())
    throw new ProdError('CONFIG_INVALID', `${folder} is not a folder of this user`, 'choose another data folder')
  if ((info.mode & 0o077) !== 0) chmodSync(folder, 0o700)
}

/** The bytes of a 0600 file, made by `make` where it is missing; of two makers at once, one wins. Throws CONFIG_INVALID as {@link openKeys}. */
export function openSecret(file: string, make: () => Uint8Array): Buffer {
  return readSecret(file) ?? makeSecret(file, make())
}

function openEd25519(file: string): KeyObject {
  const pem = openSecret(file, () => Buffer.from(generateKeyPairSync('ed25519').privateKey.export({format: 'pem', type: 'pkcs8'})))
  return parseEd25519(file, pem)
}

function parseEd25519(file: string, pem: Buffer): KeyObject {
  try {
    const key = createPrivateKey(pem)
    if (key.asymmetricKeyType !== 'ed25519') throw new TypeError('not Ed25519')
    return key
  } catch {
    throw damaged(file)
  }
}

function readSecret(file: string): Buffer | undefined {
  let descriptor: number
  try {
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (cause) {
    const {code} = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return undefined
    throw new ProdError('CONFIG_INVALID', `${file} cannot be opened: ${code === 'ELOOP' ? 'it is a link' : code}`, 'prod doctor', {cause})
  }
  try {
    const info = fstatSync(descriptor)
    if (!info.isFile() || info.uid !== process.getuid?.())
      throw new ProdError('CONFIG_INVALID', `${file} is not a file of this user`, 'prod doctor')
    if ((info.mode & 0o077) !== 0) throw new ProdError('CONFIG_INVALID', `${file} is open to other users`, `chmod 600 ${file}`)
    return readFileSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** Written whole under another name, then linked: it is there complete or not at all, and never replaces one that is there. */
function makeSecret(file: string, bytes: Uint8Array): Buffer {
  const temporary = `${file}.${process.pid}-${randomBytes(6).toString('hex')}`
  writeDurably(temporary, bytes)
  try {
    linkSync(temporary, file)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
  } finally {
    unlinkSync(temporary)
  }
  syncFolder(dirname(file))
  return readSecret(file) ?? Buffer.from(bytes)
}

/** Writes a 0600 file whole, in the place of the one that is there. */
export function replaceFile(file: string, text: string): void {
  const temporary = `${file}.${process.pid}-${randomBytes(6).toString('hex')}`
  writeDurably(temporary, Buffer.from(text))
  renameSync(temporary, file)
}

function writeDurably(file: string, bytes: Uint8Array): void {
  const descriptor = openSync(file, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
  try {
    writeFileSync(descriptor, bytes)
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, constants.O_RDONLY)
  fsyncSync(descriptor)
  closeSync(descriptor)
}

function damaged(file: string): ProdError {
  return new ProdError('CONFIG_INVALID', `${file} holds no key`, 'restore it from a backup')
}
