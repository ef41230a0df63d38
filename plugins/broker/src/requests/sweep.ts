import type {Parts} from '../parts.ts'
import {putRequest} from './create.ts'
import type {RequestRecord} from './state.ts'

/** Expires requests and approvals whose time is over, by the store's clock (TM-W5). Safe to repeat. */
export async function sweepRequests(parts: Parts): Promise<void> {
  const now = parts.store.now().toISOString()
  for (const {value, version} of await parts.store.list<RequestRecord>({
    kind: 'request',
    state: ['pending', 'approved'],
    dueBefore: now,
    limit: 500,
  })) {
    // A role's approved request lives on as its grant.
    if (value.draft.kind === 'role' && value.state === 'approved') {
      await parts.store.commit({put: [putRequest({...value, state: 'started'}, version)], events: []})
      continue
    }
    await parts.store.commit({
      put: [putRequest({...value, state: 'expired'}, version)],
      events: [
        {
          type: 'request.expired',
          by: 'broker',
          subject: value.id,
          data: {digest: value.digest, was: value.state},
          personal: {name: value.principal.name},
        },
      ],
    })
  }
}

const swept = ['idempotency', 'budget', 'seen'] as const

/** Forgets records that are past their time: idempotency keys, counted starts, seen proofs. */
export async function sweepForgotten(parts: Parts): Promise<void> {
  const now = parts.store.now().toISOString()
  for (const kind of swept) {
    // page by page to the end: one page a minute would let them grow without bound
    for (;;) {
      const old = await parts.store.list({kind, dueBefore: now, limit: 1000})
      if (old.length > 0) await parts.store.commit({remove: old.map(({id, version}) => ({kind, id, version})), events: []})
      if (old.length < 1000) break
    }
  }
}
