import * as Args from '@oclif/core/args'
import {api} from '@prod/sdk/api'
import type {CatalogView} from '@prod/sdk/catalog-view'
import {filter} from '@prod/sdk/cli/ask'
import {ProdCommand} from '@prod/sdk/cli/command'
import {table} from '@prod/sdk/cli/table'
import {forwardWords, usableWords} from '../catalog/pick.ts'

/** The targets of the catalog. */
export default class Targets extends ProdCommand {
  static override summary = 'list the targets, and how a shell on each and its ports can be had'
  static override args = {filter: Args.string({description: 'letters that occur in this order'})}
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> local']

  async run(): Promise<CatalogView['targets']> {
    const {args} = await this.parse(Targets)
    const {targets} = await this.broker().call(api.catalog)
    const found = filter(targets, args.filter ?? '', target => `${target.name} ${target.environment} ${target.summary}`)
    const forwards = found.some(one => (one.forward ?? 'no') !== 'no')
    this.log(
      table(
        ['target', 'environment', 'address', 'shell', ...(forwards ? ['forward', 'to'] : []), {head: 'what', prose: true}],
        found.map(one => [
          one.name,
          one.environment,
          one.address,
          usableWords[one.shell],
          ...(forwards ? [usableWords[one.forward ?? 'no'], forwardWords(one.forwards ?? [])] : []),
          one.summary,
        ]),
      ),
    )
    if (found.length === 0) this.say('no target fits')
    return found
  }
}
