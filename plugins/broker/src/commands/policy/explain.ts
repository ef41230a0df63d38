import {existsSync} from 'node:fs'
import {join} from 'node:path'
import * as Flags from '@oclif/core/flags'
import {ProdCommand} from '@prod/sdk/cli/command'
import {passBytes} from '@prod/sdk/cli/output'
import {ProdError} from '@prod/sdk/errors'
import type {PolicyExplanation} from '../../policy/explain.ts'

/** `prod policy explain [--dir DIR] --as NAME [--groups A,B] TOOL [ARGS…]`, or `--batch` */
export default class PolicyExplain extends ProdCommand {
  static override summary = 'say what policy decides about a command, and why; nothing is run'
  static override description = `Reads the files of a folder, not of a broker. Options of ours stop at TOOL: all after it is the tool's own.
With --batch it reads one {"principal", "groups", "argv", "target"?} a line and answers line by line.`
  static override strict = false
  static override usage = [
    'policy explain [--dir DIR] --as NAME [--groups GROUPS] [--on TARGET] TOOL [ARGS...]',
    'policy explain [--dir DIR] --batch',
  ]
  static override flags = {
    dir: Flags.string({
      helpValue: 'DIR',
      description: 'folder that holds catalog/ and policy/: this one, else the shipped library, where engineers may look',
    }),
    as: Flags.string({helpValue: 'NAME', description: 'who would ask: a person id'}),
    groups: Flags.string({helpValue: 'A,B', default: '', description: 'groups of that person'}),
    on: Flags.string({helpValue: 'TARGET', description: 'where, for tools that run on several targets'}),
    batch: Flags.boolean({description: 'read questions from standard input', exclusive: ['as', 'on']}),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %> --dir ./production --as alice --groups engineers unit restart payments-api',
  ]

  override jsonEnabled(): boolean {
    const {own} = this.#split()
    return own.includes('--json') && !own.includes('--batch')
  }

  async run(): Promise<PolicyExplanation | undefined> {
    const {own, argv} = this.#split()
    const {flags} = await this.parse(PolicyExplain, own)
    if (!flags.batch && (!flags.as || argv.length === 0)) {
      throw new ProdError(
        'USAGE',
        flags.as ? 'a tool is missing' : 'who would ask is missing',
        'prod policy explain --as alice --groups engineers TOOL',
      )
    }
    const {BundleRefused, checkBundle, explain, explainInWords, explainLines, libraryDir} = await import('@prod/broker/policy')
    const dir = flags.dir ?? (existsSync('catalog') ? '.' : libraryDir)
    const {bundle, findings} = await checkBundle({
      catalogDir: join(dir, 'catalog'),
      policyDir: join(dir, 'policy'),
      development: true,
      untested: true,
    })
    if (!bundle) throw new BundleRefused(findings)
    for (const {file, line, message} of findings) this.say(`${file}:${line} ${message}`)

    if (flags.batch) {
      for await (const answers of explainLines(bundle, process.stdin)) if (!(await passBytes('stdout', answers))) break
      return undefined
    }
    const groups = flags.groups.split(',').filter(group => group !== '')
    const question = {principal: flags.as as string, groups, argv, target: flags.on}
    const explained = explain(bundle, question)
    this.log(explainInWords(bundle, question, explained))
    return explained.answer
  }

  /** Our options stop at the first word that is neither an option of ours nor its value. */
  #split(): {own: string[]; argv: string[]} {
    const valued = new Set(['--dir', '--as', '--groups', '--on', '--broker'])
    let at = 0
    while (at < this.argv.length && this.argv[at]?.startsWith('-') && this.argv[at] !== '--')
      at += valued.has(this.argv[at] as string) ? 2 : 1
    return {own: this.argv.slice(0, at), argv: this.argv.slice(this.argv[at] === '--' ? at + 1 : at)}
  }
}
