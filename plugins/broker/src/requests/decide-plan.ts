/** What policy says of a plan, on each of its targets: the strictest answer holds. */
import type {Caller} from '../parts.ts'
import {approvalsFor, decideUse, explainDenial, mayApprove} from '../policy/decide.ts'
import type {Bundle, UseDecision} from '../policy/policy.ts'
import {eachOf, type Plan, question} from './plan.ts'

type Asker = Pick<Caller, 'principal' | 'groups' | 'address'>

/** At once, after how many approvals, or not: denied on one target is denied, and the most approvals are needed. Pure. */
export function decidePlan(bundle: Bundle, plan: Plan, asker: Asker): UseDecision {
  const decisions = eachOf(plan).map(one => decideUse(bundle, question(one, asker), one.action))
  const denied = decisions.filter(one => one.decision === 'deny')
  const worst = denied.find(({why}) => why === 'forbidden') ?? denied[0]
  if (worst) return {...worst, rules: rulesOf(denied), errors: [...new Set(denied.flatMap(({errors}) => errors))]}
  const asked = decisions.filter(one => one.decision === 'request')
  if (asked.length === 0) return {decision: 'allow', rules: rulesOf(decisions)}
  return {decision: 'request', approvals: Math.max(...asked.map(({approvals}) => approvals)), rules: rulesOf(decisions)}
}

/** Why it is denied, of the first target on which it is. Pure. */
export function explainPlan(bundle: Bundle, plan: Plan, asker: Asker): {message: string; hint?: string} {
  const each = eachOf(plan)
  const denied = each.find(one => decideUse(bundle, question(one, asker), one.action).decision === 'deny') ?? (each[0] as Plan)
  return explainDenial(bundle, question(denied, asker), denied.action)
}

/** How many must approve it. Pure. */
export function approvalsForPlan(bundle: Bundle, plan: Plan): number {
  return Math.max(...eachOf(plan).map(one => approvalsFor(bundle, one.resource)))
}

/** Whether somebody may approve it on every target. Pure. */
export function mayApprovePlan(bundle: Bundle, plan: Plan, who: Parameters<typeof mayApprove>[2]): boolean {
  return eachOf(plan).every(one => mayApprove(bundle, one.resource, who, plan.action))
}

/** Groups that may approve it, where nobody of them is known: those of all targets. Pure. */
export function approverGroupsOf(bundle: Bundle, plan: Plan): string[] {
  const [first, ...rest] = eachOf(plan).map(one => bundle.approverGroups(one.resource))
  return (first ?? []).filter(group => rest.every(groups => groups.includes(group)))
}

function rulesOf(decisions: readonly UseDecision[]): string[] {
  return [...new Set(decisions.flatMap(({rules}) => rules))]
}
