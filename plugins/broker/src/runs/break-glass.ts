/** `prod exec --break-glass` before its start: is there glass to break, may it be, and who knows of it (TM-O1 to O3). */
import {ProdError} from '@prod/sdk/errors'
import type {FirstMessage} from '@prod/sdk/wire'
import {refuseFrozen} from '../freeze/state.ts'
import {asRefused, type BreakGlass, judge} from '../requests/create.ts'
import {decidePlan} from '../requests/decide-plan.ts'
import type {Plan} from '../requests/plan.ts'
import {isMany} from '../requests/selectors.ts'
import type {RequestRecord} from '../requests/state.ts'
import {clearForUse} from '../requests/use.ts'
import {aboutBreakGlass, breakGlassAnswer, checkBreakGlass} from '../sessions/break-glass.ts'
import {alertFirst, checkAgain, confirmTarget} from '../sessions/breaking.ts'
import type {Stored} from '../stores/store.ts'
import type {Serving} from '../streams/serving.ts'
import {countStart} from './limits.ts'
import type {Glass} from './start.ts'

/** Throws what a break-glass cannot be, whatever policy says: on many targets, later, or for the reason of another command. */
export function refuseUnfit({targets, startAt, reasonReused}: FirstMessage & {type: 'exec'}): void {
  if (isMany(targets)) throw new ProdError('USAGE', 'break-glass is on one target at a time', 'prod exec --break-glass --on TARGET …')
  if (startAt !== undefined) throw new ProdError('USAGE', 'break-glass is for now, not for later', 'leave --at out')
  if (reasonReused) throw new ProdError('REASON_INVALID', 'break-glass takes a reason of its own', '--reason "why, in your words"')
}

/**
 * The word for it was given. Undefined: policy allows this as it is, nothing stands in its way, and no glass is broken. Else
 * all that must hold has held and the target's name was typed. Throws DENIED, INCIDENT_INVALID, FRESH_LOGIN_REQUIRED,
 * CONFIRMATION_FAILED.
 */
export async function takeUpGlass(serving: Serving, plan: Plan, typed: string | null): Promise<BreakGlass | undefined> {
  const {parts, link, caller} = serving
  const bundle = parts.bundle()
  const decided = decidePlan(bundle, plan, caller())
  const asItIs = decided.decision === 'allow'
  if (asItIs && !(await isInTheWay(serving, plan))) {
    link.send({type: 'notice', text: 'policy allows this as it is: no glass had to be broken'})
    return undefined
  }
  const answer = breakGlassAnswer(bundle, plan, caller())
  if (answer.decision !== 'allow') {
    // what is in the way is said where any run is told of it
    if (asItIs) return undefined
    if (decided.decision === 'deny') await asRefused(parts, plan.draft, () => judge(parts, caller(), bundle, plan))
    const rules = answer.rules.length > 0 ? `${answer.rules.join(' and ')} says no` : 'no rule permits it'
    throw aboutBreakGlass(
      plan,
      new ProdError('DENIED', `you may not break glass for ${plan.summary}: ${rules}`, 'without --break-glass it waits for an approval'),
    )
  }
  const hindrance = await checkBreakGlass(parts, caller(), plan)
  await confirmTarget(serving, plan, typed)
  return {secondPerson: hindrance?.why ?? null}
}

/** Whether a freeze or a limit keeps from somebody what policy allows them. */
async function isInTheWay({parts, caller}: Serving, plan: Plan): Promise<boolean> {
  const {through} = await refuseFrozen(parts, plan.class, true)
  return through !== null || (await countStart(parts, plan, caller().principal, true)).beyond.length > 0
}

/** Alerts before the start of an approved break-glass; `again`: what a second person must approve where nobody accepted them. */
export async function raiseGlass(serving: Serving, stored: Stored<RequestRecord>): Promise<Glass | {again: RequestRecord}> {
  const {parts, link} = serving
  const caller = serving.caller()
  const {plan} = await clearForUse(parts, caller, stored)
  const {target, tool} = plan
  if (!target || !tool) throw new Error('not a run')
  await checkAgain(parts, caller, plan, stored.value)
  const run = parts.newId('run')
  const told = await alertFirst(serving, plan, stored.value, {
    id: run,
    principal: caller.principal,
    target,
    tool: tool.name,
    class: plan.class,
    reason: plan.draft.reason,
    incident: plan.draft.incident,
  })
  if ('again' in told) return told
  return {run, alerted: told.alerted, say: text => link.send({type: 'notice', text})}
}
