import * as Args from '@oclif/core/args'
import {api} from '@prod/sdk/api'
import type {CatalogView} from '@prod/sdk/catalog-view'
import {filter} from '@prod/sdk/cli/ask'
import {ProdCommand} from '@prod/sdk/cli/command'
import {table} from '@prod/sdk/cli/table'
import {showDuration} from '@prod/sdk/grammar/duration'
import {usableWords} from '../catalog/pick.ts'

/** The roles that a person has or could ask for. */
export default class Roles extends ProdCommand {
  static override summary = 'list the roles that I may use now or ask for'
  static override args = {filter: Args.string({description: 'letters that occur in this order'})}
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> web']

  async run(): Promise<CatalogView['roles']> {
    const {args} = await this.parse(Roles)
    const {roles} = await this.broker().call(api.catalog)
    const found = filter(roles, args.filter ?? '', role => `${role.name} ${role.summary}`)
    const rows = found.map(({name, usable, active, maxSeconds, summary, class: kind}) => [
      name,
      active ? `active until ${active}` : usableWords[usable],
      kind,
      `at most ${showDuration(maxSeconds)}`,
      summary,
    ])
    this.log(table(['role', 'usable', 'class', 'for', {head: 'what', prose: true}], rows))
    if (found.length === 0) this.say('no role fits')
    return found
  }
}
