/** A data folder for tests of the embedded store. */
import {createPrivateKey, generateKeyPairSync, type KeyObject} from 'node:crypto'
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {logKeyFile, storeFile} from '@prod/sdk/log/folder'
import {verifierKey} from '@prod/sdk/log/note'
import {openSqliteStore} from '../src/stores/sqlite/sqlite-store.ts'
import type {Store} from '../src/stores/store.ts'

export const logName = 'broker.test/log'

export function makeFolder(parent = tmpdir()): {dir: string; key: string; remove: () => void} {
  const dir = mkdtempSync(join(parent, 'prod-store-'))
  mkdirSync(join(dir, 'keys'))
  const {privateKey, publicKey} = generateKeyPairSync('ed25519')
  const key = verifierKey(logName, publicKey)
  writeFileSync(join(dir, 'keys/log.pem'), privateKey.export({format: 'pem', type: 'pkcs8'}), {mode: 0o600})
  writeFileSync(join(dir, logKeyFile), `${key}\n`)
  return {dir, key, remove: () => rmSync(dir, {recursive: true, force: true})}
}

export function folderKey(dir: string): KeyObject {
  return createPrivateKey(readFileSync(join(dir, 'keys/log.pem')))
}

export function openFolder(dir: string, clock?: () => Date): Promise<Store> {
  return openSqliteStore({
    file: join(dir, storeFile),
    log: {name: logName, privateKey: folderKey(dir)},
    instance: 'test',
    ...(clock ? {clock} : {}),
  })
}
