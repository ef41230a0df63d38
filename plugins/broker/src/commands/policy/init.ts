import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {ProdCommand} from '@prod/sdk/cli/command'
import {ProdError} from '@prod/sdk/errors'

/** `prod policy init [DIR] [--tools NAME,…|all] [--look GROUP]` */
export default class PolicyInit extends ProdCommand {
  static override summary = 'write a catalog and a policy to begin with, which allow nothing by themselves'
  static override description =
    `--tools takes definitions from the library, with their tests. Only --look says who may use them: that group may run, at once,
each of their commands that changes nothing.`
  static override args = {dir: Args.string({default: '.', description: 'folder that gets catalog/ and policy/'})}
  static override flags = {
    tools: Flags.string({helpValue: 'NAME,...|all', description: 'definitions to take from the library'}),
    look: Flags.string({helpValue: 'GROUP', description: 'who may run all that is of class read', dependsOn: ['tools']}),
    account: Flags.string({helpValue: 'NAME', description: 'OS account that they run under; nobody if left out', dependsOn: ['tools']}),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %> ./production',
    '<%= config.bin %> <%= command.id %> ./production --tools journalctl,kubectl --look engineers',
  ]

  async run(): Promise<{catalogDir: string; policyDir: string; tools: string[]}> {
    const {args, flags} = await this.parse(PolicyInit)
    const tools = flags.tools?.split(',').filter(name => name !== '')
    if (tools?.length === 0) throw new ProdError('USAGE', '--tools names no tool', 'prod policy init DIR --tools all')
    if (flags.look !== undefined && !/^[^\s"\\*]{1,200}$/.test(flags.look))
      throw new ProdError('USAGE', `${JSON.stringify(flags.look)} is no group`, 'prod policy init DIR --tools all --look engineers')
    const {writeStarter} = await import('@prod/broker/policy')
    const made = await writeStarter(args.dir, tools && {tools, look: flags.look, account: flags.account ?? 'nobody'})
    this.log([made.catalogDir, made.policyDir])
    const who = flags.look === undefined ? 'nothing is allowed yet' : `${flags.look} may look, and nothing else is allowed yet`
    this.say(`${who}; after each change: ${this.config.bin} policy check --dir ${args.dir}`)
    return made
  }
}
