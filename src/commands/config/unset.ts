import * as Args from '@oclif/core/args'
import {ProdCommand} from '@prod/sdk/cli/command'
import {changeConfig, readConfig, writeConfig} from '@prod/sdk/cli/config'

/** Takes one setting out; `brokers.NAME` takes out a broker. */
export default class ConfigUnset extends ProdCommand {
  static override summary = 'take one setting out'
  static override args = {setting: Args.string({required: true, description: 'such as telemetry or brokers.main'})}
  static override examples = ['<%= config.bin %> <%= command.id %> brokers.main']

  async run(): Promise<{setting: string}> {
    const {args} = await this.parse(ConfigUnset)
    writeConfig(changeConfig(readConfig(), args.setting, undefined))
    this.say(`${args.setting} is not set any more`)
    return {setting: args.setting}
  }
}
