import {join} from 'node:path'
import * as Flags from '@oclif/core/flags'
import {ProdCommand} from '@prod/sdk/cli/command'
import type {Finding} from '../../catalog/finding.ts'
import type {TestResult} from '../../policy/tests.ts'

/** `prod policy test [--dir DIR]` */
export default class PolicyTest extends ProdCommand {
  static override summary = "run a policy's own tests"
  static override description =
    'Answers every line of policy/tests by the decision that the broker uses. Ends with 1 if one fails, or if the files do not load.'
  static override flags = {
    dir: Flags.string({default: '.', helpValue: 'DIR', description: 'folder that holds catalog/ and policy/'}),
    verbose: Flags.boolean({description: 'list the tests that hold, too'}),
  }
  static override examples = ['<%= config.bin %> <%= command.id %> --dir ./production --verbose']

  async run(): Promise<{ok: boolean; tests: TestResult[]; findings: Finding[]}> {
    const {flags} = await this.parse(PolicyTest)
    const {checkBundle, showFinding} = await import('@prod/broker/policy')
    const {findings, tests} = await checkBundle({
      catalogDir: join(flags.dir, 'catalog'),
      policyDir: join(flags.dir, 'policy'),
      development: true,
    })
    const failed = tests.filter(({message}) => message !== undefined).length
    if (flags.verbose)
      this.log(tests.filter(({message}) => message === undefined).map(({file, line, name}) => `${file}:${line} holds: ${name}`))
    this.log(findings.map(showFinding))
    if (tests.length === 0 && findings.length > 0) this.say('the files do not load, so no test was run')
    else this.say(`${tests.length - failed} of ${tests.length} tests hold`)
    const ok = findings.length === 0
    if (!ok) this.endWith(1)
    return {ok, tests, findings}
  }
}
