/** What is not over yet, so that what tells of it cannot be erased: somebody may still have to approve, end or review it. */
import type {Review} from '@prod/sdk'
import type {GrantRecord} from '../grants/state.ts'
import type {Parts} from '../parts.ts'
import type {Kind} from '../stores/store.ts'
import {tellsOf, type Whom} from './whom.ts'

const waiting = 'wait: the provider is asked again until it has taken it back'
/** A conferral has the id of its run or session: what those put out does not depend on it. */
const states: {kind: Kind; state: string[]; next: (id: string) => string}[] = [
  {kind: 'request', state: ['pending', 'approved', 'started'], next: id => `prod request cancel ${id}, or wait until it expires`},
  {kind: 'grant', state: ['approved', 'active'], next: id => `prod grant revoke ${id}`},
  {kind: 'run', state: ['started'], next: id => `prod attach ${id}`},
  {kind: 'session', state: ['opening', 'open'], next: id => `prod sessions end ${id}`},
  {kind: 'review', state: ['open'], next: () => 'prod review ls'},
  {kind: 'grant', state: ['expired', 'revoked', 'handed-back'], next: () => waiting},
  {kind: 'conferral', state: ['open', 'ending'], next: () => waiting},
]

/** The first open thing that tells of the person, or is one of these runs and sessions or about one. */
export async function openOf(
  {store}: Pick<Parts, 'store'>,
  whom: Whom | null,
  things: readonly string[],
): Promise<{what: string; next: string} | undefined> {
  for (const {kind, state, next} of states) {
    for (const {id, value} of await store.list<
      {session?: string; state: string; draft?: {kind: string}} & Partial<Pick<GrantRecord, 'conferred'>>
    >({kind, state})) {
      // an approved role lives on as its grant; one that is over, until it was taken back
      if (value.draft?.kind === 'role' && value.state !== 'pending') continue
      if (kind === 'grant' && state.includes('expired') && !value.conferred) continue
      const isOfThings = kind !== 'conferral' && (things.includes(id) || things.includes((value as Partial<Review>).session ?? ''))
      const isMeant = whom ? tellsOf(whom, value) : isOfThings
      if (isMeant) return {what: `${kind} ${id}`, next: next(id)}
    }
  }
  return undefined
}
