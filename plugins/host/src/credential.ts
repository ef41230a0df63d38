/** The credential of a use: given to its program in files of its own, kept fresh while it runs, gone with it (TM-U2, TM-U3). */
import {randomBytes} from 'node:crypto'
import {constants} from 'node:fs'
import {type FileHandle, mkdir, open, rename, unlink} from 'node:fs/promises'
import {join} from 'node:path'
import type {Access} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import type {AwsKeys, Ids} from './messages.ts'

/** What a program was given. */
export interface Handed {
  /** tells its tools where; holds no secret */
  readonly env: Readonly<Record<string, string>>
  /** Puts a fresh one in its place, at one stroke. */
  renew(keys: AwsKeys): Promise<void>
  /** Takes it away. Safe to repeat. */
  remove(): Promise<void>
}

/** The keys that a credential holds, and nothing else of it; undefined where it is none of AWS's. Pure. */
export function awsKeys(credential: Access['credential']): AwsKeys | undefined {
  const {AccessKeyId, SecretAccessKey, SessionToken, Expiration, Region} = credential
  if (!AccessKeyId || !SecretAccessKey) return undefined
  const keys = {AccessKeyId, SecretAccessKey, ...(SessionToken ? {SessionToken} : {})}
  // they become lines of a file
  if (Object.values({...keys, Region: Region ?? ''}).some(value => /[^\x21-\x7e]/.test(value)))
    throw new ProdError('TARGET_UNREACHABLE', 'the credential of this use is not written as AWS writes them', 'prod doctor')
  return {...keys, ...(Expiration ? {Expiration} : {}), ...(Region ? {Region} : {})}
}

/** Whether a credential ends before this moment, in ms since 1970. Pure. */
const endsBefore = ({Expiration}: AwsKeys, until: number): boolean => Expiration !== undefined && Date.parse(Expiration) < until

/**
 * Writes the files that every AWS tool reads, 0600 and the account's, into a home that nobody has used yet. AWS's tools read keys once:
 * those of a use that may outlive them are behind a `credential_process`, which they ask again by themselves.
 * @param seen where the files of its cage are seen from here: before an absolute path
 * @param until when the use is over at the latest, in ms since 1970
 */
export async function handKeys(keys: AwsKeys, home: string, seen: string, owner: Ids | null, until: number): Promise<Handed> {
  const place = join(home, '.aws')
  await mkdir(`${seen}${place}`, {mode: 0o700})
  // held, so that a program which exchanges the folder for a link leads nobody astray
  const folder = await open(`${seen}${place}`, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW)
  const paths = {credentials: join(place, 'credentials'), config: join(place, 'config'), keys: join(place, 'keys.json')}
  const write = (path: string, text: string) => replaceFile(folder, path.slice(place.length + 1), text, owner)
  const writeKeys = (fresh: AwsKeys) => write(paths.keys, asProcess(fresh))
  let removed = false
  const remove = async () => {
    if (removed) return
    removed = true
    for (const path of Object.values(paths)) await unlink(entry(folder, path.slice(place.length + 1))).catch(() => {})
    await folder.close()
  }
  try {
    if (owner) await folder.chown(owner.uid, owner.gid)
    const long = endsBefore(keys, until)
    if (long) await writeKeys(keys)
    await write(paths.credentials, section(long ? {credential_process: `/bin/cat "${paths.keys}"`} : asLines(keys)))
    await write(paths.config, section(keys.Region === undefined ? {} : {region: keys.Region}))
  } catch (error) {
    await remove()
    throw error
  }
  return {
    env: {AWS_SHARED_CREDENTIALS_FILE: paths.credentials, AWS_CONFIG_FILE: paths.config, AWS_EC2_METADATA_DISABLED: 'true'},
    renew: async fresh => {
      if (!removed) await writeKeys(fresh)
    },
    remove,
  }
}

const retryMilliseconds = 15_000
const mostMilliseconds = 2 ** 31 - 1

/**
 * Fetches another credential when two thirds of the life of the last one are over, for as long as a use may last; each is handed on. What
 * this returns ends it. A role that has reached its end gives no later one, and none is asked for.
 */
export function keepFresh(access: Access, first: AwsKeys, until: number, hand: (keys: AwsKeys) => void): () => void {
  const {renew} = access
  let timer: NodeJS.Timeout | undefined
  let over = false
  const later = (milliseconds: number, last: AwsKeys) => {
    timer = setTimeout(() => void again(last), Math.min(mostMilliseconds, Math.max(0, milliseconds)))
    timer.unref()
  }
  const wait = (keys: AwsKeys) => {
    if (endsBefore(keys, until)) later(((Date.parse(keys.Expiration as string) - Date.now()) * 2) / 3, keys)
  }
  const again = async (last: AwsKeys) => {
    try {
      const fresh = awsKeys((await renew?.()) ?? {})
      if (over || fresh === undefined) return
      hand(fresh)
      if (fresh.Expiration === undefined || endsBefore(last, Date.parse(fresh.Expiration))) wait(fresh)
    } catch (error) {
      const ended = error instanceof ProdError && error.code === 'REVOKED'
      if (!over && !ended && !endsBefore(last, Date.now())) later(retryMilliseconds, last)
    }
  }
  if (renew) wait(first)
  return () => {
    over = true
    clearTimeout(timer)
  }
}

const entry = (folder: FileHandle, name: string) => `/proc/self/fd/${folder.fd}/${name}`

/** Whoever reads finds the old text or the new one, never a part. */
async function replaceFile(folder: FileHandle, name: string, text: string, owner: Ids | null): Promise<void> {
  const fresh = entry(folder, `.${randomBytes(9).toString('hex')}`)
  const file = await open(fresh, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600)
  try {
    await file.writeFile(text)
    if (owner) await file.chown(owner.uid, owner.gid)
    await rename(fresh, entry(folder, name))
  } catch (error) {
    await unlink(fresh).catch(() => {})
    throw error
  } finally {
    await file.close()
  }
}

function asLines({AccessKeyId, SecretAccessKey, SessionToken}: AwsKeys): Record<string, string> {
  return {
    aws_access_key_id: AccessKeyId,
    aws_secret_access_key: SecretAccessKey,
    ...(SessionToken === undefined ? {} : {aws_session_token: SessionToken}),
  }
}

/** Source: "Source credentials with an external process" of the AWS SDKs and Tools reference. */
const asProcess = ({Region: _, ...keys}: AwsKeys): string => `${JSON.stringify({Version: 1, ...keys})}\n`

const section = (values: Record<string, string>): string =>
  `[default]\n${Object.entries(values)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join('')}`
