import {createReadStream} from 'node:fs'
import {stat} from 'node:fs/promises'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {api} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {parseSince} from '@prod/sdk/cli/durations'
import {ProdError} from '@prod/sdk/errors'
import {openEntry} from '@prod/sdk/log/envelope'
import type {CheckedBundle} from '../../policy/bundle.ts'
import type {Asked, Change, Outcome} from '../../policy/diff.ts'

const pageEntries = 1000

/** `prod policy diff OLD NEW [--against-runs | --export FILE]` */
export default class PolicyDiff extends ProdCommand {
  static override summary = 'say what a new policy would decide otherwise'
  static override description =
    `Asks both about every question of their tests, and about what people asked lately: from the broker's log, or from an export of it.
With one bundle alone, the log's own answers are what it is compared with. Ends with 1 if anything is allowed that was not, or with fewer approvals.`
  static override usage = ['policy diff OLD NEW [--against-runs | --export FILE]', 'policy diff NEW --against-runs | --export FILE']
  static override args = {
    old: Args.string({required: true, description: 'folder or signed bundle; the new one, if it stands alone'}),
    new: Args.string({description: 'folder or signed bundle'}),
  }
  static override flags = {
    'against-runs': Flags.boolean({description: 'ask what people asked, as the log of the broker has it', exclusive: ['export']}),
    export: Flags.string({helpValue: 'FILE', description: 'the same, from what audit export wrote'}),
    since: Flags.string({helpValue: 'WHEN', default: '30d', description: 'how far back: 30d, or 2026-11-22T14:30:00Z'}),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %> ./production ./proposed --against-runs',
    '<%= config.bin %> <%= command.id %> ./proposed --export log.jsonl',
  ]

  async run(): Promise<{questions: number; wider: Change[]; narrower: Change[]}> {
    const {args, flags} = await this.parse(PolicyDiff)
    const recorded = flags['against-runs'] || flags.export !== undefined
    if (args.new === undefined && !recorded) throw new ProdError('USAGE', 'there is nothing to compare it with', 'prod policy diff OLD NEW')
    const {compareBundles, foldAsked} = await import('@prod/broker/policy')
    const [before, after] = args.new === undefined ? [undefined, await read(args.old)] : [await read(args.old), await read(args.new)]
    const asked: Asked[] = []
    if (before) for (const test of [...before.cases, ...after.cases]) asked.push({test: {...test, file: 'tests', line: 0}, times: 1})
    const since = parseSince(flags.since, new Date())
    if (flags.export !== undefined) asked.push(...(await this.#exported(flags.export, since)))
    else if (recorded) asked.push(...(await this.#logged(since)))
    const questions = foldAsked(asked)
    const changes = compareBundles(before?.bundle, after.bundle, questions)
    const [wider, narrower] = [changes.filter(one => one.wider), changes.filter(one => !one.wider)]
    this.log(changes.map(show))
    this.say(`${questions.length} questions: ${wider.length} decided wider, ${narrower.length} narrower`)
    if (wider.length > 0) this.endWith(1)
    return {questions: questions.length, wider, narrower}
  }

  async #exported(file: string, since: string): Promise<Asked[]> {
    const {findAsked} = await import('@prod/broker/policy')
    const found: Asked[] = []
    if (!(await stat(file).catch(() => undefined))?.isFile())
      throw new ProdError('USAGE', `there is no file ${file}`, 'prod audit export -o FILE')
    for await (const line of createInterface({input: createReadStream(file)})) {
      if (!line.includes('"envelope"')) continue
      const entry = openEntry(readLine(line, file))
      if (entry.time >= since) found.push(...findAsked(entry))
    }
    return found
  }

  async #logged(since: string): Promise<Asked[]> {
    const {findAsked} = await import('@prod/broker/policy')
    const found: Asked[] = []
    await this.connect()
    for (const type of ['request.created', 'request.refused'])
      for (let from = 0; ; ) {
        const {entries} = await this.broker().call(api.auditEntries, {type, from: String(from), limit: String(pageEntries)})
        const opened = entries.map(openEntry)
        found.push(...opened.filter(({time}) => time >= since).flatMap(findAsked))
        if (entries.length < pageEntries) break
        from = (opened.at(-1)?.index ?? from) + 1
      }
    return found
  }
}

/** A folder, or a bundle's file whoever signed it. Throws BundleRefused where it does not load. */
async function read(place: string): Promise<CheckedBundle & {bundle: NonNullable<CheckedBundle['bundle']>}> {
  const {BundleRefused, checkBundle} = await import('@prod/broker/policy')
  const isFile = (await stat(place).catch(() => undefined))?.isFile()
  const checked = await checkBundle({
    ...(isFile ? {file: place, keys: [], signatures: 0} : {catalogDir: join(place, 'catalog'), policyDir: join(place, 'policy')}),
    development: true,
  })
  if (!checked.bundle) throw new BundleRefused(checked.findings)
  return {...checked, bundle: checked.bundle}
}

function readLine(line: string, file: string): Parameters<typeof openEntry>[0] {
  try {
    return JSON.parse(line)
  } catch {
    throw new ProdError('USAGE', `${file} is no export of a log`, 'prod audit export -o FILE')
  }
}

function show({what, wider, before, after, times, last}: Change): string {
  const often = last === undefined ? '' : `; asked ${times === 1 ? 'once' : `${times} times`}, last ${last.slice(0, 10)}`
  return `${wider ? 'wider' : 'narrower'}: ${what}: ${inWords(before)} → ${inWords(after)}${often}`
}

function inWords({decision, approvals, rules}: Outcome): string {
  return `${decision}${decision === 'request' ? ` (${approvals})` : ''}${rules.length > 0 ? ` by ${rules.join(' and ')}` : ''}`
}
