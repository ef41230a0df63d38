import * as Flags from '@oclif/core/flags'
import {ProdCommand} from '@prod/sdk/cli/command'

/** `prod policy keygen --name NAME --out FILE` */
export default class PolicyKeygen extends ProdCommand {
  static override summary = 'make a key that signs bundles'
  static override description =
    'The file stays with its signer, on a machine that is no broker. The line that is printed goes into policy.keys of the broker’s configuration.'
  static override flags = {
    name: Flags.string({required: true, helpValue: 'NAME', description: 'who signs, such as ops-policy; no space, no +'}),
    out: Flags.string({required: true, helpValue: 'FILE', description: 'file to write, for you alone'}),
  }
  static override examples = ['<%= config.bin %> <%= command.id %> --name ops-policy --out ~/ops-policy.key']

  async run(): Promise<{file: string; name: string; verifier: string}> {
    const {flags} = await this.parse(PolicyKeygen)
    const {makePolicyKey} = await import('@prod/broker/policy')
    const verifier = await makePolicyKey(flags.out, flags.name)
    this.log(verifier)
    this.say(`${flags.out} signs; the line goes into policy.keys of the broker’s configuration`)
    return {file: flags.out, name: flags.name, verifier}
  }
}
