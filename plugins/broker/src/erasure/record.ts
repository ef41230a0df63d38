import type {ErasedCount, Erasure, Principal} from '@prod/sdk'
import type {Put} from '../stores/store.ts'
import type {Whom} from './whom.ts'

/** An erasure as the store keeps it. */
export interface ErasureRecord {
  id: string
  state: 'asked' | 'agreed' | 'done'
  /** what was written after --person; null for things, and once it is done */
  person: string | null
  about: Erasure['about']
  things: string[]
  by: Principal
  reason: string
  askedAt: string
  until: string
  agreed: {by: Principal; at: string} | null
  /** once it is agreed and until it is done: by what the person is known, so that a broker that died goes on */
  whom: Whom | null
  doneAt: string | null
  erased: ErasedCount
}

/** An erasure as the store writes it. */
export function putErasure(record: ErasureRecord, version: number): Put {
  return {kind: 'erasure', id: record.id, version, value: record, index: {state: record.state}}
}

/** What people see of it. */
export function showErasure(record: ErasureRecord, now: Date): Erasure {
  const {id, state, about, person, things, by, reason, askedAt, until, agreed, doneAt, erased} = record
  return {
    id,
    state: state === 'asked' && until <= now.toISOString() ? 'lapsed' : state,
    about,
    person,
    things,
    by: by.name,
    reason,
    askedAt,
    until,
    agreedBy: agreed?.by.name ?? null,
    doneAt,
    erased: state === 'done' ? erased : null,
  }
}
