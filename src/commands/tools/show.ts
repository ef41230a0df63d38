import * as Args from '@oclif/core/args'
import {api} from '@prod/sdk/api'
import type {CatalogView} from '@prod/sdk/catalog-view'
import {ProdCommand} from '@prod/sdk/cli/command'
import {ProdError} from '@prod/sdk/errors'
import {describeCommand, examplesOf} from '@prod/sdk/grammar/describe'
import type {Grammar} from '@prod/sdk/grammar/grammar'
import {pickTool, usableWords} from '../../catalog/pick.ts'

type Tool = CatalogView['tools'][number]

/** `--json`: the tool as the catalog has it, and for each command what it allows in words and in examples. */
interface ShownTool extends Tool {
  commands: (Tool['commands'][number] & {allows: string[]; examples: string[]})[]
}

/** What the grammar of one tool allows, in words. */
export default class ToolsShow extends ProdCommand {
  static override summary = 'show what a tool allows, in words and examples'
  static override args = {tool: Args.string({description: 'name of a tool'})}
  static override examples = ['<%= config.bin %> <%= command.id %> web']

  async run(): Promise<ShownTool> {
    const {args} = await this.parse(ToolsShow)
    const name = args.tool ?? (await pickTool(this.broker()))
    const {tools} = await this.broker().call(api.catalog)
    const tool = tools.find(one => one.name === name)
    if (!tool) throw new ProdError('TOOL_NOT_FOUND', `there is no tool ${name} that you may use`, 'prod tools')
    const grammarOf = (wanted: string): Grammar | undefined => tools.find(one => one.name === wanted)?.grammar
    this.log([`${tool.name}: ${tool.summary}`, `runs on ${tool.targets.join(', ')}`])
    for (const [index, command] of tool.commands.entries()) {
      const [form = '', ...lines] = describeCommand(tool.grammar, index, grammarOf)
      this.log(['', `${form}  (${command.class}; ${usableWords[command.usable]})`, ...lines])
    }
    return {
      ...tool,
      commands: tool.commands.map((command, index) => ({
        ...command,
        allows: describeCommand(tool.grammar, index, grammarOf),
        examples: examplesOf(tool.grammar, index, grammarOf),
      })),
    }
  }
}
