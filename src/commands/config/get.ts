import * as Args from '@oclif/core/args'
import {ProdCommand} from '@prod/sdk/cli/command'
import {listConfig, readConfig, settings} from '@prod/sdk/cli/config'
import {ProdError} from '@prod/sdk/errors'

/** Prints one setting: its value, or what holds where it is not set. */
export default class ConfigGet extends ProdCommand {
  static override summary = 'print one setting'
  static override args = {setting: Args.string({required: true, description: 'such as telemetry or brokers.main.url'})}
  static override examples = ['<%= config.bin %> <%= command.id %> telemetry']

  async run(): Promise<{setting: string; value: string}> {
    const {args} = await this.parse(ConfigGet)
    const otherwise = Object.hasOwn(settings, args.setting) ? settings[args.setting as keyof typeof settings].otherwise : undefined
    const value = listConfig(readConfig())[args.setting] ?? otherwise
    if (value === undefined) throw new ProdError('NOT_FOUND', `${args.setting} is not set`, 'prod config ls')
    this.log(value)
    return {setting: args.setting, value}
  }
}
