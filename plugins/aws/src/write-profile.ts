import {chmodSync, mkdirSync, readFileSync, realpathSync, renameSync, statSync, writeFileSync} from 'node:fs'
import {dirname} from 'node:path'
import {ProdError} from '@prod/sdk/errors'
import {type AwsConfig, readAwsConfig} from './config/files.ts'

/**
 * Writes a profile whose `credential_process` is `prod assume ROLE --json`: for tools that know profiles alone. `program` is how prod
 * is started. Written again it stays as it is. Throws USAGE where the profile is there and is another, or a name cannot be written.
 */
export function writeProfile(
  role: string,
  profile: string,
  program: readonly string[],
  region: string | null,
): {path: string; written: boolean} {
  const config: AwsConfig = readAwsConfig()
  const {config: path} = config.paths
  if (!/^[\w@+.%:/-]{1,128}$/.test(profile)) throw new ProdError('USAGE', `${profile} is no name for a profile`, '--write-profile my-role')
  if (profile === role)
    throw new ProdError('USAGE', `profile ${profile} would ask itself`, `--write-profile prod-${profile.replaceAll('/', '-')}`)
  if (/[\r\n"]/.test(role)) throw new ProdError('USAGE', 'this role’s name cannot stand in a profile', 'prod roles')
  const line = [...program, 'assume', role, '--json'].map(quoted).join(' ')
  const there = config.profiles.get(profile)
  if (there?.get('credential_process') === line) return {path, written: false}
  if (there) throw new ProdError('USAGE', `profile ${profile} is there already, and is another`, '--write-profile NAME with another name')
  if (config.faults.length > 0) throw new ProdError('CONFIG_INVALID', config.faults.join('; '), `ls -l ${path}`)
  const section = [`[profile ${profile}]`, `credential_process = ${line}`, ...(region === null ? [] : [`region = ${region}`])]
  append(path, section)
  return {path, written: true}
}

/** As AWS tools read it: split like a shell's words, double quotes kept together. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `"${word.replaceAll('\\', '\\\\')}"`
}

/** Whole or not at all, with the line ends, the mode and the link that the file has. */
function append(path: string, lines: readonly string[]): void {
  mkdirSync(dirname(path), {recursive: true, mode: 0o700})
  const stat = statSync(path, {throwIfNoEntry: false})
  const real = stat ? realpathSync(path) : path
  const before = stat ? readFileSync(real, 'utf8') : ''
  const end = before.includes('\r\n') ? '\r\n' : '\n'
  const gap = before === '' ? '' : before.endsWith('\n') ? end : end + end
  const draft = `${real}.${process.pid}`
  writeFileSync(draft, `${before}${gap}${lines.join(end)}${end}`, {flag: 'wx', mode: 0o600})
  if (stat) chmodSync(draft, stat.mode & 0o777)
  renameSync(draft, real)
}
