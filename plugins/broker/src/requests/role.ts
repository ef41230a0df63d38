import {ProdError} from '@prod/sdk/errors'
import type {Parts} from '../parts.ts'
import type {Submission} from './create.ts'

/** What `POST /v1/requests` may ask for: a role for some time, now or `startAt` (at most 30 days ahead). Throws USAGE, DURATION_INVALID. */
export function checkRoleDraft(
  parts: Parts,
  input: {key: string; role?: string; target?: string; reason: string; incident?: string; durationSeconds: number; startAt?: string},
): Submission {
  if (!input.role || input.target) throw new ProdError('USAGE', 'a request names one role', 'prod roles')
  return {
    key: input.key,
    draft: {
      kind: 'role',
      role: input.role,
      durationSeconds: input.durationSeconds,
      reason: input.reason,
      incident: input.incident ?? null,
      startAt: checkStart(parts, input.startAt),
    },
  }
}

const maxAheadDays = 30

/** A start in the future as ISO 8601 UTC, or null for now. Throws DURATION_INVALID. */
export function checkStart(parts: Parts, startAt: string | undefined): string | null {
  if (startAt === undefined) return null
  const at = new Date(startAt)
  const ahead = at.getTime() - parts.store.now().getTime()
  if (Number.isNaN(at.getTime()) || ahead > maxAheadDays * 86_400_000) {
    throw new ProdError(
      'DURATION_INVALID',
      `${JSON.stringify(startAt)} is no time within ${maxAheadDays} days`,
      '--at 2026-11-22T03:00:00Z',
    )
  }
  return ahead <= 0 ? null : at.toISOString()
}
