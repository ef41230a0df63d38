/** How often a command may start (`limit` of the catalog): counted in the store, in the commit of the start record. */
import {canonical, sha256} from '@prod/sdk/document'
import {ProdError} from '@prod/sdk/errors'
import {parseDuration} from '@prod/sdk/grammar/duration'
import type {Parts} from '../parts.ts'
import type {Plan} from '../requests/plan.ts'
import {canonicalPerson} from '../requests/state.ts'
import type {Put} from '../stores/store.ts'

interface BudgetRecord {
  /** moments of the starts that still count */
  starts: string[]
}

/** The writes that count this start. Throws LIMIT_REACHED; several brokers together never overshoot, for the write is conditional. */
export async function countStart(parts: Parts, plan: Plan, principal: {iss: string; sub: string; person: string}): Promise<Put[]> {
  if (plan.resource.kind !== 'command') return []
  const {tool, structure, target} = plan.resource
  const limit = tool.grammar.commands[structure.command]?.limit
  if (!limit) return []
  const windowMilliseconds = parseDuration(limit.per) * 1000
  const now = parts.store.now()
  const puts: Put[] = []
  const budgets: [string, number, string][] = []
  if (limit.perTarget !== undefined)
    budgets.push([canonical(['target', tool.name, structure.path, target.name, structure.locks]), limit.perTarget, 'on this target'])
  if (limit.perPerson !== undefined)
    budgets.push([
      canonical([
        'person',
        tool.name,
        structure.path,
        principal.person === '' ? [principal.iss, principal.sub] : canonicalPerson(principal.person),
      ]),
      limit.perPerson,
      'by one person',
    ])
  for (const [key, most, scope] of budgets) {
    const id = sha256(key).slice(0, 32)
    const stored = await parts.store.find<BudgetRecord>('budget', id)
    const since = new Date(now.getTime() - windowMilliseconds).toISOString()
    const starts = (stored?.value.starts ?? []).filter(at => at > since)
    if (starts.length >= most) {
      const first = Date.parse(starts[0] as string)
      const seconds = Math.ceil((first + windowMilliseconds - now.getTime()) / 1000)
      throw new ProdError(
        'LIMIT_REACHED',
        `${[tool.name, ...structure.path].join(' ')} runs at most ${most} times in ${limit.per} ${scope}`,
        `try again in ${seconds} s`,
      )
    }
    puts.push({
      kind: 'budget',
      id,
      version: stored?.version ?? 0,
      value: {starts: [...starts, now.toISOString()]},
      index: {dueAt: new Date(now.getTime() + windowMilliseconds).toISOString()},
    })
  }
  return puts
}
