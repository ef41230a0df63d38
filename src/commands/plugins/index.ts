import {ProdCommand} from '@prod/sdk/cli/command'
import {findPlugins, type InstalledPlugin} from '../../plugins.ts'

/** Lists the plugins of this installation. */
export default class Plugins extends ProdCommand {
  static override summary = 'list the plugins of this installation, and what each brings'
  static override description =
    'A broker loads the plugins that its own configuration names; these are the ones that this CLI came with, for offline use and for their commands.'
  static override examples = ['<%= config.bin %> <%= command.id %> --json']

  async run(): Promise<InstalledPlugin[]> {
    await this.parse(Plugins)
    const plugins = await findPlugins(this.config.root)
    const width = Math.max(...plugins.map(({name}) => name.length))
    for (const {name, version, brings, fault} of plugins)
      this.log(`${name.padEnd(width)}  ${version}  ${fault ?? (brings.join(', ') || 'nothing')}`)
    return plugins
  }
}
