/** The roles that a person has without a broker: what the plugins find that package.json names as role sources. */
import {join} from 'node:path'
import {places, readPrivate, writePrivate} from '@prod/sdk/cli/places'
import {ProdError} from '@prod/sdk/errors'
import type {Plugin} from '@prod/sdk/plugin'
import type {LocalRole, RoleSource} from '@prod/sdk/role-source'

/** The sources, loaded by name. `config`: of the CLI's own package. */
export async function roleSources({pjson}: {pjson: object}): Promise<RoleSource[]> {
  const {oclif} = pjson as {oclif?: {roleSources?: string[]}}
  const plugins = await Promise.all((oclif?.roleSources ?? []).map(name => import(name) as Promise<Plugin>))
  return plugins.flatMap(({roleSource}) => roleSource ?? [])
}

/** What all sources have, and what they could not read. One that fails takes nothing from the others. */
export async function localRoles(sources: readonly RoleSource[]): Promise<{roles: LocalRole[]; faults: string[]}> {
  const found = await Promise.all(
    sources.map(source =>
      source.list().catch((error: unknown) => {
        if (!(error instanceof ProdError)) throw error
        return {roles: [], faults: [error.message]}
      }),
    ),
  )
  return {roles: found.flatMap(({roles}) => roles), faults: found.flatMap(({faults}) => faults)}
}

/** Keeps the names for completion. Never throws: a cache that cannot be written is no reason to fail. */
export function keepRoleNames(roles: readonly LocalRole[]): void {
  try {
    const path = join(places().cache, 'roles.json')
    const names = JSON.stringify(roles.filter(({fault}) => fault === null).map(({name}) => name))
    if (readPrivate(path) !== names) writePrivate(path, names)
  } catch {
    // `prod doctor` looks at the folders
  }
}
