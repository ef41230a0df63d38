// Starts the CLI from the sources: node --conditions=source bin/dev.mjs ARGS
import {existsSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {Plugin} from '@oclif/core/config'
import {start} from '../src/main.ts'

const root = join(import.meta.dirname, '..')
const folders = [
  root,
  ...JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).oclif.plugins.map(name => join(root, name.replace('@prod', 'plugins'))),
]
const plugins = new Map()
for (const folder of folders) {
  if (!existsSync(join(folder, 'src/commands'))) continue
  const pjson = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  pjson.oclif = {...pjson.oclif, commands: './src/commands'}
  const plugin = new Plugin({root: folder, pjson, isRoot: true, ignoreManifest: true, type: 'core'})
  await plugin.load()
  plugins.set(plugin.name, plugin)
}
await start(process.argv.slice(2), root, plugins)
