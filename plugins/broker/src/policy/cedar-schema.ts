/** The catalog as a Cedar schema: one entity type for each command, its arguments as attributes, so that a misspelt one does not load. */
import type {Type as CedarJsonType, SchemaJson} from '@cedar-policy/cedar-wasm/nodejs'
import type {PolicyAction} from '@prod/sdk'
import {cedarAttributes, cedarTypeName} from '@prod/sdk/grammar/cedar'
import type {CedarType} from '@prod/sdk/grammar/kind'
import type {Catalog} from '../catalog/catalog.ts'

type Type = CedarJsonType<string>
type Namespace = SchemaJson<string>[string]

/** Which kinds of resource an action is asked about. */
export const actionResources: Record<PolicyAction, readonly ('command' | 'target' | 'role' | 'log' | 'fleet')[]> = {
  run: ['command'],
  shell: ['target'],
  forward: ['target'],
  assume: ['role'],
  request: ['command', 'target', 'role'],
  approve: ['command', 'target', 'role'],
  breakGlass: ['command', 'target', 'role'],
  review: ['command', 'target', 'role'],
  watch: ['command', 'target'],
  readAudit: ['log'],
  readRecording: ['command', 'target'],
  freeze: ['fleet'],
  unfreeze: ['fleet'],
  erase: ['log'],
}

const cedarTypes: Record<CedarType, Type> = {
  String: {type: 'String'},
  Long: {type: 'Long'},
  Bool: {type: 'Boolean'},
  'Set<String>': {type: 'Set', element: {type: 'String'}},
}

const parents = ['Tool', 'Target', 'Service', 'Environment']

/** The schema of a catalog. Pure. */
export function cedarSchema(catalog: Catalog): SchemaJson<string> {
  const commands = [...catalog.tools.values()].flatMap(({grammar}) =>
    grammar.commands.map((_, index) => ({grammar, index, type: cedarTypeName(grammar, index)})),
  )
  const types = {command: commands.map(({type}) => type), target: ['Target'], role: ['Role'], log: ['Log'], fleet: ['Fleet']}
  const root: Namespace = {
    commonTypes: {
      Context: {
        type: 'Record',
        attributes: {
          use: {type: 'String'},
          class: {type: 'String'},
          incident: {type: 'Boolean'},
          reused: {type: 'Boolean'},
          address: {type: 'Extension', name: 'ipaddr', required: false},
        },
      },
    },
    entityTypes: {
      Person: {memberOfTypes: ['Group']},
      Group: {},
      Service: {},
      Environment: {},
      Tool: {memberOfTypes: ['Service']},
      Target: {memberOfTypes: ['Service', 'Environment'], tags: {type: 'String'}},
      Role: {memberOfTypes: ['Service']},
      Log: {},
      Fleet: {},
    },
    actions: Object.fromEntries(
      Object.entries(actionResources).map(([action, kinds]) => [
        action,
        {appliesTo: {principalTypes: ['Person'], resourceTypes: kinds.flatMap(kind => types[kind]), context: {type: 'Context'}}},
      ]),
    ),
  }
  const schema: SchemaJson<string> = {'': root}
  for (const {grammar, index, type} of commands) {
    const cut = type.lastIndexOf('::')
    const space = cut < 0 ? '' : type.slice(0, cut)
    const namespace: Namespace = schema[space] ?? {entityTypes: {}, actions: {}}
    schema[space] = namespace
    namespace.entityTypes[cut < 0 ? type : type.slice(cut + 2)] = {
      memberOfTypes: parents,
      shape: {
        type: 'Record',
        attributes: Object.fromEntries(
          Object.entries(cedarAttributes(grammar, index)).map(([name, {type, required}]) => [name, {...cedarTypes[type], required}]),
        ),
      },
    }
  }
  return schema
}
