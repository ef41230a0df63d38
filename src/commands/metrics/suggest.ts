import * as Flags from '@oclif/core/flags'
import type {Session} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {parseSince} from '@prod/sdk/cli/durations'
import {paint} from '@prod/sdk/cli/output'
import {table} from '@prod/sdk/cli/table'
import {ProdError} from '@prod/sdk/errors'
import {fetchRecording, openRecording, readIdentity} from '../../channel/recording.ts'
import {counted} from '../../metrics/show.ts'
import {leastPeople, type Suggestion, suggest, type TypedShell} from '../../metrics/suggest.ts'
import {readTyped} from '../../metrics/typed.ts'

interface Suggested {
  /** shells that were looked at, and those that could not be */
  shells: number
  unread: number
  suggestions: Suggestion[]
  /** jobs that too few people did */
  leftOut: number
}

/** Where a tool would take the place of a shell. */
export default class MetricsSuggest extends ProdCommand {
  static override summary = 'show what shells are still used for, as candidates for tools'
  static override description =
    'Reads recordings of the newest shells, as sessions play does: with your right to them, on this machine, each read recorded. Of what was typed at a prompt the first words are counted and nothing else, and only what several people typed is shown.'
  static override flags = {
    since: Flags.string({description: 'shells opened from then on: 7d, 2h, or 2026-11-22T14:30:00Z', default: '30d', helpValue: 'WHEN'}),
    people: Flags.integer({
      description: `show what at least so many people did; not under ${leastPeople}`,
      default: leastPeople,
      min: leastPeople,
    }),
    identity: Flags.string({
      description: 'file with the age identity that opens recordings; else PROD_RECORDING_IDENTITY',
      helpValue: 'FILE',
      env: 'PROD_RECORDING_IDENTITY',
    }),
  }
  static override examples = ['<%= config.bin %> <%= command.id %> --since 90d --identity ~/security.age']

  async run(): Promise<Suggested> {
    const {flags} = await this.parse(MetricsSuggest)
    if (flags.identity === undefined)
      throw new ProdError('USAGE', 'recordings are opened with an age identity', 'prod metrics suggest --identity FILE')
    const identity = readIdentity(flags.identity)
    const since = parseSince(flags.since, new Date())
    const {sessions} = await this.broker().call(api.listSessions)
    const meant = sessions.filter(one => one.state === 'closed' && one.chunks > 0 && one.openedAt >= since && isShell(one))
    const shells: TypedShell[] = []
    let unread = 0
    for (const session of meant) {
      const words = await this.#wordsOf(session.id, identity)
      if (words === undefined) unread += 1
      else
        shells.push({
          person: session.principal.person || `${session.principal.iss}#${session.principal.sub}`,
          target: session.target.name,
          words,
        })
    }
    const found: Suggested = {shells: shells.length, unread, ...suggest(shells, flags.people)}
    this.log(showSuggestions(found, flags.people))
    return found
  }

  /** Undefined: it may not be read, or its recording is gone. Throws what is wrong with the identity or the broker. */
  async #wordsOf(id: string, identity: string): Promise<ReadonlyMap<string, number> | undefined> {
    const reader = readTyped()
    try {
      for await (const records of openRecording(fetchRecording(this.broker(), id), identity)) reader.push(records)
    } catch (error) {
      if (error instanceof ProdError && ['SESSION_NOT_FOUND', 'NOT_FOUND', 'SIGNATURE_INVALID'].includes(error.code)) return undefined
      throw error
    }
    return reader.words()
  }
}

/** A forward is a session too, and nothing is typed in it. */
function isShell(session: Session): boolean {
  return (session as {kind?: string}).kind !== 'forward'
}

function showSuggestions({shells, unread, suggestions, leftOut}: Suggested, people: number): string[] {
  const looked = `${counted(shells, 'shell')} looked at${unread === 0 ? '' : `, ${unread} that you may not read, or that this identity does not open`}`
  const hidden = leftOut === 0 ? [] : ['', `${counted(leftOut, 'job')} not shown: fewer than ${people} people did it`]
  if (suggestions.length === 0) return [looked, ...hidden]
  const library = [...new Set(suggestions.flatMap(one => one.library))]
  return [
    looked,
    '',
    ...table(
      ['used for', 'target', 'people', 'shells', {head: 'first words', prose: true}],
      suggestions.map(({what, target, people: who, shells: count, words}) => [
        what,
        target,
        who,
        count,
        words.map(({word, times}) => `${word} ${times}`).join(', ') || '-',
      ]),
    ),
    ...(library.length === 0
      ? []
      : ['', paint('bold', 'definitions of these come with prod'), `  prod policy init DIR --tools ${library.join(',')} --look GROUP`]),
    ...hidden,
  ]
}
