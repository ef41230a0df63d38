/** Opens one use of an instance: looked at first, then a session of Systems Manager, then its data channel. */
import type {Access, Channel, Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {wayOf} from './aws/call.ts'
import {openCommand, openShell} from './channel/index.ts'
import {commandLine, loginShell} from './command-line.ts'
import {checkDocument} from './documents.ts'
import {documentOf, interactive, lacksStdin} from './permissions.ts'
import {checkPins, explain, failureOf} from './preflight.ts'
import {openProgram} from './program.ts'
import {openSession, type SessionOptions} from './session.ts'
import type {Target} from './target.ts'

/**
 * Opens an exec or a shell. `strict`: the account must log the session (TM-X3), and documents of its own are pinned (TM-X1).
 * Throws TARGET_INVALID, TARGET_UNREACHABLE, TOOL_UNAVAILABLE, STDIN_REFUSED; no session is left then.
 */
export async function open(
  target: Target,
  use: Exclude<Use, {kind: 'forward'}>,
  access: Access,
  signal: AbortSignal,
  strict: boolean,
): Promise<Channel> {
  const document = documentOf(target, use)
  if (use.kind === 'exec' && document === interactive) {
    const start = async (command: string, until: AbortSignal) =>
      prepare(target, use, {document, parameters: {command: [command]}, access, signal: until, strict})
    return openProgram(use, signal, start).catch(error => notBegun(error, target))
  }
  if (use.kind === 'exec') {
    const lack = use.stdin && lacksStdin(target)
    if (lack) throw new ProdError('STDIN_REFUSED', lack.why, lack.instead)
    const parameters = {command: [commandLine(use)]}
    const options = await prepare(target, use, {document, parameters, access, signal, strict})
    return openCommand(options).catch(error => notBegun(error, target))
  }
  const parameters = use.runAs === undefined ? undefined : {command: [loginShell(use.runAs)]}
  const options = await prepare(target, use, {document, ...(parameters ? {parameters} : {}), access, signal, strict})
  return openShell(options, use.size).catch(error => notBegun(error, target))
}

/** Checks what is pinned, and starts the session: what a data channel is opened with. */
export async function prepare(
  target: Target,
  use: Use,
  {strict, ...wanted}: Omit<SessionOptions, 'way' | 'instanceId' | 'region'> & {strict: boolean},
): Promise<Awaited<ReturnType<typeof openSession>>> {
  const {document, access, signal} = wanted
  signal.throwIfAborted()
  if (target.instanceId === '*')
    throw new ProdError('TARGET_INVALID', 'this stands for many instances, and one is used at a time', 'prod targets --find TEXT')
  const way = wayOf(access, target.region)
  try {
    const pinned = use.kind === 'exec' ? target.exec : use.kind === 'shell' && use.runAs === undefined ? target.shell : undefined
    await Promise.all([
      checkPins(way, target),
      checkDocument(way, {
        document: pinned ?? (document === undefined ? undefined : {name: document}),
        use: use.kind,
        logged: strict && target.logging !== 'broker',
        pinned: strict,
      }),
    ])
    signal.throwIfAborted()
    return await openSession({...wanted, way, instanceId: target.instanceId, region: target.region})
  } catch (error) {
    signal.throwIfAborted()
    throw await explain(error, way, target, document)
  }
}

/** What the channel says of a session that did not begin, with the mend. */
export function notBegun(error: unknown, {instanceId: instance, region}: Target): never {
  if (!(error instanceof ProdError) || error.code !== 'TARGET_UNREACHABLE') throw error
  const said = error.message
  if (/OpenDataChannel/.test(said)) throw failureOf('upgrade', {instance, region, said}, {cause: error})
  if (/KMS|data key|encrypt/i.test(said)) throw failureOf('kms', {instance, region, said}, {cause: error})
  throw failureOf('ended', {instance, region, said}, {cause: error})
}
