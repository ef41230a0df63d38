/** A plan of what the caller may know of. What they may not is refused in the words of what is not there (TM-A6, TM-K3); why it really was is in the log. */
import {ProdError} from '@prod/sdk/errors'
import {about} from '../audit/refusals.ts'
import type {Caller, Parts} from '../parts.ts'
import {seenCatalog} from '../policy/seen.ts'
import {decidePlan} from './decide-plan.ts'
import {makePlan, type Plan} from './plan.ts'
import type {Draft} from './state.ts'

/** Codes of what is not there, or may not be seen. */
export const unseen: ReadonlySet<ProdError['code']> = new Set(['TOOL_NOT_FOUND', 'TARGET_NOT_FOUND', 'ROLE_NOT_FOUND'])

type Asker = Pick<Caller, 'principal' | 'groups' | 'address'>

/**
 * As makePlan, before anything is answered. What policy lets the caller do is looked at no further; of the rest it is asked whether they may know of it.
 * Throws what makePlan throws.
 */
export function planFor({bundle: current}: Pick<Parts, 'bundle'>, caller: Asker, draft: Draft): Plan {
  const bundle = current()
  const {plan, failure} = tryPlan(() => makePlan(bundle, draft))
  if (failure && unseen.has(failure.code)) throw failure
  const denied = plan && decidePlan(bundle, plan, caller)
  if (plan && denied?.decision !== 'deny') return plan
  const seen = {...bundle, catalog: seenCatalog(bundle, caller, namesOf(draft))}
  const {failure: hidden} = tryPlan(() => makePlan(seen, draft))
  // what has another answer where it is hidden, a command behind another too, is answered so
  if (hidden && (hidden.code !== failure?.code || hidden.message !== failure.message))
    throw about(hidden, {data: {unseen: true, refused: failure?.code ?? 'DENIED', rules: denied?.rules ?? []}})
  if (failure) throw failure
  return plan as Plan
}

function tryPlan(make: () => Plan): {plan?: Plan; failure?: ProdError} {
  try {
    return {plan: make()}
  } catch (error) {
    if (error instanceof ProdError) return {failure: error}
    throw error
  }
}

function namesOf(draft: Draft): Parameters<typeof seenCatalog>[2] {
  if (draft.kind === 'role') return {role: draft.role}
  if (draft.kind !== 'exec') return {target: draft.target}
  return {words: draft.argv, ...(draft.target === null ? {} : {target: draft.target})}
}
