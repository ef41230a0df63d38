/** The plugin: containers of Amazon ECS. What asks AWS loads when a use is opened. */
import {definePrimitive} from '@prod/sdk/primitive'
import {discoverPermissions, lacksStdin, machine, parse, permissions, resolvePermissions, type Target} from './target.ts'

export type {Target} from './target.ts'

/** Whether clusters must log what is done by ECS Exec (TM-X3): always, but in a development broker. */
let strict = true

/** The way in to containers through ECS Exec: `ecs:[region/]cluster/service[/container[/task]][?pins]`. */
export const primitive = definePrimitive<Target>({
  id: 'ecs',
  summary: 'a container of a service, through ECS Exec',
  uses: ['exec', 'shell', 'forward'],
  parse,
  machine,
  permissions,
  lacksStdin,
  open: async (target, use, access, signal) => (await import('./open.ts')).open(target, use, access, signal, strict),
  release: async id => (await import('./open.ts')).release(id),
  async *discover(query, access) {
    yield* (await import('./discover.ts')).discover(query, access)
  },
  discoverPermissions,
  resolve: async (target, access, signal) => (await import('./open.ts')).resolve(target, access, signal),
  resolvePermissions,
  async start(options) {
    strict = !options?.development
    return async () => {
      strict = true
    }
  },
})
