/** Which explainers there are: the packages that package.json lists under `oclif.explainers`, found by name when they are needed. */
import type {Explainer} from '../explainer.ts'
import type {Plugin} from '../plugin.ts'

/** What comes with the CLI, for whoever has no package.json of it at hand. */
export const shipped: readonly string[] = ['@prod/explain']

/** The names in a package.json of the CLI. */
export function explainerPackages(pjson: {oclif?: object}): readonly string[] {
  const {explainers} = (pjson.oclif ?? {}) as {explainers?: unknown}
  return Array.isArray(explainers) ? explainers.filter(name => typeof name === 'string') : []
}

/** Loads them. */
export async function loadExplainers(packages: readonly string[]): Promise<Explainer[]> {
  const plugins = (await Promise.all(packages.map(name => import(name)))) as Plugin[]
  return plugins.flatMap(plugin => plugin.explainers ?? [])
}
