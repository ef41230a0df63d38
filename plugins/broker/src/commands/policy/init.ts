import * as Args from '@oclif/core/args'
import {ProdCommand} from '@prod/sdk/cli/command'

/** `prod policy init DIR` */
export default class PolicyInit extends ProdCommand {
  static override summary = 'write a catalog and a policy to begin with, which allow nothing by themselves'
  static override args = {dir: Args.string({required: true, description: 'folder that gets catalog/ and policy/'})}
  static override examples = ['<%= config.bin %> <%= command.id %> ./production']

  async run(): Promise<{catalogDir: string; policyDir: string}> {
    const {args} = await this.parse(PolicyInit)
    const {writeStarter} = await import('@prod/broker/policy')
    const made = await writeStarter(args.dir)
    this.log([made.catalogDir, made.policyDir])
    this.say(`nothing is allowed yet; after each change: ${this.config.bin} policy check --dir ${args.dir}`)
    return made
  }
}
