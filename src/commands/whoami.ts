import type {WhoAmI} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {askWhoami} from '@prod/sdk/cli/credentials'
import {whoamiText} from '@prod/sdk/cli/whoami-cache'

export default class Whoami extends ProdCommand {
  static override summary = 'who I am to the broker: person, groups, login, active grants'
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json']

  async run(): Promise<WhoAmI & {broker: string; asOf: string}> {
    await this.parse(Whoami)
    const client = await this.connect()
    const who = await askWhoami(client)
    this.log(whoamiText(who, client.broker.url, new Date()))
    return {...who, broker: client.broker.url, asOf: new Date().toISOString()}
  }
}
