/** The plugin: programs without a terminal, shells with one, and connections, on and from the broker's own machine. */
import {definePrimitive} from '@prod/sdk/primitive'
import {parse, permissions, type Target} from './target.ts'

export type {Target} from './target.ts'

/** The way in to the broker's own machine. Everything that starts a process loads in `start` and `open` alone. */
export const primitive = definePrimitive<Target>({
  id: 'host',
  summary: "programs and shells on the broker's own machine, connections from it",
  uses: ['exec', 'shell', 'forward'],
  confines: true,
  parse,
  permissions,
  start: async options => (await import('./open.ts')).start(options),
  open: async (target, use, access, signal) =>
    use.kind === 'forward'
      ? (await import('./connect.ts')).connect(use.to, signal)
      : (await import('./open.ts')).open(target, use, access, signal),
  inspect: async (target, program) => (await import('./open.ts')).inspect(target, program),
  checks: async () => (await import('./open.ts')).checks(),
})
