/** The one decision every interface uses (TM-K1): what a use needs, who may approve it, and why not. Nothing here runs anything. */
import type {Principal, UseAction} from '@prod/sdk'
import {limitsOf} from '../catalog/limits.ts'
import {layersOf} from './layers.ts'
import type {Bundle, Question, Resource, UseDecision} from './policy.ts'

/** A question whose action is the use itself. */
export type UseQuestion = Omit<Question, 'action'>

/**
 * At once, after how many approvals, or not. Asked at submission and again at use. A command behind another is a use of its
 * own: the stricter decision holds, and all its rules are named (TM-H13). Pure.
 */
export function decideUse(bundle: Bundle, asked: UseQuestion, use: UseAction): UseDecision {
  const decisions = layersOf(bundle.catalog, asked.resource).map(resource => decideLayer(bundle, {...asked, resource}, use))
  const rules = (among: readonly UseDecision[]): string[] => [...new Set(among.flatMap(one => one.rules))]
  const denied = decisions.filter(one => one.decision === 'deny')
  if (denied.length > 0) {
    const why = denied.some(one => one.why === 'forbidden') ? 'forbidden' : 'default'
    return {decision: 'deny', rules: rules(denied), errors: denied.flatMap(one => one.errors), why}
  }
  if (decisions.every(one => one.decision === 'allow')) return {decision: 'allow', rules: rules(decisions)}
  return {decision: 'request', approvals: approvalsFor(bundle, asked.resource), rules: rules(decisions)}
}

function decideLayer(bundle: Bundle, asked: UseQuestion, use: UseAction): UseDecision {
  const context = {...asked.context, use}
  const answer = bundle.ask({...asked, context, action: use})
  if (answer.decision === 'allow') return {decision: 'allow', rules: answer.rules}
  if (answer.decision === 'forbidden') return {decision: 'deny', rules: answer.rules, errors: answer.errors, why: 'forbidden'}

  const request = bundle.ask({...asked, context, action: 'request'})
  if (request.decision === 'allow') return {decision: 'request', approvals: approvalsFor(bundle, asked.resource), rules: request.rules}
  return {decision: 'deny', rules: request.rules, errors: request.errors, why: request.decision}
}

/** How many people must approve it: what the catalog asks, 1 if it is silent, 2 for `admin`, never less than the owners ask (TM-L2). Pure. */
export function approvalsFor({catalog}: Pick<Bundle, 'catalog'>, resource: Resource): number {
  switch (resource.kind) {
    case 'command': {
      const {tool, structure, target} = resource
      if (structure.inner) return Math.max(...layersOf(catalog, resource).map(layer => approvalsFor({catalog}, layer)))
      const asked = tool.grammar.commands[structure.command]?.approvals ?? 1
      return Math.max(asked, structure.class === 'admin' ? 2 : 1, limitsOf(catalog, [tool.service, target.service]).approvals)
    }
    case 'role':
      return Math.max(resource.role.approvals, limitsOf(catalog, [resource.role.service]).approvals)
    case 'target':
      return limitsOf(catalog, [resource.target.service]).approvals
    case 'log':
    case 'fleet':
      return 1
  }
}

/** Seconds that the owners of a target let anything last on it; infinite where they say nothing (TM-L2). Pure. */
export function longestOn({catalog}: Pick<Bundle, 'catalog'>, target: {service: string | null} | null): number {
  return limitsOf(catalog, [target?.service]).maxSeconds
}

/** Whether somebody may approve that use of it. That nobody approves their own is the caller's to check. Pure. */
export function mayApprove(
  bundle: Bundle,
  resource: Resource,
  who: {principal: Pick<Principal, 'iss' | 'sub' | 'person' | 'name'>; groups: string[]; address?: string},
  use: UseAction,
): boolean {
  if (who.principal.person === '') return false
  const context = {use, ...(who.address === undefined ? {} : {address: who.address})}
  return bundle.ask({principal: who.principal, groups: who.groups, action: 'approve', resource, context}).decision === 'allow'
}

/** Why a use is denied, in words, and the next command to type where there is one. Pure. */
export function explainDenial(bundle: Bundle, asked: UseQuestion, use: UseAction): {message: string; hint?: string} {
  const decided = decideUse(bundle, asked, use)
  const layers = layersOf(bundle.catalog, asked.resource)
  const denied = layers.find(resource => decideLayer(bundle, {...asked, resource}, use).decision === 'deny')
  const what =
    inWords(denied ?? asked.resource, use) +
    (layers.length > 1 && denied !== layers[0] ? ` behind ${layers[0]?.kind === 'command' ? layers[0].tool.name : ''}` : '')
  if (decided.decision !== 'deny') return {message: `${what} is not denied`}
  const reason =
    decided.errors.length > 0
      ? 'policy could not be evaluated; the operators have been told'
      : decided.rules.length > 0
        ? `${decided.rules.length === 1 ? 'rule' : 'rules'} ${decided.rules.join(' and ')} ${decided.rules.length === 1 ? 'forbids' : 'forbid'} it`
        : 'no rule permits it'
  const message = `you may not ${what}: ${reason}`
  if (decided.errors.length > 0) return {message, hint: 'prod whoami'}

  const roles = rolesThatHelp(bundle, asked, use)
  if (roles[0]) {
    const others = roles.length > 1 ? ` (also: ${roles.slice(1).join(', ')})` : ''
    return {message: `${message}; the role ${roles[0]} would allow it${others}`, hint: `prod request create ${roles[0]}`}
  }
  const {resource} = asked
  const loud =
    resource.kind === 'target' && use === 'shell'
      ? `prod shell ${resource.target.name} --reason … --incident …`
      : resource.kind === 'target' && use === 'forward'
        ? `prod forward ${resource.target.name} -L … --break-glass --reason … --incident …`
        : resource.kind === 'command'
          ? `prod exec --break-glass --reason … --incident … ${resource.tool.name} …`
          : undefined
  if (
    loud !== undefined &&
    decided.why !== 'forbidden' &&
    bundle.ask({...asked, context: {...asked.context, use, incident: true}, action: 'breakGlass'}).decision === 'allow'
  ) {
    return {message: `${message}; in an emergency you may break glass`, hint: loud}
  }
  return {message, hint: resource.kind === 'role' ? 'prod roles' : resource.kind === 'target' ? 'prod targets' : 'prod tools'}
}

/** Roles that this person could get and that would make the use possible, best first: tried, not guessed. */
function rolesThatHelp(bundle: Bundle, asked: UseQuestion, use: UseAction): string[] {
  const rank = {allow: 0, request: 1, deny: 2}
  const ranked: {name: string; rank: number}[] = []
  for (const role of bundle.catalog.roles.values()) {
    const group = role.provider === 'group' ? role.parameters.group : undefined
    if (typeof group !== 'string' || asked.groups.includes(group)) continue
    const then = decideUse(bundle, {...asked, groups: [...asked.groups, group]}, use).decision
    if (then === 'deny') continue
    const get = decideUse(bundle, {...asked, resource: {kind: 'role', role}}, 'assume').decision
    if (get !== 'deny') ranked.push({name: role.name, rank: rank[then] * 2 + rank[get]})
  }
  return ranked.sort((a, b) => a.rank - b.rank || (a.name < b.name ? -1 : 1)).map(({name}) => name)
}

function inWords(resource: Resource, use: UseAction): string {
  switch (resource.kind) {
    case 'command':
      return `${use} ${[resource.tool.name, ...resource.structure.path].join(' ')} on ${resource.target.name}`
    case 'target':
      return use === 'forward' ? `forward ports through ${resource.target.name}` : `open a shell on ${resource.target.name}`
    case 'role':
      return `have the role ${resource.role.name}`
    case 'log':
      return 'read the log'
    case 'fleet':
      return 'freeze production'
  }
}
