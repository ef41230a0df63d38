/** The plugins that the configuration names, and none else (TM-S1): shipped ones by name, others pinned by version and integrity. */
import {existsSync, readFileSync, realpathSync} from 'node:fs'
import {dirname, join} from 'node:path'
import {fileURLToPath} from 'node:url'
import type {Plugin} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {packageIntegrity} from '@prod/sdk/package-integrity'
import type {PluginChoice} from './config.ts'

/** What comes in one piece with the broker: whoever could exchange these could exchange the broker. */
const shipped = new Set(['@prod/aws', '@prod/ec2-instance-connect', '@prod/ecs', '@prod/host', '@prod/ssm', '@prod/webhook'])

/** Checks each package before a line of it runs, then loads it. Throws CONFIG_INVALID and says what differs. */
export function loadPlugins(choices: readonly PluginChoice[], {development}: {development: boolean}): Promise<Plugin[]> {
  return Promise.all(
    choices.map(async choice => {
      const {name, version, integrity} = typeof choice === 'string' ? {name: choice, version: undefined, integrity: undefined} : choice
      const folder = folderOf(name)
      if (typeof choice === 'string') {
        if (!shipped.has(name) && !development)
          throw invalid(`the plugin ${name} is not shipped with the broker, so it is named with version and integrity`)
      } else {
        const found = (JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {version: string}).version
        if (found !== version) throw invalid(`the plugin ${name} is version ${found}, not ${version}`)
        const now = packageIntegrity(folder)
        if (now !== integrity) throw invalid(`the plugin ${name} is not the one that was pinned: its integrity is ${now}`)
      }
      try {
        return (await import(name)) as Plugin
      } catch (cause) {
        throw new ProdError('CONFIG_INVALID', `the plugin ${name} cannot be loaded`, 'npm install it beside the broker', {cause})
      }
    }),
  )
}

/** The folder of an installed package, by the same rules that `import` follows. */
function folderOf(name: string): string {
  let entry: string
  try {
    entry = realpathSync(fileURLToPath(import.meta.resolve(name)))
  } catch (cause) {
    throw new ProdError('CONFIG_INVALID', `the plugin ${name} is not installed beside the broker`, 'npm install it beside the broker', {
      cause,
    })
  }
  for (let folder = dirname(entry); folder !== dirname(folder); folder = dirname(folder)) {
    const file = join(folder, 'package.json')
    if (existsSync(file) && (JSON.parse(readFileSync(file, 'utf8')) as {name?: string}).name === name) return folder
  }
  throw invalid(`the plugin ${name} has no package of that name`)
}

function invalid(message: string): ProdError {
  return new ProdError('CONFIG_INVALID', message, 'prod plugins --json')
}
