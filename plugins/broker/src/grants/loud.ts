import type {Grant, ToolClass} from '@prod/sdk'
import {ofRole} from '../requests/plan.ts'
import type {Draft} from '../requests/state.ts'
import type {Loud} from '../sessions/break-glass.ts'

/** A grant by break-glass, as alerts and its review tell of it. Pure. */
export function loudGrant(
  {id, principal, role}: Pick<Grant, 'id' | 'principal' | 'role'>,
  {reason, incident}: Pick<Draft, 'reason' | 'incident'>,
  toolClass: ToolClass,
): Loud {
  return {id, principal, target: ofRole(role), reason, incident, kind: 'role', class: toolClass}
}
