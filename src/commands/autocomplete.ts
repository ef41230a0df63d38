import * as Args from '@oclif/core/args'
import {ProdCommand} from '@prod/sdk/cli/command'
import {type Shell, scripts} from '../completion/scripts.ts'

const shells = Object.keys(scripts) as Shell[]

/** Prints what a shell must source. */
export default class Autocomplete extends ProdCommand {
  static override summary = 'print the completion script of a shell'
  static override description =
    'Offers commands and their flags, and from the catalog as last seen: tools with their subcommands and options, targets, roles, requests.'
  static override args = {shell: Args.string({required: true, options: shells, ignoreStdin: true, description: 'the shell to complete in'})}
  static override examples = ['source <(<%= config.bin %> <%= command.id %> bash)']

  async run(): Promise<{shell: string; script: string}> {
    const {args} = await this.parse(Autocomplete)
    const script = scripts[args.shell as Shell]
    this.log(script.trimEnd())
    return {shell: args.shell, script}
  }
}
