/** People as they were last seen: for "who can approve". */
import type {Principal} from '@prod/sdk'
import type {Parts} from '../parts.ts'

const seenEveryMs = 60 * 60_000

/** Record kind `person`, id `iss#sub` (TM-I2). */
export interface PersonRecord {
  iss: string
  sub: string
  person: string
  name: string
  groups: string[]
  lastSeenAt: string
}

const lastWritten = new WeakMap<Parts['store'], Map<string, number>>()

/** Remembers that somebody is here: at login (`force`), and at most hourly after. Failing to is no failure of the call. */
export async function rememberPerson({store}: Parts, {iss, sub, person, name}: Principal, groups: string[], force = false): Promise<void> {
  const id = `${iss}#${sub}`
  const now = store.now()
  const written = lastWritten.get(store) ?? new Map<string, number>()
  lastWritten.set(store, written)
  if (!force && now.getTime() - (written.get(id) ?? 0) < seenEveryMs) return
  written.set(id, now.getTime())
  const value: PersonRecord = {iss, sub, person, name, groups, lastSeenAt: now.toISOString()}
  try {
    const known = await store.find<PersonRecord>('person', id)
    const isFresh = known !== undefined && !force && now.getTime() - Date.parse(known.value.lastSeenAt) < seenEveryMs
    if (!isFresh)
      await store.commit({
        put: [{kind: 'person', id, version: known?.version ?? 0, value, index: {owner: person === '' ? id : person}}],
        events: [],
      })
  } catch {
    written.delete(id) // the next call tries again
  }
}
