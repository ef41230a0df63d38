/** Which explainers there are: the packages that package.json lists under `oclif.explainers`, found by name when they are needed. */
import type {Explainer} from '@prod/sdk/explainer'
import type {Plugin} from '@prod/sdk/plugin'

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
