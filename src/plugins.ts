import {existsSync, readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import type {Plugin} from '@prod/sdk/plugin'

/** A plugin beside the CLI. `brings`: such as `primitive host (exec, shell)`, `notifier`, `command broker start`. */
export interface InstalledPlugin {
  name: string
  version: string
  brings: string[]
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
  const names = [...new Set([...listed, ...workspaces.map(name => readPackage(join(home, name)).name)])].filter(name => name !== '@prod/sdk').sort()
  return Promise.all(names.map(name => inspect(name, root)))
}

async function inspect(name: string, root: string): Promise<InstalledPlugin> {
  const folder = join(root, 'node_modules', name)
  if (!existsSync(folder)) return {name, version: '-', brings: [], fault: 'not linked yet; type: npm install'}
  const {version} = readPackage(folder)
  try {
    const brings = [...describe((await import(name)) as Plugin), ...commandsOf(folder)]
    return {name, version, brings}
  } catch (error) {
    return {name, version, brings: commandsOf(folder), fault: `does not load: ${error instanceof Error ? error.message : 'no error given'}`}
  }
}

function describe(plugin: Plugin): string[] {
  const {primitive} = plugin
  const others = (['grantProvider', 'notifier', 'explainer', 'check'] as const).filter(kind => plugin[kind])
  return [...(primitive ? [`primitive ${primitive.id} (${primitive.uses.join(', ')})`] : []), ...others]
}

function commandsOf(folder: string): string[] {
  const file = join(folder, 'oclif.manifest.json')
  if (!existsSync(file)) return []
  const {commands} = JSON.parse(readFileSync(file, 'utf8')) as {commands: Record<string, unknown>}
  return Object.keys(commands).map(id => `command ${id.replaceAll(':', ' ')}`)
}
