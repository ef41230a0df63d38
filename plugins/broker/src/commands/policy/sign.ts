import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {ProdCommand} from '@prod/sdk/cli/command'

/** `prod policy sign FILE --key KEYFILE` */
export default class PolicySign extends ProdCommand {
  static override summary = 'sign a bundle'
  static override description =
    'Look at what it changes first (policy diff). The signature covers the version and the digest of every file; several people may sign one after the other.'
  static override args = {file: Args.string({required: true, description: 'what policy build wrote'})}
  static override flags = {
    key: Flags.string({required: true, helpValue: 'KEYFILE', description: 'what policy keygen wrote; it never comes near a broker'}),
  }
  static override examples = ['<%= config.bin %> <%= command.id %> production.bundle --key ~/ops-policy.key']

  async run(): Promise<{file: string; version: number; digest: string; by: string; verifier: string}> {
    const {args, flags} = await this.parse(PolicySign)
    const {signBundle} = await import('@prod/broker/policy')
    const {version, digest, by, verifier} = await signBundle(args.file, flags.key)
    this.log(`signed by ${by}: version ${version}, bundle ${digest}`)
    return {file: args.file, version, digest, by, verifier}
  }
}
