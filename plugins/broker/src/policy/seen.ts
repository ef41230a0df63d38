/** The catalog as far as one person may know of it (TM-K3): what they may not see is not there, so that no answer tells it from what is not. */
import type {Catalog, TargetEntry, ToolEntry} from '../catalog/catalog.ts'
import {findTarget} from '../catalog/members.ts'
import type {Bundle, Question} from './policy.ts'

type Asker = Pick<Question, 'principal' | 'groups'>

/** Which targets a person sees: by themselves, or as those that a tool they see runs on. Each tool is judged once. */
export function sightOf(bundle: Pick<Bundle, 'catalog' | 'sees'>, {principal, groups}: Asker): (target: TargetEntry) => boolean {
  const judged = new Map<string, boolean>()
  const seesTool = (tool: ToolEntry): boolean => {
    const known = judged.get(tool.name) ?? bundle.sees({principal, groups, tool})
    judged.set(tool.name, known)
    return known
  }
  return target =>
    bundle.sees({principal, groups, target}) ||
    [...bundle.catalog.tools.values()].some(tool => tool.targets.includes(target.of ?? target.name) && seesTool(tool))
}

/** What the words of a question name, and the asker may not see, is left out of the catalog. Nothing else of it is looked at. Pure. */
export function seenCatalog(
  bundle: Pick<Bundle, 'catalog' | 'sees'>,
  {principal, groups}: Asker,
  named: {words?: readonly string[]; target?: string; role?: string},
): Catalog {
  const asked = {principal, groups}
  const tools = new Map(bundle.catalog.tools)
  for (const word of named.words ?? []) {
    const tool = tools.get(word)
    if (tool && !bundle.sees({...asked, tool})) tools.delete(word)
  }
  const sees = sightOf(bundle, asked)
  const targets = new Map(bundle.catalog.targets)
  for (;;) {
    // a name may be an address too, or one of many: what it leads to next is judged as well
    const found = named.target === undefined ? undefined : findTarget({targets}, named.target)
    if (!found || sees(found)) break
    targets.delete(found.of ?? found.name)
  }
  const roles = new Map(bundle.catalog.roles)
  const role = roles.get(named.role ?? '')
  if (role && !bundle.sees({...asked, role})) roles.delete(role.name)
  return {...bundle.catalog, tools, targets, roles}
}
