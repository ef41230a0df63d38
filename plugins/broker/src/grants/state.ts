/** The life of a grant, pure: approved (its time may lie ahead) → active → expired, revoked or handed back. */
import type {Grant, GrantState} from '@prod/sdk'
import type {Parts} from '../parts.ts'
import type {Draft, RequestRecord} from '../requests/state.ts'
import type {Put} from '../stores/store.ts'

/** A grant as the store keeps it. `conferred`: the provider was asked to confer and has not yet been asked to take back. */
export interface GrantRecord extends Grant {
  conferred: boolean
  /** the provider was once asked to confer */
  began?: boolean
  durationSeconds: number
  /** without an approval: it goes through a freeze, is told while it lives, and has a review */
  breakGlass?: true
  /** of the role, as the provider reads them: what was conferred is taken back though the catalog has changed */
  parameters: Record<string, unknown>
}

/** The grant that an approved request becomes: its clock starts now, or at the time asked for. */
export function newGrant(
  parts: Pick<Parts, 'newId' | 'store' | 'bundle'>,
  request: RequestRecord,
  draft: Draft & {kind: 'role'},
): GrantRecord {
  const now = parts.store.now().getTime()
  const startsAt = Math.max(now, draft.startAt ? Date.parse(draft.startAt) : now)
  return {
    id: parts.newId('grant'),
    state: 'approved',
    request: request.id,
    principal: request.principal,
    role: draft.role,
    provider: parts.bundle().catalog.roles.get(draft.role)?.provider ?? '',
    startsAt: new Date(startsAt).toISOString(),
    expiresAt: new Date(startsAt + draft.durationSeconds * 1000).toISOString(),
    endedAt: null,
    conferred: false,
    durationSeconds: draft.durationSeconds,
    parameters: parts.bundle().catalog.roles.get(draft.role)?.parameters ?? {},
  }
}

const over: readonly GrantState[] = ['expired', 'revoked', 'handed-back']

/** Whether nothing more becomes of it, but for what the provider still holds. */
export function isOver(grant: Grant): boolean {
  return over.includes(grant.state)
}

/** A grant as the store writes it: due when it starts, when it ends, or at once while the provider must take back. */
export function putGrant(grant: GrantRecord, version: number): Put {
  const dueAt =
    grant.state === 'approved'
      ? grant.startsAt
      : grant.state === 'active'
        ? grant.expiresAt
        : grant.conferred
          ? (grant.endedAt ?? grant.expiresAt)
          : undefined
  return {
    kind: 'grant',
    id: grant.id,
    version,
    value: grant,
    index: {state: grant.state, owner: `${grant.principal.iss}#${grant.principal.sub}`, ...(dueAt === undefined ? {} : {dueAt})},
  }
}

/** What people see of a grant. */
export function showGrant({
  conferred: _,
  began: __,
  durationSeconds: ___,
  parameters: ____,
  breakGlass: _____,
  ...grant
}: GrantRecord): Grant {
  return grant
}
