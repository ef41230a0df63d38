/** Whose data is meant, and where it stands: in entries of the log and in records of the store. Pure. */
import {openEntry} from '@prod/sdk/log/envelope'
import {canonicalPerson} from '../requests/state.ts'
import type {EntryRow} from '../stores/store.ts'

/** Everything that one person is known by. */
export interface Whom {
  /** person ids, in their one spelling */
  persons: string[]
  /** `iss#sub` of each account */
  owners: string[]
  subs: string[]
  names: string[]
}

/** What stands where a person was. `sub` says under which erasure: it is no subject of a provider's. */
export function nobody(erasure: string): {iss: string; sub: string; person: string; name: string} {
  return {iss: '', sub: erasure, person: '', name: erasedText}
}

/** What stands where a text was. */
export const erasedText = '(erased)'

/** What people wrote in words of their own, and what they typed: it tells of who wrote it, whomever it names. */
const ownWords = new Set(['argv', 'reason', 'summary', 'note', 'why', 'label', 'groups', 'role', 'target', 'targets', 'to'])

/** Whether a text is one of their ids. */
export function isThem({persons, owners}: Whom, text: unknown): boolean {
  return typeof text === 'string' && (owners.includes(text) || persons.includes(canonicalPerson(text)))
}

/** Whether the entry is of something that they did. */
export function isTheirs(whom: Whom, entry: EntryRow): boolean {
  return isThem(whom, openEntry(entry).by)
}

/**
 * The fields of an entry that go: all of what they did; of what the broker tells of them or of their things (`subjects`) all that is
 * personal; of what others did the fields that are them. What others wrote in their own words stays.
 */
export function fieldsOf(whom: Whom, entry: EntryRow, subjects: ReadonlySet<string>): string[] {
  const {by, subject, personal} = openEntry(entry)
  const fields = Object.keys(entry.openings)
  if (isThem(whom, by)) return fields
  const isNamed = typeof personal.name === 'string' && whom.names.includes(personal.name)
  const others = Object.entries(personal)
    .filter(([name, value]) => !ownWords.has(name) && (holds(whom, value) || (name === 'sub' && whom.subs.includes(String(value)))))
    .map(([name]) => name)
  const ofTheirs = by === 'broker' && ((isNamed && subjects.has(subject)) || others.length > 0)
  return ofTheirs ? fields.filter(name => name !== 'by') : others
}

function holds(whom: Whom, value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.values(value).some(one => holds(whom, one))
  return isThem(whom, value)
}

/** Whether a record tells of them anywhere: as a principal, or by an id of theirs. */
export function tellsOf(whom: Whom, value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return isThem(whom, value)
  return isPrincipal(whom, value) || Object.values(value).some(one => tellsOf(whom, one))
}

function isPrincipal({owners}: Whom, value: object): boolean {
  const {iss, sub} = value as {iss?: unknown; sub?: unknown}
  return typeof iss === 'string' && typeof sub === 'string' && owners.includes(`${iss}#${sub}`)
}

/** A record of others without them: nobody where they stood, no signature and no words of theirs. */
export function without(whom: Whom, erasure: string, value: unknown): unknown {
  if (Array.isArray(value)) return value.map(one => without(whom, erasure, one))
  if (typeof value !== 'object' || value === null) return isThem(whom, value) ? erasedText : value
  if (isPrincipal(whom, value)) return {...value, ...nobody(erasure)}
  const {by} = value as {by?: unknown}
  const isSaid = typeof by === 'object' && by !== null && isPrincipal(whom, by)
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [
      name,
      isSaid && (name === 'jws' || name === 'note' || name === 'reason') && typeof one === 'string'
        ? erasedText
        : without(whom, erasure, one),
    ]),
  )
}

/** Sorted numbers as ranges: `3-9,12`. */
export function ranges(numbers: readonly number[]): string {
  const parts: string[] = []
  for (let at = 0; at < numbers.length; ) {
    const first = numbers[at]!
    let last = first
    while (numbers[at + 1] === last + 1) last = numbers[++at]!
    at++
    parts.push(first === last ? `${first}` : `${first}-${last}`)
  }
  return parts.join(',')
}
