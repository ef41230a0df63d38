import * as Args from '@oclif/core/args'
import {ProdCommand} from '@prod/sdk/cli/command'
import {changeConfig, listConfig, readConfig, writeConfig} from '@prod/sdk/cli/config'

/** Sets one setting; a broker is set by its url. */
export default class ConfigSet extends ProdCommand {
  static override summary = 'set one setting'
  static override args = {
    setting: Args.string({required: true, description: 'such as telemetry or brokers.main.url'}),
    value: Args.string({required: true, description: 'what it shall be'}),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %> telemetry off',
    '<%= config.bin %> <%= command.id %> brokers.main.url https://prod.example',
  ]

  async run(): Promise<{setting: string; value: string}> {
    const {args} = await this.parse(ConfigSet)
    const config = changeConfig(readConfig(), args.setting, args.value)
    writeConfig(config)
    const value = listConfig(config)[args.setting] ?? args.value
    this.say(`${args.setting} is now ${value}`)
    return {setting: args.setting, value}
  }
}
