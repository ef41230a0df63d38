import {setTimeout} from 'node:timers/promises'
import * as Flags from '@oclif/core/flags'
import {api} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {resultUnread} from '@prod/sdk/cli/output'
import {ProdError} from '@prod/sdk/errors'
import {parseCheckpoint} from '@prod/sdk/log/checkpoint'
import {type OpenedEntry, openEntry} from '@prod/sdk/log/envelope'
import {showEntry} from '../../audit/show-entry.ts'

const pollMilliseconds = 2000

/** The end of the log. */
export default class AuditTail extends ProdCommand {
  static override summary = 'show the newest records'
  static override description = 'Reading the log is itself recorded. With --follow it stays and shows what is added, until Ctrl-C.'
  static override flags = {
    lines: Flags.integer({char: 'n', description: 'how many', default: 20, min: 1, max: 1000, helpValue: 'N'}),
    follow: Flags.boolean({char: 'f', description: 'stay, and show what is added'}),
    type: Flags.string({description: 'only records of this type', helpValue: 'run.ended'}),
  }
  static override examples = ['<%= config.bin %> <%= command.id %> -n 50', '<%= config.bin %> <%= command.id %> -f']

  async run(): Promise<OpenedEntry[]> {
    const {flags} = await this.parse(AuditTail)
    if (flags.follow && this.jsonEnabled())
      throw new ProdError('USAGE', 'what never ends is no JSON document', 'prod audit tail --follow, or prod audit export')
    const unread = flags.follow ? resultUnread() : undefined
    const type = flags.type === undefined ? {} : {type: flags.type}
    const {entries, size} = await this.broker().call(api.auditEntries, {limit: String(flags.lines), newest: 'true', ...type})
    const opened = entries.reverse().map(openEntry)
    this.log(opened.map(showEntry))
    if (unread) await this.#follow(size, type, unread)
    return opened
  }

  /** Asks the checkpoint, which is public, and reads only when the log has grown. */
  async #follow(from: number, type: {type?: string}, unread: AbortSignal): Promise<void> {
    const stop = new AbortController()
    this.onInterrupt(() => stop.abort())
    const ended = AbortSignal.any([stop.signal, unread])
    let shown = from
    while (!ended.aborted) {
      const {size} = parseCheckpoint(await this.broker().call(api.logCheckpoint))
      if (size > shown) {
        const answer = await this.broker().call(api.auditEntries, {from: String(shown), ...type})
        const last = answer.entries.at(-1)
        this.log(answer.entries.map(entry => showEntry(openEntry(entry))))
        // a full page: there may be more before the end
        shown = last && answer.entries.length >= 1000 ? last.index + 1 : answer.size
        continue
      }
      await setTimeout(pollMilliseconds, undefined, {signal: ended}).catch(() => {}) // called off: the loop sees it
    }
  }
}
