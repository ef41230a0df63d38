import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {api} from '@prod/sdk/api'
import type {CatalogView, FoundTargets} from '@prod/sdk/catalog-view'
import {filter} from '@prod/sdk/cli/ask'
import {ProdCommand} from '@prod/sdk/cli/command'
import {table} from '@prod/sdk/cli/table'
import {forwardWords, usableWords} from '../catalog/pick.ts'

/** The targets of the catalog. */
export default class Targets extends ProdCommand {
  static override summary = 'list the targets, and how a shell on each and its ports can be had'
  static override args = {filter: Args.string({description: 'letters that occur in this order'})}
  static override flags = {
    find: Flags.string({
      description: 'look among what targets stand for: an id, a name, TAG=VALUE, an address, or letters of a name',
      helpValue: 'TEXT',
    }),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> local',
    '<%= config.bin %> <%= command.id %> --find 10.1.0.42',
    '<%= config.bin %> <%= command.id %> web --find "Team=payments"',
  ]

  async run(): Promise<CatalogView['targets'] | FoundTargets['targets']> {
    const {args, flags} = await this.parse(Targets)
    if (flags.find !== undefined) return this.#find(flags.find, args.filter)
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

  async #find(text: string, within: string | undefined): Promise<FoundTargets['targets']> {
    const {targets, faults, more} = await this.broker().call(api.findTargets, {text, ...(within === undefined ? {} : {within})})
    const labels = (all: Record<string, string>): string =>
      Object.entries(all)
        .map(([key, value]) => `${key}=${value}`)
        .join(' ')
    this.log(
      table(
        ['target', 'called', 'environment', {head: 'labels', prose: true}],
        targets.map(one => [one.name, one.called, one.environment, labels(one.labels)]),
      ),
    )
    for (const fault of faults) this.say(`${fault.target} could not be looked among: ${fault.message}`)
    if (more) this.say('there are more; narrow it')
    if (targets.length === 0) this.say('none was found')
    return targets
  }
}
