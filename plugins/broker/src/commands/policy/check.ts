import {join} from 'node:path'
import * as Flags from '@oclif/core/flags'
import {ProdCommand} from '@prod/sdk/cli/command'
import type {Finding} from '../../catalog/finding.ts'

/** `prod policy check [--dir DIR]` */
export default class PolicyCheck extends ProdCommand {
  static override summary = 'say everything that is wrong with a catalog and its policy'
  static override description =
    'Reads what a broker would load, checks form, names, rules and tests, and starts nothing. Ends with 1 if a broker would refuse it.'
  static override flags = {
    dir: Flags.string({default: '.', helpValue: 'DIR', description: 'folder that holds catalog/ and policy/'}),
    dev: Flags.boolean({description: 'missing tests are warnings, as in a development broker'}),
  }
  static override examples = ['<%= config.bin %> <%= command.id %> --dir ./production']

  async run(): Promise<{ok: boolean; digest: string; findings: Finding[]; warnings: string[]}> {
    const {flags} = await this.parse(PolicyCheck)
    const {checkBundle, showFinding} = await import('@prod/broker/policy')
    const {digest, findings, warnings, tests, bundle, overrides} = await checkBundle({
      catalogDir: join(flags.dir, 'catalog'),
      policyDir: join(flags.dir, 'policy'),
      development: flags.dev,
    })
    const ok = findings.length === 0
    for (const warning of warnings) this.say(`warning: ${warning}`)
    for (const {lint, at, by, until, reason, message} of overrides)
      this.say(`override: ${lint} at ${at}, by ${by} until ${until}: ${reason} (${message})`)
    this.log(findings.map(showFinding))
    if (ok) this.log(`${bundle?.catalog.tools.size ?? 0} tools, ${tests.length} tests, bundle ${digest}: a broker would load it`)
    else {
      this.say(`${findings.length === 1 ? '1 finding' : `${findings.length} findings`}: a broker would keep its old bundle`)
      this.endWith(1)
    }
    return {ok, digest, findings, warnings}
  }
}
