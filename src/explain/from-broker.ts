/** What a broker adds to an explanation: roles that allow the action, who approves them and how fast, or whom else to tell; and its own refusals. */
import {api} from '@prod/sdk/api'
import {chooseBroker, readConfig} from '@prod/sdk/cli/config'
import {showClock} from '@prod/sdk/cli/durations'
import type {RefusedQuestion} from '@prod/sdk/cli/last-failure'
import {paint} from '@prod/sdk/cli/output'
import type {BrokerClient} from '@prod/sdk/client'
import {ProdError} from '@prod/sdk/errors'
import type {Category, Explanation} from '@prod/sdk/explainer'
import {showDuration} from '@prod/sdk/grammar/duration'
import type {Help, HelpfulRole, Ruling} from '@prod/sdk/ruling'
import {showText} from '@prod/sdk/text'

/** Where a role that allows the action helps. */
const roleHelps: readonly Category[] = ['action_not_allowed', 'kms_key', 'unknown_denial', 'gcp_iam']
/** Where none does: its owner must be told. */
const ownerHelps: readonly Category[] = [
  'explicit_deny_identity',
  'scp_deny',
  'rcp_deny',
  'permissions_boundary',
  'session_policy',
  'resource_policy',
  'vpc_endpoint_policy',
]

/** A broker is not waited for longer than this: the explanation stands without it. */
const patienceMilliseconds = 3000

/** Help for what was denied, or undefined: no broker, no login, no action, nothing to help with. Never throws, never asks anybody. */
export async function helpOf(
  {category, action, resource}: Explanation,
  named: string | undefined,
  broker: () => Pick<BrokerClient, 'call'>,
): Promise<Help | undefined> {
  const isOwners = ownerHelps.includes(category)
  if (action === null || !(isOwners || roleHelps.includes(category)) || !hasBroker(named)) return undefined
  const input = {action: action.slice(0, 256), ...(resource === null ? {} : {resource: resource.slice(0, 2048)})}
  let late: NodeJS.Timeout | undefined
  const patience = new Promise<undefined>(resolve => {
    late = setTimeout(resolve, patienceMilliseconds, undefined)
  })
  try {
    const help = await Promise.race([broker().call(api.whoHelps, input), patience])
    return help && isOwners ? {...help, roles: []} : help
  } catch {
    return undefined
  } finally {
    clearTimeout(late)
  }
}

function hasBroker(named: string | undefined): boolean {
  try {
    chooseBroker(readConfig(), named)
    return true
  } catch {
    return false
  }
}

/** Lines for a person. Pure. */
export function helpInWords({roles, owners}: Help, {category}: Pick<Explanation, 'category'>): string[] {
  if (ownerHelps.includes(category)) {
    const told = owners.map(
      ({service, owner, contacts, channel}) => `${service} belongs to ${[owner, ...contacts, channel].filter(Boolean).join(', ')}`,
    )
    return told.length > 0
      ? told.map(line => `tell:   ${showText(line)}`)
      : ['whose it is the catalog does not say: ask whoever keeps the account or the organization']
  }
  if (roles.length === 0) return ['no role that you have or may ask for is known to allow it']
  return roles.slice(0, 3).map((role, index) => `${index === 0 ? 'roles:' : '      '}  ${showText(roleInWords(role))}`)
}

function roleInWords({name, usable, active, approvals, approvers, medianSeconds, only}: HelpfulRole): string {
  const on = only?.length ? `, on ${only.slice(0, 2).join(', ')}${only.length > 2 ? ' and more' : ''} alone` : ''
  if (active !== null) return `${name}, which you hold until ${showClock(active, new Date())}${on}`
  if (usable === 'now') return `${name}, at once: prod assume ${name}${on}`
  const who = approvers.slice(0, 3).join(', ') + (approvers.length > 3 ? ` and ${approvers.length - 3} more` : '')
  const fast = medianSeconds === null ? 'nobody asked for it lately' : `lately within ${showDuration(Math.max(1, medianSeconds))}`
  return `${name}: prod request create ${name}; ${approvals === 1 ? '' : `${approvals} of `}${who || 'nobody that policy names'} approves, ${fast}${on}`
}

/** What the broker says of a run, a request or a question that it refused. */
export async function rulingOf(broker: Pick<BrokerClient, 'call'>, about: {id: string} | RefusedQuestion): Promise<Ruling> {
  return broker.call(api.explainUse, about)
}

/** Lines for a person. Pure. */
export function rulingInWords({id, summary, message, rules, hint}: Ruling): string[] {
  return [
    `${paint('bold', showText(message))}`,
    `  what    ${showText(id === null ? summary : `${summary} (${id})`)}`,
    ...rules.flatMap(({rule, effect, parts}) => [
      `  rule    ${rule} ${effect === 'forbid' ? 'forbids it' : 'would permit it, but'}`,
      ...parts.map(
        ({part, holds, change}) =>
          `          ${effect === 'forbid' ? (holds ? 'since' : 'and not') : 'not'} ${showText(part)}${change === null ? '' : paint('dim', `   → ${showText(change)}`)}`,
      ),
    ]),
    ...(hint === null ? [] : [`try: ${showText(hint)}`]),
  ]
}

/** A question that a broker refused needs that broker. */
export function needBroker(named: string | undefined): void {
  if (!hasBroker(named)) throw new ProdError('NOT_FOUND', 'what failed last was refused by a broker, and none is known here', 'prod login')
}
