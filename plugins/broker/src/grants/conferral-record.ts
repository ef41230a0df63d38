import type {Grant} from '@prod/sdk'
import type {Put} from '../stores/store.ts'

/** open while the use lasts → ending: the provider has not taken it back yet → ended; forgotten at its expiry. */
export interface ConferralRecord {
  state: 'open' | 'ending' | 'ended'
  /** of the use, as providers read it: its id is the run's or the session's */
  grant: Grant
  /** of the role, as they were then */
  parameters: Record<string, unknown>
  correlation: string
}

/** A conferral as the store writes it: due at once while the provider must take back, else at its expiry. */
export function putConferral(record: ConferralRecord, version: number, dueAt?: string): Put {
  return {
    kind: 'conferral',
    id: record.grant.id,
    version,
    value: record,
    index: {
      state: record.state,
      dueAt: dueAt ?? (record.state === 'ending' ? (record.grant.endedAt ?? record.grant.expiresAt) : record.grant.expiresAt),
    },
  }
}
