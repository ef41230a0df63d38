/** What a policy's scope alone says, before its conditions: whom, which action and which resource it reaches. Pure. */
import type {EntityJson, PolicyJson} from '@cedar-policy/cedar-wasm/nodejs'

export interface Uid {
  type: string
  id: string
}

/** Every entity that a policy, or a part of it, names. */
export function literals(value: unknown): Uid[] {
  if (typeof value !== 'object' || value === null) return []
  const {type, id} = value as Partial<Uid>
  if (typeof type === 'string' && typeof id === 'string') return [{type, id}]
  return Object.values(value).flatMap(literals)
}

/** Whether the action part reaches this action. */
export function reachesAction({action}: PolicyJson, name: string): boolean {
  return action.op === 'All' || literals(action).some(({id}) => id === name)
}

/** Whether the principal or the resource part reaches this entity. */
export function reachesEntity(scope: PolicyJson['principal'] | PolicyJson['resource'], {uid, parents}: EntityJson): boolean {
  const self = uid as Uid
  if ('entity_type' in scope && scope.entity_type !== self.type) return false
  const names = literals(scope)
  const among = scope.op === '==' ? [self] : [self, ...(parents as Uid[])]
  return names.length === 0 || names.some(name => among.some(one => one.type === name.type && one.id === name.id))
}
