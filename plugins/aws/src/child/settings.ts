import {hash} from 'node:crypto'
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {places, writePrivate} from '@prod/sdk/cli/places'
import type {AwsConfig} from '../config/files.ts'
import {parseIni} from '../config/ini.ts'
import {type Chain, hasCredentials} from '../config/profile.ts'
import type {ChildSettings} from '../credentials/kept.ts'

/** Keys that name credentials, and what is secret: neither belongs into a copy. */
const credentialKeys =
  /^(aws_access_key_id|aws_secret_access_key|aws_session_token|role_arn|source_profile|credential_source|credential_process|web_identity_token_file|sso_|login_session)/
const secretKeys = /^(aws_access_key_id|aws_secret_access_key|aws_session_token)$/

/**
 * What a child needs besides the way to the credentials. Every AWS tool takes what `[default]` has before it asks a container's
 * endpoint: where it has any, the child reads a copy of the config file without them, and no credentials file. The copy, which
 * holds no secret, is written here.
 */
export function childSettings(config: AwsConfig, chain: Chain): ChildSettings {
  const browserProfile = config.profiles.get(chain.name)?.get('prod_browser_profile')
  const own = browserProfile === undefined ? {} : {browserProfile}
  const region = chain.region ?? config.profiles.get('default')?.get('region') ?? null
  const fallback = config.profiles.get('default')
  if (!fallback || !hasCredentials(fallback)) return {...own, region, configFile: null, hidesCredentials: false}
  return {...own, region, configFile: writeCopy(config.paths.config), hidesCredentials: true}
}

function writeCopy(path: string): string | null {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return null
  }
  const lines = parseIni(text).flatMap(({name, keys}) => {
    const left = [...keys].filter(([key]) => !secretKeys.test(key) && !(name === 'default' && credentialKeys.test(key)))
    return [`[${name}]`, ...left.filter(([key]) => !key.includes('.')).map(([key, value]) => `${key} = ${value}`), ...nested(left)]
  })
  const copy = `${lines.join('\n')}\n`
  // by its content: a child that runs keeps its own when the file changes
  const to = join(places().cache, 'aws', `config-${hash('sha256', copy).slice(0, 16)}`)
  writePrivate(to, copy)
  return to
}

function nested(keys: readonly (readonly [string, string])[]): string[] {
  const inner = keys.flatMap(([key, value]) => {
    const at = key.indexOf('.')
    return at < 0 ? [] : [{outer: key.slice(0, at), line: `  ${key.slice(at + 1)} = ${value}`}]
  })
  return [...Map.groupBy(inner, ({outer}) => outer)].flatMap(([outer, lines]) => [`${outer} =`, ...lines.map(({line}) => line)])
}
