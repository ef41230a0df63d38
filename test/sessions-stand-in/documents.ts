/** The documents that an account has, and what sessions they make (section 18). */
import type {Kind} from './agent-parts.ts'
import {ApiError} from './api-error.ts'
import type {Document} from './world.ts'

const of = (name: string, type: Document['type'], content: Record<string, unknown>, owner = 'Amazon'): Document => ({
  name,
  type,
  owner,
  version: '1',
  content,
})
const text = (allowedPattern?: string, fallback?: string): object => ({
  type: 'String',
  ...(allowedPattern && {allowedPattern}),
  ...(fallback !== undefined && {default: fallback}),
})
const port = '^([1-9]|[1-9][0-9]{1,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$'
const anyPort = '^([0-9]|[1-9][0-9]{1,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$'
const everywhere = (properties: object): object => ({linux: properties, macos: properties, windows: properties})

/** The documents of AWS, the account's preferences, and one of the account's own with an exit status. */
export function someDocuments(inputs: Record<string, unknown> = {}): Document[] {
  return [
    of('SSM-SessionManagerRunShell', 'Session', {schemaVersion: '1.0', sessionType: 'Standard_Stream', inputs}, 'self'),
    of('AWS-StartInteractiveCommand', 'Session', {
      schemaVersion: '1.0',
      sessionType: 'InteractiveCommands',
      parameters: {command: text()},
      properties: everywhere({commands: '{{ command }}', runAsElevated: false}),
    }),
    of('AWS-StartNonInteractiveCommand', 'Session', {
      schemaVersion: '1.0',
      sessionType: 'NonInteractiveCommands',
      parameters: {command: text()},
      properties: everywhere({commands: '{{ command }}', runAsElevated: false}),
    }),
    of(
      'Prod-RunCommand',
      'Session',
      {
        schemaVersion: '1.0',
        sessionType: 'NonInteractiveCommands',
        parameters: {command: text()},
        properties: everywhere({commands: '{{ command }}', runAsElevated: false, separateOutputStream: true}),
      },
      'self',
    ),
    of('AWS-StartPortForwardingSession', 'Session', {
      schemaVersion: '1.0',
      sessionType: 'Port',
      parameters: {portNumber: text(port, '80'), localPortNumber: text(anyPort, '0')},
      properties: {portNumber: '{{ portNumber }}', type: 'LocalPortForwarding', localPortNumber: '{{ localPortNumber }}'},
    }),
    of('AWS-StartPortForwardingSessionToRemoteHost', 'Session', {
      schemaVersion: '1.0',
      sessionType: 'Port',
      parameters: {
        host: text('^[^,$^&()!;\'"<>`{}\\[\\]|#=]{3,}$', 'localhost'),
        portNumber: text(port, '80'),
        localPortNumber: text(anyPort, '0'),
      },
      properties: {
        host: '{{ host }}',
        portNumber: '{{ portNumber }}',
        type: 'LocalPortForwarding',
        localPortNumber: '{{ localPortNumber }}',
      },
    }),
    of('AWS-StartSSHSession', 'Session', {
      schemaVersion: '1.0',
      sessionType: 'Port',
      parameters: {portNumber: text(port, '22')},
      properties: {portNumber: '{{ portNumber }}'},
    }),
    of('AWS-RunShellScript', 'Command', {
      schemaVersion: '1.2',
      parameters: {
        commands: {type: 'StringList'},
        workingDirectory: text(undefined, ''),
        executionTimeout: text(undefined, '3600'),
      },
      runtimeConfig: {'aws:runShellScript': {properties: [{id: '0.aws:runShellScript', runCommand: '{{ commands }}'}]}},
    }),
  ]
}

/** Values put in a document's places. Throws InvalidParameters for one that is missing, unknown, or of another form. */
export function fillIn(document: Document, given: Record<string, string[]>): Record<string, string[]> {
  const declared = (document.content.parameters ?? {}) as Record<
    string,
    {default?: string | string[]; allowedPattern?: string; allowedValues?: string[]}
  >
  const values: Record<string, string[]> = {}
  for (const name of Object.keys(given))
    if (!(name in declared)) throw new ApiError('InvalidParameters', `Parameter "${name}" is not defined in document ${document.name}.`)
  for (const [name, {default: fallback, allowedPattern, allowedValues}] of Object.entries(declared)) {
    const value = given[name] ?? (fallback === undefined ? undefined : [fallback].flat())
    if (value === undefined) throw new ApiError('InvalidParameters', `Parameter "${name}" of document ${document.name} is required.`)
    if (allowedPattern && value.some(one => !new RegExp(allowedPattern).test(one)))
      throw new ApiError('InvalidParameters', `Parameter "${name}" has value "${value.join()}" not matching ${allowedPattern}.`)
    if (allowedValues && value.some(one => !allowedValues.includes(one)))
      throw new ApiError('InvalidParameters', `Parameter "${name}" has value "${value.join()}" not among ${allowedValues.join()}.`)
    values[name] = value
  }
  return values
}

/** A text with `{{ name }}` replaced; one that is nothing else takes a list as it is. */
export function replaced<T>(value: T, values: Record<string, string[]>): T {
  if (typeof value === 'string') {
    const whole = /^\{\{ *([\w.]+) *\}\}$/.exec(value)
    const list = whole && values[whole[1] as string]
    if (list && list.length > 1) return list as T
    return value.replace(/\{\{ *([\w.]+) *\}\}/g, (all, name: string) => values[name]?.join('\n') ?? all) as T
  }
  if (Array.isArray(value)) return value.flatMap(one => replaced(one, values)) as T
  if (value && typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, replaced(one, values)])) as T
  return value
}

/** What a session document asks of the agent. */
export function sessionKind(document: Document, given: Record<string, string[]>, platform: string): Kind {
  if (document.type !== 'Session') throw new ApiError('InvalidDocument', `Document ${document.name} is not a session document.`)
  const content = replaced(document.content, fillIn(document, given))
  const all = (content.properties ?? {}) as Record<string, unknown>
  const own = (all[platform.toLowerCase()] ?? {}) as Record<string, unknown>
  switch (content.sessionType) {
    case 'Standard_Stream': {
      const {shellProfile} = (content.inputs ?? {}) as {shellProfile?: Record<string, string>}
      return {type: 'Standard_Stream', profile: shellProfile?.[platform.toLowerCase()] ?? ''}
    }
    case 'InteractiveCommands':
      return {type: 'InteractiveCommands', command: String(own.commands ?? '')}
    case 'NonInteractiveCommands':
      return {
        type: 'NonInteractiveCommands',
        command: String(own.commands ?? ''),
        separate: String(own.separateOutputStream) === 'true',
        stdoutPrefix: String(own.stdOutSeparatorPrefix ?? ''),
        stderrPrefix: String(own.stdErrSeparatorPrefix ?? ''),
      }
    case 'Port':
      return {type: 'Port', properties: Object.fromEntries(Object.entries(all).map(([key, value]) => [key, String(value)]))}
    default:
      throw new ApiError('InvalidDocument', `Document ${document.name} has no session type that is known.`)
  }
}
