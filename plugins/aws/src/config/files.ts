import {readFileSync} from 'node:fs'
import {parseIni, type Section} from './ini.ts'
import {type AwsPaths, awsPaths} from './paths.ts'

/** Keys of a profile as both files together have them. */
export type Settings = ReadonlyMap<string, string>

/** Everything that a person's AWS files say. */
export interface AwsConfig {
  profiles: ReadonlyMap<string, Settings>
  /** `[sso-session NAME]` */
  sessions: ReadonlyMap<string, Settings>
  /** `[services NAME]` */
  services: ReadonlyMap<string, Settings>
  /** files that are there and cannot be read, and why */
  faults: string[]
  paths: AwsPaths
}

/** Reads both files. One that is missing is empty; one that cannot be read is a fault, and the other counts. */
export function readAwsConfig(env: NodeJS.ProcessEnv = process.env): AwsConfig {
  const paths = awsPaths(env)
  const faults: string[] = []
  const profiles = new Map<string, Map<string, string>>()
  const sessions = new Map<string, Settings>()
  const services = new Map<string, Settings>()
  const add = (name: string, keys: Settings): void => {
    const known = profiles.get(name)
    if (known) for (const [key, value] of keys) known.set(key, value)
    else profiles.set(name, new Map(keys))
  }
  for (const {name, keys} of read(paths.config, faults)) {
    const [, kind, rest = ''] = /^(profile|sso-session|services) (.+)$/s.exec(name) ?? []
    if (name === 'default') add(name, keys)
    else if (kind === 'profile') add(rest, keys)
    else if (kind === 'sso-session') sessions.set(rest, keys)
    else if (kind === 'services') services.set(rest, keys)
  }
  for (const {name, keys} of read(paths.credentials, faults)) add(name, keys)
  return {profiles, sessions, services, faults, paths}
}

function read(path: string, faults: string[]): Section[] {
  try {
    return parseIni(readFileSync(path, 'utf8'))
  } catch (error) {
    const {code} = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'ENOTDIR') faults.push(`${path} cannot be read (${code ?? 'no reason given'})`)
    return []
  }
}
