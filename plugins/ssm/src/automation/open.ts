/** Automation: an execution started, followed step by step, approved, cancelled. Its outputs are what a run of it puts out. */
import type {Access, Channel, Exit, Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {AwsRefused, clientToken, json, type Way, wayOf} from '../aws/call.ts'
import {pinnedVersion} from '../documents.ts'
import {channelOf, rounds, type Voice} from '../job.ts'
import {parametersOf} from '../parameters.ts'
import {describeInstances, explain} from '../preflight.ts'
import {type Act, type AutomationTarget, actOf, assumedRole, mostNamed, noStdin} from './target.ts'

interface Step {
  StepExecutionId?: string
  StepName: string
  Action?: string
  StepStatus: string
  FailureMessage?: string
}

interface Execution {
  AutomationExecutionId: string
  DocumentName?: string
  AutomationExecutionStatus: string
  StepExecutions?: Step[]
  StepExecutionsTruncated?: boolean
  Outputs?: Record<string, string[]>
  FailureMessage?: string
}

/** AWS's words for an execution that is over. Source: AutomationExecutionStatus */
const good = new Set(['Success', 'CompletedWithSuccess'])
const over = new Set([
  ...good,
  'Failed',
  'TimedOut',
  'Cancelled',
  'Rejected',
  'CompletedWithFailure',
  'Exited',
  'ChangeCalendarOverrideRejected',
])
const waits = new Set(['Waiting', 'PendingApproval'])

/** Does what the tool's program asks for. Throws TARGET_INVALID, TARGET_UNREACHABLE, ARGV_INVALID; nothing was begun then. */
export async function open(target: AutomationTarget, use: Use, access: Access, signal: AbortSignal, strict: boolean): Promise<Channel> {
  if (use.kind !== 'exec') throw new ProdError('TARGET_INVALID', 'an Automation is neither a shell nor a forward', 'prod exec TOOL')
  if (use.stdin) throw new ProdError('STDIN_REFUSED', noStdin.why, noStdin.instead)
  signal.throwIfAborted()
  const act = actOf(use.program.path)
  const way = wayOf(access, target.region)
  const asFailure = (error: unknown): Promise<never> =>
    explain(error, way, {region: target.region, instanceId: target.document.name, tags: {}}, target.document.name).then(failure =>
      Promise.reject(failure),
    )
  const id = act === 'start' ? await start(way, target, use.argv, strict).catch(asFailure) : executionOf(use.argv)
  if (act !== 'start') await tellWhat(way, target, act, id, access).catch(asFailure)
  // who looks on at another's execution does not end it by leaving
  const cancel = act === 'start' ? () => stop(way, id) : async () => {}
  if (act === 'start' || act === 'follow') return channelOf({follow: (voice, abandoned) => follow(way, id, voice, abandoned), cancel})
  return channelOf({
    follow: async voice => {
      await voice.err(`${{approve: 'approved', reject: 'rejected', cancel: 'cancelled'}[act]} ${id}\n`)
      return {status: 0}
    },
    cancel,
  })
}

async function start(way: Way, target: AutomationTarget, argv: readonly string[], strict: boolean): Promise<string> {
  const {document, over: parameter, tags, concurrency, errors} = target
  const parameters = parametersOf(argv)
  const role = assumedRole(target)
  if (role !== undefined) parameters.AutomationAssumeRole = [role]
  if (parameter !== undefined && Object.hasOwn(parameters, parameter))
    throw new ProdError('ARGV_INVALID', `${parameter} is what the target chooses`, 'take it out of the tool, or over out of the address')
  const version = await pinnedVersion(way, document, {strict, key: 'the document'})
  if (target.on !== undefined) await choose(way, target)
  const {AutomationExecutionId: id} = await json<{AutomationExecutionId: string}>('ssm', way, 'StartAutomationExecution', {
    DocumentName: document.name,
    ...(version === undefined ? {} : {DocumentVersion: version}),
    Parameters: parameters,
    ClientToken: clientToken(),
    Mode: 'Auto',
    ...(parameter === undefined
      ? {}
      : {
          TargetParameterName: parameter,
          Targets:
            target.on === undefined
              ? Object.entries(tags).map(([key, value]) => ({Key: `tag:${key}`, Values: [value]}))
              : [{Key: 'ParameterValues', Values: target.on}],
          MaxConcurrency: concurrency,
          MaxErrors: errors,
        }),
  })
  return id
}

/** The instances with the tags now; what is named must be among them (TM-X2). */
async function choose(way: Way, {account, tags, on}: AutomationTarget): Promise<string[]> {
  const filters = Object.entries(tags).flatMap(([key, value], at) => [
    [`Filter.${at + 1}.Name`, `tag:${key}`],
    [`Filter.${at + 1}.Value.1`, value],
  ])
  const found = (await describeInstances(way, Object.fromEntries(filters)))
    .filter(({state}) => state !== 'terminated' && state !== 'shutting-down')
    .filter(one => account === undefined || one.account === account)
    .map(({id}) => id)
    .sort()
  const lacking = on?.find(id => !found.includes(id))
  if (lacking !== undefined)
    throw new ProdError('TARGET_INVALID', `${lacking} does not have the tags that the catalog says, or is gone`, 'prod targets')
  if (on) return [...on]
  if (found.length === 0) throw new ProdError('TARGET_UNREACHABLE', 'no instance has these tags', 'prod targets')
  if (found.length > mostNamed)
    throw new ProdError('LIMIT_REACHED', `that is ${found.length} instances, and one execution names ${mostNamed} at most`, 'narrower tags')
  return found
}

/** The instances that the address leads to now. Throws what `choose` does. */
export async function resolve(target: AutomationTarget, access: Access): Promise<string> {
  const way = wayOf(access, target.region)
  const {name, sha256} = target.document
  const found = await choose(way, target).catch(async (error: unknown) => {
    throw await explain(error, way, {region: target.region, instanceId: name, tags: {}}, name)
  })
  return `${target.region}/${name}${sha256 === undefined ? '' : `@${sha256}`}${target.query}&on=${found.join(',')}`
}

/** The one argument of an act about an execution. */
function executionOf(argv: readonly string[]): string {
  const [, id = '', ...rest] = argv
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(id) || rest.length > 0)
    throw new ProdError(
      'ARGV_INVALID',
      `${JSON.stringify(id)} is no id of an execution`,
      'operands: [{name: execution, type: {pattern: …}}]',
      {position: 1},
    )
  return id
}

/** An execution of another document is none of this target's. */
async function tellWhat(way: Way, target: AutomationTarget, act: Act, id: string, access: Access): Promise<void> {
  const {AutomationExecution: execution} = await get(way, id)
  if (execution.DocumentName !== undefined && execution.DocumentName !== target.document.name)
    throw new ProdError(
      'TARGET_INVALID',
      `${id} is an execution of ${execution.DocumentName}, not of ${target.document.name}`,
      'prod targets',
    )
  if (act === 'cancel') return stop(way, id)
  if (act === 'follow') return
  if (!(execution.StepExecutions ?? []).some(({StepStatus}) => waits.has(StepStatus)) && !waits.has(execution.AutomationExecutionStatus))
    throw new ProdError(
      'ALREADY_DECIDED',
      `no step of ${id} waits for approval: it is ${execution.AutomationExecutionStatus}`,
      'look at it in the console',
    )
  await json('ssm', way, 'SendAutomationSignal', {
    AutomationExecutionId: id,
    SignalType: act === 'approve' ? 'Approve' : 'Reject',
    Payload: {Comment: [`prod ${access.id}`]},
  })
}

async function stop(way: Way, id: string): Promise<void> {
  await json('ssm', way, 'StopAutomationExecution', {AutomationExecutionId: id, Type: 'Cancel'}).catch((error: unknown) => {
    // it was over already
    if (!(error instanceof AwsRefused && /InvalidAutomationStatusUpdate|NotFound/.test(error.code))) throw error
  })
}

function get(way: Way, id: string): Promise<{AutomationExecution: Execution}> {
  return json('ssm', way, 'GetAutomationExecution', {AutomationExecutionId: id})
}

async function follow(way: Way, id: string, voice: Voice, signal: AbortSignal): Promise<Exit> {
  const told = new Map<string, string>()
  await voice.err(`execution ${id}\n`)
  for await (const _ of rounds(signal)) {
    const execution = await get(way, id)
      .then(answer => answer.AutomationExecution)
      .catch((error: unknown) => {
        // it is not known everywhere at once
        if (error instanceof AwsRefused && error.code === 'AutomationExecutionNotFoundException' && told.size === 0) return undefined
        throw error
      })
    if (!execution) continue
    for (const [index, step] of (execution.StepExecutions ?? []).entries()) {
      const key = step.StepExecutionId ?? `${index}`
      if (step.StepStatus === 'Pending' || told.get(key) === step.StepStatus) continue
      told.set(key, step.StepStatus)
      const approval = step.Action === 'aws:approve' && waits.has(step.StepStatus) ? `: somebody must approve ${id}` : ''
      const why = step.FailureMessage ? `: ${step.FailureMessage}` : ''
      await voice.err(`${step.StepName.padEnd(32)} ${(step.Action ?? '').padEnd(24)} ${step.StepStatus}${approval}${why}\n`)
    }
    const {AutomationExecutionStatus: status, FailureMessage: failure = '', Outputs: outputs = {}} = execution
    if (!over.has(status)) continue
    if (Object.keys(outputs).length > 0) await voice.out(`${JSON.stringify(outputs, null, 2)}\n`)
    if (!good.has(status)) await voice.err(`prod: the execution is ${status}${failure ? `: ${failure}` : ''}\n`)
    return status === 'Cancelled' ? {signal: 'SIGINT'} : {status: good.has(status) ? 0 : 1}
  }
  throw new Error('rounds never end')
}
