/** What a rule could permit, as far as its text says without asking: for the linter, which would rather warn too often. Pure. */
import type {EntityJson, PolicyJson} from '@cedar-policy/cedar-wasm/nodejs'
import {literals, reachesAction, reachesEntity, type Uid} from './scope.ts'

type Expression = Record<string, unknown>
type Sides = {left: Expression; right: Expression}

/** Whether it could apply to this entity with that action and class, whoever asks and whatever the arguments are. */
export function mayReach(json: PolicyJson, action: string, entity: EntityJson, context: {class: string; use: string}): boolean {
  if (!reachesAction(json, action) || !reachesEntity(json.resource, entity)) return false
  const judge = (expression: Expression): boolean | undefined => {
    const [operator, value] = Object.entries(expression)[0] ?? []
    if (operator === '&&' || operator === '||') {
      const {left, right} = value as Sides
      const [a, b] = [judge(left), judge(right)]
      const decisive = operator === '||'
      return a === decisive || b === decisive ? decisive : a === undefined || b === undefined ? undefined : !decisive
    }
    if (operator === '!') {
      const inner = judge((value as {arg: Expression}).arg)
      return inner === undefined ? undefined : !inner
    }
    if (operator === 'Value' && typeof value === 'boolean') return value
    if (operator === 'is' && isVariable((value as Sides).left, 'resource')) {
      const {entity_type: type, in: inside} = value as {entity_type: string; in?: Expression}
      if (type !== (entity.uid as Uid).type) return false
      return inside === undefined ? true : isAmong(inside)
    }
    if (operator === 'in' && isVariable((value as Sides).left, 'resource')) return isAmong((value as Sides).right)
    if (operator === '==') {
      const {left, right} = value as Sides
      if (isVariable(left, 'resource')) return isAmong(right, [entity.uid as Uid])
      const said = contextValue(left)
      return said === undefined || typeof right.Value !== 'string' ? undefined : said === right.Value
    }
    return undefined
  }
  const isAmong = (expression: Expression, among = [entity.uid, ...entity.parents] as Uid[]): boolean | undefined => {
    const names = literals(expression)
    if (names.length === 0) return undefined
    const some = names.some(({type, id}) => among.some(one => one.type === type && one.id === id))
    // of names that count only sometimes (`if … then … else …`) one that is among them says nothing
    return some && !isWrittenOut(expression) ? undefined : some
  }
  const contextValue = (expression: Expression): string | undefined => {
    const {left, attr} = (expression['.'] ?? {}) as {left?: Expression; attr?: string}
    return left && isVariable(left, 'context') && (attr === 'class' || attr === 'use') ? context[attr] : undefined
  }
  return json.conditions.every(({kind, body}) => judge(body as Expression) !== (kind === 'unless'))
}

/** Whether it names whom it is for: somebody in no group and of no known name is surely not among them. */
export function bindsPrincipal({principal, conditions}: PolicyJson): boolean {
  return literals(principal).length > 0 || binds(conditions, expression => names(expression, 'principal'))
}

/** Whether it names what it is about: not simply everything there is. `context.class == "read"` is a name too. */
export function bindsResource({resource, conditions}: PolicyJson): boolean {
  if (literals(resource).length > 0 || ('entity_type' in resource && isCommand(resource.entity_type))) return true
  return binds(conditions, expression => {
    const {left: about, entity_type: type} = (expression.is ?? {}) as {left?: Expression; entity_type?: string}
    if (names(expression, 'resource') || (about && isVariable(about, 'resource') && isCommand(type ?? ''))) return true
    const {left, right} = (expression['=='] ?? {}) as Partial<Sides>
    const {left: of, attr} = (left?.['.'] ?? {}) as {left?: Expression; attr?: string}
    return of !== undefined && isVariable(of, 'context') && attr === 'class' && right?.Value === 'read'
  })
}

/** The people and groups that it names as those it is for: `Group::engineers`. */
export function subjectsOf({principal, conditions}: PolicyJson): Set<string> {
  const scope = literals(principal)
  const found = scope.length > 0 ? scope : literals(conditions)
  return new Set(found.filter(({type}) => type === 'Group' || type === 'Person').map(({type, id}) => `${type}::${id}`))
}

function binds(conditions: PolicyJson['conditions'], holds: (expression: Expression) => boolean): boolean {
  const judge = (expression: Expression): boolean => {
    if (holds(expression)) return true
    const and = expression['&&'] as Sides | undefined
    if (and) return judge(and.left) || judge(and.right)
    const or = expression['||'] as Sides | undefined
    return or !== undefined && judge(or.left) && judge(or.right)
  }
  return conditions.some(({kind, body}) => kind === 'when' && judge(body as Expression))
}

/** `principal in Group::"a"`, `principal == Person::"b"`, `principal in [ … ]`: entities written out, at least one. */
function names(expression: Expression, variable: 'principal' | 'resource'): boolean {
  const {left, right} = (expression.in ?? expression['=='] ?? {}) as Partial<Sides>
  return left !== undefined && right !== undefined && isVariable(left, variable) && literals(right).length > 0
}

/** Every target, or every role, is no name of one. */
function isCommand(type: string): boolean {
  return type !== 'Target' && type !== 'Role'
}

/** An entity, or a set of entities: nothing that has to be worked out. */
function isWrittenOut(expression: Expression): boolean {
  return 'Value' in expression || (Array.isArray(expression.Set) && expression.Set.every(isWrittenOut))
}

function isVariable(expression: Expression, name: string): boolean {
  return expression.Var === name
}
