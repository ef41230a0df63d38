import {fixedEnvironment, refusedVariables} from '@prod/sdk/environment'
import {ProdError} from '@prod/sdk/errors'

const refused = new RegExp(`^(?:${refusedVariables})$`, 'i')

/** Names that only the broker's own fixed part may set: refused to a catalog, accepted in a {@link Use}. */
const brokersOwn = new Set([...Object.keys(fixedEnvironment), 'HOME', 'TERM', 'PS1'])

/**
 * The whole environment of a program: the fixed part, its private home, and what the catalog names. Pure.
 * @param named values by name, from a rule that the catalog checked
 * @param home absolute path of an empty directory
 * @throws CATALOG_INVALID for a name that could make the program run, read or send something else
 */
export function buildEnvironment(named: Record<string, string>, home: string): Record<string, string> {
  for (const [name, value] of Object.entries(named)) {
    if (brokersOwn.has(name) || badVariable(name, value)) {
      throw new ProdError(
        'CATALOG_INVALID',
        `the environment variable ${JSON.stringify(name)} may not be set for a tool`,
        'prod policy check',
      )
    }
  }
  return {...fixedEnvironment, HOME: home, ...named}
}

/**
 * What a `Use` says, with the fixed part and the home where it says nothing: so a program never lacks a PATH. Pure.
 * @throws TOOL_UNAVAILABLE for a name nobody may set
 */
export function completeEnvironment(env: Record<string, string>, home: string): Record<string, string> {
  for (const [name, value] of Object.entries(env)) {
    if (brokersOwn.has(name) ? value.includes('\0') : badVariable(name, value)) {
      throw new ProdError('TOOL_UNAVAILABLE', `the environment variable ${JSON.stringify(name)} may not be set for a program`, 'prod tools')
    }
  }
  return {...fixedEnvironment, HOME: home, ...env}
}

function badVariable(name: string, value: string): boolean {
  return !/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name) || refused.test(name) || value.includes('\0')
}
