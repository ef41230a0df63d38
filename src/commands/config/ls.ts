import {ProdCommand} from '@prod/sdk/cli/command'
import {configPath, listConfig, readConfig, settings} from '@prod/sdk/cli/config'
import {table} from '@prod/sdk/cli/table'

/** Lists what is set, and what holds where nothing is. */
export default class ConfigLs extends ProdCommand {
  static override summary = 'list the settings of this tool'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  async run(): Promise<{path: string; settings: Record<string, string>}> {
    await this.parse(ConfigLs)
    const set = listConfig(readConfig())
    const defaults = Object.entries(settings).filter(([key]) => set[key] === undefined)
    this.log(
      table(
        ['SETTING', 'VALUE', {head: 'MEANS', prose: true}],
        [
          ...Object.entries(set).map(([key, value]) => [key, value, settings[key as keyof typeof settings]?.means ?? '']),
          ...defaults.map(([key, {otherwise, means}]) => [key, otherwise === undefined ? '-' : `${otherwise} (not set)`, means]),
        ],
      ),
    )
    return {path: configPath(), settings: set}
  }
}
