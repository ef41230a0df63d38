import {definePrimitive, type Primitive} from '@prod/sdk/primitive'
import {
  type AutomationTarget,
  machine as automationMachine,
  noStdin as automationNoStdin,
  permissions as automationPermissions,
  resolvePermissions as automationResolvePermissions,
  parse as parseAutomation,
} from './automation/target.ts'
import {
  type CommandTarget,
  machine as commandMachine,
  noStdin as commandNoStdin,
  permissions as commandPermissions,
  resolvePermissions as commandResolvePermissions,
  parse as parseCommand,
} from './command/target.ts'
import {discoverPermissions, lacksStdin, permissions} from './permissions.ts'
import {machine, parse, type Target} from './target.ts'

/**
 * Whether sessions must be logged by the account, and documents of its own pinned (TM-X1, TM-X3): always, but in a development broker.
 */
let strict = true

/** Instances: programs, shells and forwards over Session Manager's data channel. */
const ssm = definePrimitive<Target>({
  id: 'ssm',
  summary: 'an instance, through AWS Systems Manager',
  uses: ['exec', 'shell', 'forward'],
  parse,
  machine,
  permissions,
  lacksStdin,
  open: async (target, use, access, signal) => {
    if (use.kind === 'forward') return (await import('./forward.ts')).open(target, use, access, signal, strict)
    return (await import('./open.ts')).open(target, use, access, signal, strict)
  },
  async *discover(query, access) {
    yield* (await import('./discover.ts')).discover(query, access)
  },
  discoverPermissions,
  release: async id => {
    await (await import('./forward.ts')).release(id)
    await (await import('./session.ts')).sessionsEnded(id)
  },
  async start(options) {
    strict = !options?.development
    return async () => {
      strict = true
    }
  },
})

/** Run Command: a program on one or many instances at once. */
const command = definePrimitive<CommandTarget>({
  id: 'ssm-command',
  summary: 'one or many instances, by Run Command of AWS Systems Manager',
  uses: ['exec'],
  parse: parseCommand,
  machine: commandMachine,
  permissions: commandPermissions,
  lacksStdin: () => commandNoStdin,
  open: async (target, use, access, signal) => (await import('./command/open.ts')).open(target, use, access, signal, strict),
  resolve: async (target, access) => (await import('./command/open.ts')).resolve(target, access),
  resolvePermissions: commandResolvePermissions,
})

/** Automation documents. */
const automation = definePrimitive<AutomationTarget>({
  id: 'ssm-automation',
  summary: 'an Automation document of AWS Systems Manager',
  uses: ['exec'],
  parse: parseAutomation,
  machine: automationMachine,
  permissions: (target, use) => automationPermissions(target, use.kind === 'exec' ? use.program.path : '/start'),
  lacksStdin: () => automationNoStdin,
  open: async (target, use, access, signal) => (await import('./automation/open.ts')).open(target, use, access, signal, strict),
  resolve: async (target, access) => (await import('./automation/open.ts')).resolve(target, access),
  resolvePermissions: automationResolvePermissions,
})

// biome-ignore lint/suspicious/noExplicitAny: each has a target type of its own
export const primitives: readonly Primitive<any>[] = [ssm, command, automation]
