import {existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {ProdError} from '@prod/sdk/errors'
import {packageIntegrity} from '@prod/sdk/package-integrity'
import type {Plugin} from '@prod/sdk/plugin'
import {pluginFiles} from './plugin-template.ts'

/** A plugin beside the CLI. `brings`: such as `primitive host (exec, shell, forward)`, `notifier`, `command broker start`. */
export interface InstalledPlugin {
  name: string
  version: string
  brings: string[]
  /** what a broker's configuration pins it by; absent where it is not installed */
  integrity?: string
  /** why it cannot be loaded, if so */
  fault?: string
}

interface Package {
  name: string
  version: string
  dependencies?: Record<string, string>
  exports?: unknown
}

function readPackage(folder: string): Package {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Package
}

/** The plugins that `root` (the folder of the CLI's package.json) depends on or holds as workspaces, by name. Loads each one. */
export async function findPlugins(root: string): Promise<InstalledPlugin[]> {
  const listed = Object.keys(readPackage(root).dependencies ?? {}).filter(name => name.startsWith('@prod/'))
  const home = join(root, 'plugins')
  const workspaces = existsSync(home) ? readdirSync(home).filter(name => existsSync(join(home, name, 'package.json'))) : []
  const names = [...new Set([...listed, ...workspaces.map(name => readPackage(join(home, name)).name)])]
    .filter(name => name !== '@prod/sdk')
    .sort()
  return Promise.all(names.map(name => inspect(name, root)))
}

async function inspect(name: string, root: string): Promise<InstalledPlugin> {
  const folder = join(root, 'node_modules', name)
  if (!existsSync(folder)) return {name, version: '-', brings: [], fault: 'not linked yet; type: npm install'}
  const {version} = readPackage(folder)
  try {
    const brings = [...describe((await import(name)) as Plugin), ...commandsOf(folder)]
    return {name, version, brings, integrity: packageIntegrity(realpathSync(folder))}
  } catch (error) {
    return {name, version, brings: commandsOf(folder), fault: `does not load: ${error instanceof Error ? error.message : 'no error given'}`}
  }
}

function describe(plugin: Plugin): string[] {
  const primitives = [plugin.primitive ?? [], plugin.primitives ?? []].flat()
  const others = (['grantProvider', 'notifier', 'explainers', 'check', 'roleSource'] as const).filter(kind => plugin[kind])
  return [...primitives.map(({id, uses}) => `primitive ${id} (${uses.join(', ')})`), ...others]
}

function commandsOf(folder: string): string[] {
  const file = join(folder, 'oclif.manifest.json')
  if (!existsSync(file)) return []
  const {commands} = JSON.parse(readFileSync(file, 'utf8')) as {commands: Record<string, unknown>}
  return Object.keys(commands).map(id => `command ${id.replaceAll(':', ' ')}`)
}

/**
 * Writes a new plugin under `root`/plugins. Throws USAGE when the name is none or taken, or when `root` is an installation
 * and no clone of the repository.
 */
export function newPlugin(root: string, name: string, version: string): {folder: string; files: string[]} {
  if (!/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/.test(name) || name.length > 40) {
    throw new ProdError(
      'USAGE',
      `${JSON.stringify(name)} is no name for a plugin: a-z, 0-9 and single -, a letter first, 40 at most`,
      'prod plugins new my-way',
    )
  }
  const home = join(root, 'plugins')
  if (!existsSync(join(home, 'sdk/package.json'))) {
    throw new ProdError(
      'USAGE',
      'this is an installed prod; a plugin is written in a clone of the repository',
      'npm run dev -- plugins new NAME',
    )
  }
  const folder = join(home, name)
  try {
    mkdirSync(folder)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause
    throw new ProdError('USAGE', `plugins/${name} is there already`, 'prod plugins', {cause})
  }
  const files = pluginFiles(name, version)
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), {recursive: true})
    writeFileSync(join(folder, file), text, {flag: 'wx'})
  }
  return {folder: `plugins/${name}`, files: Object.keys(files)}
}
