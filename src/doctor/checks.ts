/** What `prod doctor` looks at on this machine. Each check answers; none throws. */
import {accessSync, constants, lstatSync} from 'node:fs'
import {type Config, chooseBroker, configPath, readConfig} from '@prod/sdk/cli/config'
import {hasColour, terminalWidth} from '@prod/sdk/cli/output'
import {places} from '@prod/sdk/cli/places'
import {ProdError} from '@prod/sdk/errors'
import type {Broker} from '@prod/sdk/session'
import {listSpools} from '../offline/spool-folder.ts'

/** One finding: what was looked at, whether it is well, what was seen, and the command to type next where it is not. */
export interface Finding {
  name: string
  ok: boolean
  detail: string
  next?: string
  /** there was nothing to look at, and nothing is wrong with that */
  skipped?: true
}

const well = (name: string, detail: string): Finding => ({name, ok: true, detail})
const ill = (name: string, detail: string, next: string): Finding => ({name, ok: false, detail, next})

/** A failure as a finding; a bug keeps its text to itself. */
export function findingOf(name: string, error: unknown, next = 'prod doctor'): Finding {
  if (error instanceof ProdError) return ill(name, error.message, error.hint ?? next)
  return ill(name, `cannot be checked: ${(error as NodeJS.ErrnoException).code ?? (error as Error).name}`, next)
}

/** The Node this runs on against the one that is needed. */
export function checkNode(version: string = process.versions.node): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const fits = major > 24 || (major === 24 && minor >= 15)
  return fits
    ? well('node', `${version} on ${process.platform}-${process.arch}`)
    : ill('node', `${version} is too old`, 'install Node 24.15 or newer')
}

/** Our folders: ours, no links, closed to others (TM-U1). */
export function checkFolders(env: NodeJS.ProcessEnv = process.env): Finding[] {
  return Object.entries(places(env)).map(([kind, path]) => {
    const name = `${kind} folder`
    const stats = lstatSync(path, {throwIfNoEntry: false})
    if (!stats) return well(name, `${path} (not made yet)`)
    if (stats.isSymbolicLink() || !stats.isDirectory()) return ill(name, `${path} is no folder`, `rm ${path}`)
    if (process.geteuid && stats.uid !== process.geteuid()) return ill(name, `${path} belongs to somebody else`, `ls -ld ${path}`)
    if (process.geteuid && stats.mode & 0o077) return ill(name, `${path} is open to others`, `chmod 700 ${path}`)
    try {
      accessSync(path, constants.W_OK)
    } catch {
      return ill(name, `${path} cannot be written`, `ls -ld ${path}`)
    }
    return well(name, path)
  })
}

/** The configuration, read as every command reads it. */
export function checkConfig(): {finding: Finding; config: Config | undefined} {
  try {
    const config = readConfig()
    return {finding: well('configuration', configPath()), config}
  } catch (error) {
    return {finding: findingOf('configuration', error, 'prod config ls'), config: undefined}
  }
}

/** The broker that is meant, or why there is none. */
const none = 'skipped: none is known here; prod roles, prod assume and prod explain need none, prod login --broker URL makes one known'

export function checkChoice(config: Config, named: string | undefined): {finding: Finding; broker: Broker | undefined} {
  try {
    const broker = chooseBroker(config, named)
    return {finding: well('broker', `${broker.name} at ${broker.url}`), broker}
  } catch (error) {
    // AWS roles and explanations need none
    const isMeant = Boolean(named || process.env.PROD_BROKER || config.broker || Object.keys(config.brokers ?? {}).length > 0)
    if (!isMeant) return {finding: {...well('broker', none), skipped: true}, broker: undefined}
    return {finding: findingOf('broker', error, 'prod login --broker https://prod.example'), broker: undefined}
  }
}

/** Whether logins can be kept: in the keychain, or in a file by choice. */
export async function checkKeychain(config: Config, env: NodeJS.ProcessEnv = process.env): Promise<Finding> {
  const name = 'credential store'
  const choice = env.PROD_CREDENTIAL_STORE || config.credentialStore
  if (choice === 'file') return well(name, 'a plain file (0600), as you chose')
  try {
    const {AsyncEntry} = await import('@napi-rs/keyring')
    await new AsyncEntry('prod', 'doctor', {linux: {store: 'secret-service'}}).getPassword(AbortSignal.timeout(5000))
    return well(name, 'keychain')
  } catch {
    return ill(name, 'no keychain answers on this machine', 'prod config set credentialStore file, or unlock the keychain')
  }
}

/** What was done without the broker and is still on this machine. */
export function checkSpool(): Finding {
  const name = 'break-glass spool'
  const waiting = listSpools()
  if (waiting.length === 0) return well(name, 'nothing waits to be handed in')
  return ill(name, `${waiting.join(', ')} wait to be handed in`, 'prod break-glass hand-in')
}

/** What the terminal can do. Never ill: everything works without one. */
export function checkTerminal(env: NodeJS.ProcessEnv = process.env): Finding {
  const ends = (['stdin', 'stdout', 'stderr'] as const).filter(end => process[end].isTTY)
  if (ends.length === 0) return well('terminal', 'none; nothing is asked')
  return well(
    'terminal',
    `${ends.join(', ')}; ${terminalWidth()} columns, colour ${hasColour('stdout') ? 'on' : 'off'}, TERM ${env.TERM ?? 'not set'}`,
  )
}
