/** What people do with a signed bundle, on machines of their own: build it, make a key, sign. No broker ever has such a key. */
import {createPrivateKey, generateKeyPairSync, type KeyObject} from 'node:crypto'
import {open, readFile, rename, stat, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import {ProdError} from '@prod/sdk/errors'
import {parseVerifierKey, verifierKey} from '@prod/sdk/log/note'
import {BundleRefused} from '../catalog/finding.ts'
import {readBundleFiles} from '../catalog/read.ts'
import {checkBundle} from './bundle.ts'
import {addSignature, type Manifest, readSignedText, writeSignedText} from './signed.ts'

/** Where a bundle goes whose place is a folder. */
export const bundleFileName = 'policy.bundle'

/** Builds the bundle of a folder into one file, not yet signed. Throws BundleRefused for one that a broker would not load. */
export async function buildBundle({
  dir,
  out,
  version,
  madeAt,
}: {
  dir: string
  out: string
  version?: number | undefined
  madeAt?: string | undefined
}): Promise<Manifest & {file: string}> {
  const place = {catalogDir: join(dir, 'catalog'), policyDir: join(dir, 'policy'), development: false}
  const checked = await checkBundle(place)
  if (checked.findings.length > 0) throw new BundleRefused(checked.findings)
  const at = madeAt ?? `${new Date().toISOString().slice(0, 19)}Z`
  const {files} = await readBundleFiles(place)
  const text = writeSignedText(files, {version: version ?? Math.floor(Date.parse(at) / 1000), madeAt: at})
  const file = (await stat(out).catch(() => undefined))?.isDirectory() ? join(out, bundleFileName) : out
  await replace(file, text, 0o644)
  return {...readSignedText(text).manifest, file}
}

/** Makes a key that signs bundles: the file, for its signer alone, and the line that goes into `policy.keys`. Throws USAGE if the file is there. */
export async function makePolicyKey(file: string, name: string): Promise<string> {
  const {privateKey} = generateKeyPairSync('ed25519')
  const verifier = verifierKey(name, privateKey)
  await writeFile(file, `${writeSigningKey(name, privateKey)}\n`, {mode: 0o600, flag: 'wx'}).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EEXIST' ? new ProdError('USAGE', `${file} is there already`, 'prod policy keygen --out ANOTHER') : error
  })
  return verifier
}

/** Adds the signature of the key in `keyFile`. Throws SIGNATURE_INVALID for what is no bundle, CONFIG_INVALID for what is no key. */
export async function signBundle(file: string, keyFile: string): Promise<Manifest & {by: string; verifier: string}> {
  const mode = (await stat(keyFile).catch(() => undefined))?.mode
  if (mode === undefined) throw new ProdError('USAGE', `there is no file ${keyFile}`, 'prod policy keygen --name NAME --out FILE')
  if ((mode & 0o077) !== 0) throw new ProdError('CONFIG_INVALID', `${keyFile} is open to other users`, `chmod 600 ${keyFile}`)
  const key = readSigningKey(await readFile(keyFile, 'utf8'))
  const text = await readFile(file, 'utf8').catch(() => {
    throw new ProdError('USAGE', `${file} cannot be read`, 'prod policy build --dir DIR --out FILE')
  })
  const signed = addSignature(text, key)
  if (signed !== text) await replace(file, signed, 0o644)
  return {...readSignedText(signed).manifest, by: key.name, verifier: verifierKey(key.name, key.privateKey)}
}

const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex')

/** `PRIVATE+KEY+name+id+key`, as other tools for signed notes write it. Source: golang.org/x/mod/sumdb/note. */
function writeSigningKey(name: string, privateKey: KeyObject): string {
  const id = Buffer.from(parseVerifierKey(verifierKey(name, privateKey)).id).toString('hex')
  const seed = privateKey.export({format: 'der', type: 'pkcs8'}).subarray(pkcs8.length)
  return `PRIVATE+KEY+${name}+${id}+${Buffer.concat([Buffer.of(1), seed]).toString('base64')}`
}

function readSigningKey(text: string): {name: string; privateKey: KeyObject} {
  const [, name, base64] = /^PRIVATE\+KEY\+([^+\s]+)\+[0-9a-f]{8}\+([A-Za-z0-9+/=]{44})\s*$/.exec(text) ?? []
  const material = Buffer.from(base64 ?? '', 'base64')
  if (!name || material.length !== 33 || material[0] !== 1)
    throw new ProdError('CONFIG_INVALID', 'this is no key that signs bundles', 'prod policy keygen --name NAME --out FILE')
  const privateKey = createPrivateKey({key: Buffer.concat([pkcs8, material.subarray(1)]), format: 'der', type: 'pkcs8'})
  if (writeSigningKey(name, privateKey) !== text.trim()) throw new ProdError('CONFIG_INVALID', 'this key is damaged')
  return {name, privateKey}
}

/** Whole or not at all: a broker may be reading. */
async function replace(file: string, text: string, mode: number): Promise<void> {
  const temporary = `${file}.${process.pid}.new`
  const handle = await open(temporary, 'w', mode)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, file)
}
