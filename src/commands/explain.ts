import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {ProdCommand} from '@prod/sdk/cli/command'
import {readConfig} from '@prod/sdk/cli/config'
import {explainerPackages, loadExplainers} from '@prod/sdk/cli/explainers'
import {lastFailure, type RefusedQuestion} from '@prod/sdk/cli/last-failure'
import {paint, passBytes} from '@prod/sdk/cli/output'
import {ProdError} from '@prod/sdk/errors'
import {explain} from '@prod/sdk/explain/explain'
import {maxTextLength} from '@prod/sdk/explain/message'
import type {Explainer, Explanation} from '@prod/sdk/explainer'
import type {Help, Ruling} from '@prod/sdk/ruling'
import {explainLines} from '../explain/batch.ts'
import {isBrokerId} from '../explain/broker-id.ts'

/** What `--json` prints of a text; `help` and `decoded` where there was somebody to ask. */
type Explained = Explanation & {help?: Help; decoded?: unknown}

/** Says of a text that a tool printed why access was denied, and of a run or a request why the broker refused it. */
export default class Explain extends ProdCommand {
  static override summary = 'say why access was denied, and what to type next'
  static override description =
    `Reads what a tool printed: the text given, standard input, or what failed last. Of a run or a request, and of what the broker refused last, the
broker says which rule it was and what would change it. Where there is a broker and a login, it also says which roles allow the action, who approves them, or whose the resource is.
With --batch it reads one {"text"} or {"id", "text"} a line and answers line by line, and asks nobody.`
  static override args = {
    // the framework would read what is piped in for as long as it waits, and make it this argument
    text: Args.string({
      description: 'what the tool printed, or the id of a run or request; without it or with -, standard input is read',
      ignoreStdin: true,
    }),
  }
  static override flags = {
    last: Flags.boolean({description: 'what failed last in exec, assume or shell, an hour ago at most'}),
    batch: Flags.boolean({description: 'read messages from standard input, one JSON document a line', exclusive: ['last']}),
    decode: Flags.boolean({
      description:
        'have AWS read an encoded authorization message, by --role, the credentials of this shell, or a role of this machine known to allow it',
      exclusive: ['batch'],
    }),
    role: Flags.string({description: 'the role that decodes, as prod roles names it', helpValue: 'ROLE', dependsOn: ['decode']}),
    offline: Flags.boolean({description: 'ask no broker'}),
  }
  static override examples = [
    'aws s3 ls s3://invoices 2>&1 | <%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --last',
    '<%= config.bin %> <%= command.id %> run_01k9x7h2d6b5x1v0m3q8r4t6wz',
    '<%= config.bin %> <%= command.id %> --json "An error occurred (ExpiredToken) when calling the ListBuckets operation"',
  ]

  async run(): Promise<Explained | Ruling | undefined> {
    const {args, flags} = await this.parse(Explain)
    if (args.text !== undefined && (flags.last || flags.batch))
      throw new ProdError('USAGE', 'a text and --last or --batch exclude each other', 'prod explain --help')
    if (args.text !== undefined && isBrokerId(args.text)) return this.#ruling({id: args.text.trim()})
    const explainers = await loadExplainers(explainerPackages(this.config.pjson))
    if (flags.batch) {
      this.answered = true
      for await (const answers of explainLines(explainers, process.stdin)) if (!(await passBytes('stdout', answers))) break
      return undefined
    }
    const given = await textOf(args.text, flags.last)
    if (typeof given !== 'string') return this.#ruling(given)
    const found = flags.decode ? await this.#decoded(given, explainers, flags.role) : {explanation: explain(given, explainers)}
    const {explanation} = found
    const help = flags.offline ? undefined : await this.#help(explanation)
    this.log([...inWords(explanation), ...(help ? (await import('../explain/from-broker.ts')).helpInWords(help, explanation) : [])])
    return {...explanation, ...(help ? {help} : {}), ...('decoded' in found ? {decoded: found.decoded} : {})}
  }

  async #ruling(about: {id: string} | RefusedQuestion): Promise<Ruling> {
    const {needBroker, rulingInWords, rulingOf} = await import('../explain/from-broker.ts')
    if (!('id' in about)) needBroker(this.brokerFlag)
    const ruling = await rulingOf(this.broker(), about)
    this.log(rulingInWords(ruling))
    return ruling
  }

  /** Loads what talks to a broker only where one is known. */
  async #help(explanation: Explanation): Promise<Help | undefined> {
    if (this.brokerFlag === undefined && !process.env.PROD_BROKER && Object.keys(readConfig().brokers ?? {}).length === 0) return undefined
    const {helpOf} = await import('../explain/from-broker.ts')
    return helpOf(explanation, this.brokerFlag, () => this.broker())
  }

  async #decoded(
    text: string,
    explainers: readonly Explainer[],
    role: string | undefined,
  ): Promise<{explanation: Explanation; decoded: unknown}> {
    const {decodeDenial} = await import('../explain/decode.ts')
    return decodeDenial(text, explainers, {pjson: this.config.pjson, role})
  }
}

/** What to explain: a text, or what a broker refused. */
async function textOf(given: string | undefined, last: boolean): Promise<string | RefusedQuestion> {
  if (last) {
    const failure = lastFailure(new Date())
    if (failure === undefined)
      throw new ProdError(
        'NOT_FOUND',
        'no exec, assume or shell failed within the last hour with something to explain',
        'prod explain TEXT',
      )
    return 'text' in failure ? failure.text : failure.refused
  }
  if (given !== undefined && given !== '-') return given
  if (process.stdin.isTTY) throw new ProdError('USAGE', 'there is no text to explain', 'prod explain --last')
  let text = ''
  process.stdin.setEncoding('utf8')
  for await (const chunk of process.stdin) text = `${text}${chunk as string}`.slice(-maxTextLength)
  return text
}

function inWords({summary, principal, action, resource, role, encoded, confidence, next}: Explanation): string[] {
  const fields = {who: principal, action, on: resource, role: role === resource ? null : role}
  return [
    `${paint('bold', summary)}${confidence < 0.6 ? ' (a guess)' : ''}`,
    ...Object.entries(fields).flatMap(([name, value]) => (value === null ? [] : [`  ${name.padEnd(7)} ${value}`])),
    ...(encoded ? ['  encoded the reason is in the encoded message'] : []),
    ...next.map(({command, why}, index) => `${index === 0 ? 'try:' : ' or:'} ${command}   ${paint('dim', `(${why})`)}`),
  ]
}
