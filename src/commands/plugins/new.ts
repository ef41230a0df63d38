import * as Args from '@oclif/core/args'
import {ProdCommand} from '@prod/sdk/cli/command'
import {newPlugin} from '../../plugins.ts'

/** Writes a plugin into this repository. */
export default class PluginsNew extends ProdCommand {
  static override summary = 'write a new primitive plugin, which passes its contract as it is'
  static override description = 'Works in a clone of the repository: the plugin becomes a workspace under plugins/. Nothing is overwritten.'
  static override args = {
    name: Args.string({
      required: true,
      ignoreStdin: true,
      description: 'name of the plugin and id of its primitive: a-z, 0-9 and -, such as my-way',
    }),
  }
  static override examples = ['<%= config.bin %> <%= command.id %> my-way']

  async run(): Promise<{folder: string; files: string[]}> {
    const {args} = await this.parse(PluginsNew)
    const made = newPlugin(this.config.root, args.name, this.config.version)
    this.log(made.files.map(file => `${made.folder}/${file}`))
    this.say([
      'next: npm install',
      `then: npx vitest run --config test/vitest.config.ts plugins/${args.name}`,
      'then: src/target.ts, src/open.ts; docs/plugins.md',
    ])
    return made
  }
}
