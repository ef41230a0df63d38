/** The plugin: instances of EC2 over SSH, with a key for one connection. What asks AWS, and SSH itself, load when a use is opened. */
import {definePrimitive} from '@prod/sdk/primitive'
import {discoverPermissions, machine, parse, permissions, type Target} from './target.ts'

export type {Target} from './target.ts'

/** The way in to instances through EC2 Instance Connect: `ec2-instance-connect:region/instance-id[?pins]`. */
export const primitive = definePrimitive<Target>({
  id: 'ec2-instance-connect',
  summary: 'instances of EC2 over SSH, with a key for one connection',
  uses: ['exec', 'shell', 'forward'],
  parse,
  machine,
  permissions,
  open: async (target, use, access, signal) => (await import('./open.ts')).open(target, use, access, signal),
  async *discover(query, access) {
    yield* (await import('./discover.ts')).discover(query, access)
  },
  discoverPermissions,
  release: async id => (await import('./open.ts')).release(id),
})
