/** Which part of a rule decided: its scope and each term of its condition, asked one by one. Nothing here decides anything. */
import {type EntityJson, type Expr, isAuthorized, type PolicyJson, policyToText} from '@cedar-policy/cedar-wasm/nodejs'
import type {RulePart, RuleView} from '@prod/sdk/ruling'
import type {Rule} from './rules.ts'
import {literals, reachesEntity} from './scope.ts'

/** What a rule is asked about: entities and context as the engine makes them. */
export interface Asked {
  person: EntityJson
  entity: EntityJson
  action: string
  context: Record<string, unknown>
}

/** Most rules that are told of: the nearest ones. */
const maxRules = 3

/** The permits that would hold but for some parts, those that lack least first. */
export function nearPermits(rules: readonly Rule[], asked: Asked): RuleView[] {
  return rules
    .filter(({json}) => json.effect === 'permit')
    .map(rule => ({rule: rule.id, effect: 'permit' as const, parts: partsOf(rule, asked).filter(({holds}) => !holds)}))
    .filter(({parts}) => parts.length > 0)
    .sort((a, b) => a.parts.length - b.parts.length || (a.rule < b.rule ? -1 : 1))
    .slice(0, maxRules)
}

/** The forbids that decided: what of them held. An exception that would have lifted it is a part that does not hold. */
export function decidingForbids(rules: readonly Rule[], asked: Asked): RuleView[] {
  return rules
    .filter(({json}) => json.effect === 'forbid')
    .slice(0, maxRules)
    .map(rule => ({rule: rule.id, effect: 'forbid', parts: partsOf(rule, asked)}))
}

function partsOf({json}: Rule, asked: Asked): RulePart[] {
  const parts: RulePart[] = []
  const groups = literals(json.principal)
  if (groups.length > 0) {
    const holds = reachesEntity(json.principal, asked.person)
    parts.push({part: scopeText(json), holds, change: changeScope(groups, json.effect)})
  }
  for (const {kind, body} of json.conditions) {
    for (const term of kind === 'when' ? terms(body, '&&') : [body]) {
      const text = termText(term)
      const isTrue = ask(term, asked)
      parts.push(
        kind === 'when'
          ? {part: text, holds: isTrue, change: changeTerm(text)}
          : {part: `unless ${text}`, holds: json.effect === 'permit' ? !isTrue : isTrue, change: changeTerm(text)},
      )
    }
  }
  return parts
}

function terms(body: Expr, joint: '&&'): Expr[] {
  const pair = (body as Record<string, {left: Expr; right: Expr} | undefined>)[joint]
  return pair ? [...terms(pair.left, joint), ...terms(pair.right, joint)] : [body]
}

const open = {effect: 'permit', principal: {op: 'All'}, action: {op: 'All'}, resource: {op: 'All'}} as const

function bare(term: Expr): PolicyJson {
  return {...open, conditions: [{kind: 'when', body: term}]}
}

/** One term alone; what cannot be evaluated does not hold. */
function ask(term: Expr, {person, entity, action, context}: Asked): boolean {
  const answer = isAuthorized({
    principal: person.uid,
    action: {type: 'Action', id: action},
    resource: entity.uid,
    context: context as never,
    policies: {staticPolicies: {term: bare(term)}},
    entities: [person, entity],
  })
  return answer.type === 'success' && answer.response.decision === 'allow'
}

/** As Cedar writes it. */
function termText(term: Expr): string {
  const written = policyToText(bare(term))
  if (written.type === 'failure') return 'a condition'
  const text = written.text.slice(written.text.indexOf('when') + 4).replaceAll(/\s+/g, ' ')
  return text.slice(text.indexOf('{') + 1, text.lastIndexOf('}')).trim()
}

function scopeText({principal}: PolicyJson): string {
  const names = literals(principal).map(({type, id}) => `${type}::${JSON.stringify(id)}`)
  return `principal ${principal.op === '==' ? '==' : 'in'} ${names.join(' or ')}`
}

function changeScope(names: readonly {type: string; id: string}[], effect: 'permit' | 'forbid'): string | null {
  const groups = names.filter(({type}) => type === 'Group').map(({id}) => id)
  if (groups.length === 0) return null
  return effect === 'permit' ? `be in the group ${groups.join(' or ')}` : null
}

const changes: readonly (readonly [RegExp, string | ((name: string) => string)])[] = [
  [/context\.incident/, 'give --incident ID'],
  [/context\.reused/, 'give a reason of its own'],
  [/context\.address/, 'come from a network that the rule names'],
  [/principal in Group::"([^"]+)"/, name => `be in the group ${name}`],
  [/resource\.(?:hasTag|getTag)|resource in (?:Target|Environment)/, 'choose another target'],
  [/context\.class|resource in Tool/, 'use another command'],
  [/resource(?: has |\.)(\w+)/, name => `choose another ${name}`],
]

function changeTerm(text: string): string | null {
  for (const [form, change] of changes) {
    const found = form.exec(text)
    if (found) return typeof change === 'string' ? change : change(found[1] as string)
  }
  return null
}
