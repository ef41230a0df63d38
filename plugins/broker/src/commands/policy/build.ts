import * as Flags from '@oclif/core/flags'
import {ProdCommand} from '@prod/sdk/cli/command'

/** `prod policy build [--dir DIR] --out FILE` */
export default class PolicyBuild extends ProdCommand {
  static override summary = 'put a catalog and its policy into one file, to be signed'
  static override description =
    `Checks what a broker would check, then writes every file and its digest. The same files, --version and --at give the same bytes.
A broker never goes back to a lower version: to return to old rules, build the old files again.`
  static override flags = {
    dir: Flags.string({default: '.', helpValue: 'DIR', description: 'folder that holds catalog/ and policy/'}),
    out: Flags.string({required: true, helpValue: 'FILE', description: 'file to write, or a folder that gets policy.bundle'}),
    version: Flags.integer({min: 1, helpValue: 'N', description: 'grows with each bundle; the seconds of its time if left out'}),
    at: Flags.string({helpValue: 'TIME', description: 'when it was made, such as 2026-01-31T12:00:00Z; now if left out'}),
  }
  static override examples = ['<%= config.bin %> <%= command.id %> --dir ./production --out production.bundle']

  async run(): Promise<{file: string; version: number; madeAt: string; digest: string}> {
    const {flags} = await this.parse(PolicyBuild)
    const {BundleRefused, buildBundle, showFinding} = await import('@prod/broker/policy')
    const {file, version, madeAt, digest, files} = await buildBundle({...flags, madeAt: flags.at}).catch((error: unknown) => {
      if (error instanceof BundleRefused) for (const finding of error.findings) this.say(showFinding(finding))
      throw error
    })
    this.log(`${file}: version ${version}, ${files.length} files, bundle ${digest}`)
    this.say(`not signed yet: ${this.config.bin} policy sign ${file} --key KEYFILE`)
    return {file, version, madeAt, digest}
  }
}
