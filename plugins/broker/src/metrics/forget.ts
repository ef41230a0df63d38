import type {Facts} from './facts.ts'

/** Takes out of the facts what no report reaches back to: it happened before `oldest`, and nothing of it goes on. */
export function forgetBefore(facts: Facts, oldest: number): void {
  if (facts.requests.length === 0 || (facts.requests[0]?.at ?? oldest) >= oldest) return
  facts.requests = facts.requests.filter(({at}) => at >= oldest)
  facts.uses = facts.uses.filter(({at}) => at >= oldest)
  facts.held = facts.held.filter(({to}) => to >= oldest)
  facts.used = facts.used.filter(({to}) => to >= oldest)
  facts.approved = facts.approved.filter(({approvedAt}) => (approvedAt ?? 0) >= oldest)
  facts.usable = facts.usable.filter(({usableAt}) => (usableAt ?? 0) >= oldest)
  facts.denied = facts.denied.filter(({at}) => at >= oldest)
  facts.refused = facts.refused.filter(({at}) => at >= oldest)
  facts.closed = facts.closed.filter(({at}) => at >= oldest)
  facts.reported = facts.reported.filter(({at}) => at >= oldest)
  for (const [id, {at}] of facts.known) if (at < oldest) facts.known.delete(id)
  for (const [id, {doneAt}] of facts.reviews) if (doneAt < oldest) facts.reviews.delete(id)
  for (const [id, {startedAt}] of facts.incidents) if (startedAt < oldest) facts.incidents.delete(id)
  for (const spans of [facts.outside, facts.entitled]) for (const [id, {to}] of spans) if (to < oldest) spans.delete(id)
}
