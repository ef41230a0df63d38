import * as Args from '@oclif/core/args'
import {api} from '@prod/sdk/api'
import type {CatalogView} from '@prod/sdk/catalog-view'
import {filter} from '@prod/sdk/cli/ask'
import {ProdCommand} from '@prod/sdk/cli/command'
import {table} from '@prod/sdk/cli/table'
import {usableWords} from '../../catalog/pick.ts'

/** The tools that a person may run or ask for. */
export default class Tools extends ProdCommand {
  static override summary = 'list the tools that I may run now or ask for'
  static override args = {filter: Args.string({description: 'letters that occur in this order'})}
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> show web']

  async run(): Promise<CatalogView['tools']> {
    const {args} = await this.parse(Tools)
    const {tools} = await this.broker().call(api.catalog)
    const found = filter(tools, args.filter ?? '', tool => `${tool.name} ${tool.summary}`)
    const rows = found.flatMap(tool =>
      tool.commands
        .filter(({usable}) => usable !== 'no')
        .map(command => [
          [tool.name, ...command.path].join(' '),
          usableWords[command.usable],
          command.class,
          tool.targets.join(', '),
          summaryOf(tool, command.path),
        ]),
    )
    this.log(table(['command', 'usable', 'class', 'targets', {head: 'what', prose: true}], rows))
    if (found.length === 0) this.say('no tool fits')
    return found
  }
}

/** What one command of a tool does; the tool's own words where the catalog says no more. */
function summaryOf({summary, grammar}: CatalogView['tools'][number], path: string[]): string {
  const wanted = path.join(' ')
  return grammar.commands.find(one => one.path.join(' ') === wanted && one.summary)?.summary ?? summary
}
