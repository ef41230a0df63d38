import {chmod, lstat, mkdtemp, readFile, rename, rm, symlink, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {parseVerifierKey} from '@prod/sdk/log/note'
import {expect, test} from 'vitest'
import {openKeys} from '../src/keys.ts'

const folder = async (onTestFinished: (end: () => Promise<void>) => void): Promise<string> => {
  const dir = await mkdtemp(join(tmpdir(), 'prod-keys-'))
  onTestFinished(() => rm(dir, {recursive: true, force: true}))
  return dir
}

test('TM-U1: keys are made once, for this user alone, and are the same at the next start', async ({onTestFinished}) => {
  const dir = await folder(onTestFinished)
  const first = openKeys(dir, 'prod.example')
  const second = openKeys(dir, 'other.example')
  expect(second.receipt.publicJwk).toEqual(first.receipt.publicJwk)
  expect(second.log.verifierKey).toBe(first.log.verifierKey)
  expect(Buffer.from(second.seal)).toEqual(Buffer.from(first.seal))
  expect((await lstat(join(dir, 'keys'))).mode & 0o777).toBe(0o700)
  for (const name of ['receipt.pem', 'token.pem', 'log.pem', 'seal.key', 'log.pub'])
    expect((await lstat(join(dir, 'keys', name))).mode & 0o777, name).toBe(0o600)
  const shown = (await readFile(join(dir, 'keys', 'log.pub'), 'utf8')).trim()
  expect(parseVerifierKey(shown).name).toBe('prod.example')
})

test('TM-U1: a key that is a link, open to others, or no key stops the start', async ({onTestFinished}) => {
  const dir = await folder(onTestFinished)
  openKeys(dir)
  const file = join(dir, 'keys', 'token.pem')
  await chmod(file, 0o640)
  expect(() => openKeys(dir)).toThrow(expect.objectContaining({code: 'CONFIG_INVALID'}))
  await chmod(file, 0o600)
  await rename(file, join(dir, 'elsewhere.pem'))
  await symlink(join(dir, 'elsewhere.pem'), file)
  expect(() => openKeys(dir)).toThrow(expect.objectContaining({code: 'CONFIG_INVALID'}))
  await rm(file)
  await writeFile(file, 'not a key', {mode: 0o600})
  expect(() => openKeys(dir)).toThrow(expect.objectContaining({code: 'CONFIG_INVALID'}))
})
