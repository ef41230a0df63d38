import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {ProdCommand} from '@prod/sdk/cli/command'
import {paint, passBytes} from '@prod/sdk/cli/output'
import {ProdError} from '@prod/sdk/errors'
import {explain} from '@prod/sdk/explain/explain'
import {maxTextLength} from '@prod/sdk/explain/message'
import type {Explanation} from '@prod/sdk/explainer'
import {explainLines} from '../explain/batch.ts'
import {explainerPackages, loadExplainers} from '../explain/explainers.ts'
import {lastFailure} from '../explain/last-failure.ts'

/** Says of a text that a tool printed why access was denied. Runs nothing, asks nobody. */
export default class Explain extends ProdCommand {
  static override summary = 'say why access was denied, and what to type next'
  static override description =
    `Reads what a tool printed: the text given, standard input, or the last failed run. Nothing is run and nobody is asked.
With --batch it reads one {"text"} or {"id", "text"} a line and answers line by line.`
  static override args = {
    // the framework would read what is piped in for as long as it waits, and make it this argument
    text: Args.string({description: 'what the tool printed; without it or with -, standard input is read', ignoreStdin: true}),
  }
  static override flags = {
    last: Flags.boolean({description: 'the stderr of the last exec that failed, an hour old at most'}),
    batch: Flags.boolean({description: 'read messages from standard input, one JSON document a line', exclusive: ['last']}),
  }
  static override examples = [
    'aws s3 ls s3://invoices 2>&1 | <%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --last',
    '<%= config.bin %> <%= command.id %> --json "An error occurred (ExpiredToken) when calling the ListBuckets operation"',
  ]

  async run(): Promise<Explanation | undefined> {
    const {args, flags} = await this.parse(Explain)
    if (args.text !== undefined && (flags.last || flags.batch))
      throw new ProdError('USAGE', 'a text and --last or --batch exclude each other', 'prod explain --help')
    const explainers = await loadExplainers(explainerPackages(this.config.pjson))
    if (flags.batch) {
      this.answered = true
      for await (const answers of explainLines(explainers, process.stdin)) if (!(await passBytes('stdout', answers))) break
      return undefined
    }
    const explanation = explain(await textOf(args.text, flags.last), explainers)
    this.log(inWords(explanation))
    return explanation
  }
}

async function textOf(given: string | undefined, last: boolean): Promise<string> {
  if (last) {
    const text = lastFailure(new Date())
    if (text === undefined)
      throw new ProdError('NOT_FOUND', 'no exec failed within the last hour with something on its stderr', 'prod explain TEXT')
    return text
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
