/** A command behind another (`timeout 5 df -h`) is judged as a use of its own; of several answers the strictest counts (TM-H13). */
import type {Catalog} from '../catalog/catalog.ts'
import type {Answer, Resource} from './policy.ts'

/** The resource alone, and each command behind it as a resource of its own: outermost first. Pure. */
export function layersOf(catalog: Pick<Catalog, 'tools'>, resource: Resource): Resource[] {
  if (resource.kind !== 'command' || !resource.structure.inner) return [resource]
  const {inner, ...structure} = resource.structure
  const tool = catalog.tools.get(inner.tool)
  if (!tool) throw new Error(`there is no tool ${inner.tool} in the catalog`)
  return [{...resource, structure}, ...layersOf(catalog, {...resource, tool, structure: inner})]
}

/** One answer for all layers: a forbid anywhere forbids, and all must permit. Pure. */
export function strictest(answers: readonly Answer[]): Answer {
  const worst = (['forbidden', 'default', 'allow'] as const).find(decision => answers.some(answer => answer.decision === decision))
  const decisive = worst === 'allow' ? answers : answers.filter(({decision}) => decision === worst)
  return {
    decision: worst ?? 'forbidden',
    rules: [...new Set(decisive.flatMap(({rules}) => rules))],
    errors: [...new Set(answers.flatMap(({errors}) => errors))],
  }
}
