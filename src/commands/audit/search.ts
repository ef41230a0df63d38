import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {api, type LogEntry} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {parseSince} from '@prod/sdk/cli/durations'
import {type OpenedEntry, openEntry} from '@prod/sdk/log/envelope'
import {showEntry} from '../../audit/show-entry.ts'

const pageEntries = 1000

interface Filter {
  type?: string
  subject?: string
  text?: string
}

/** Finds records. */
export default class AuditSearch extends ProdCommand {
  static override summary = 'find records of the log'
  static override description =
    'All that is given must hold. TEXT is looked for in everything a record says, whatever its case. Reading the log is itself recorded.'
  static override args = {text: Args.string({description: 'words to look for'})}
  static override flags = {
    type: Flags.string({description: 'type of the record', helpValue: 'request.approved'}),
    subject: Flags.string({description: 'id it is about', helpValue: 'run_…'}),
    by: Flags.string({description: 'who acted: a person id', helpValue: 'PERSON'}),
    since: Flags.string({description: 'from then on: 7d, 2h, or 2026-11-22T14:30:00Z', helpValue: 'WHEN'}),
    limit: Flags.integer({description: 'the newest so many', default: 200, min: 1, max: 100_000, helpValue: 'N'}),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %> --by alice --since 7d',
    '<%= config.bin %> <%= command.id %> --type run.started "payments-api"',
  ]

  async run(): Promise<OpenedEntry[]> {
    const {args, flags} = await this.parse(AuditSearch)
    const since = flags.since === undefined ? '' : parseSince(flags.since, new Date())
    const filter: Filter = {
      ...(flags.type === undefined ? {} : {type: flags.type}),
      ...(flags.subject === undefined ? {} : {subject: flags.subject}),
      ...(args.text === undefined ? {} : {text: args.text}),
    }
    const found = (await this.#fetch(filter, since))
      .map(openEntry)
      .filter(({time, by}) => time >= since && (flags.by === undefined || by === flags.by))
    const shown = found.slice(-flags.limit)
    this.log(shown.map(showEntry))
    if (shown.length < found.length) this.say(`${found.length - shown.length} older ones are not shown; --limit ${found.length} shows all`)
    if (found.length === 0) this.say('nothing found')
    return shown
  }

  /** The newest page, where it reaches back far enough; else everything from the start on. Oldest first. */
  async #fetch(filter: Filter, since: string): Promise<LogEntry[]> {
    const {entries: newest} = await this.broker().call(api.auditEntries, {...filter, newest: 'true', limit: String(pageEntries)})
    const oldest = newest.at(-1)
    if (newest.length < pageEntries || !oldest || openEntry(oldest).time < since) return newest.reverse()
    const all: LogEntry[] = []
    for (;;) {
      const {entries} = await this.broker().call(api.auditEntries, {
        ...filter,
        from: String((all.at(-1)?.index ?? -1) + 1),
        limit: String(pageEntries),
      })
      all.push(...entries)
      if (entries.length < pageEntries) return all
    }
  }
}
