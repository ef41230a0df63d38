/** Automation (section 21): documents of steps that are followed, approved, and ended. */
import type {Api, Incoming, World} from './api.ts'
import {ApiError} from './api-error.ts'
import {type Command, cancel, startCommand} from './commands.ts'
import {fillIn, replaced} from './documents.ts'
import {account, type Document, type Identity} from './world.ts'

interface Planned {
  name: string
  action: string
  inputs?: Record<string, unknown>
  onFailure?: string
  timeoutSeconds?: number
  /** of one target of several: what differs from the execution's own */
  parameters?: Record<string, string[]>
}

interface Step extends Planned {
  id: string
  status: string
  outputs: Record<string, string[]>
  failure: string
  code: string
  startedAt: number | undefined
  endedAt: number | undefined
}

/** One execution. */
export interface Execution {
  id: string
  region: string
  document: Document
  parameters: Record<string, string[]>
  by: Identity
  status: string
  failure: string
  steps: Step[]
  outputs: Record<string, string[]>
  startedAt: number
  endedAt: number | undefined
  /** what ends the waiting of the step that waits */
  signal: ((type: string, payload: Record<string, string[]>, by: Identity) => void) | undefined
  command: Command | undefined
  stopped: '' | 'Cancel' | 'Complete'
}

const ended = (status: string): boolean => ['Success', 'Failed', 'Cancelled', 'TimedOut', 'Rejected'].includes(status)

/** What one step does; resolves with its status. */
async function perform(world: World, execution: Execution, step: Step, inputs: Record<string, unknown>): Promise<string> {
  const wait = (waiting: string, wanted: readonly string[]): Promise<string> => {
    step.status = waiting
    execution.status = 'Waiting'
    return new Promise(resolve => {
      execution.signal = (type, payload, by) => {
        if (type !== 'Stop' && !wanted.includes(type)) throw new ApiError('InvalidAutomationSignalException', `${type} is not waited for`)
        execution.signal = undefined
        step.outputs = {...payload, ...(type !== 'Stop' && {ApproverDecisions: [JSON.stringify({approver: by.arn, decision: type})]})}
        resolve(type)
      }
    })
  }
  switch (step.action) {
    case 'aws:runCommand': {
      const {
        DocumentName = '',
        Parameters = {},
        InstanceIds,
        Targets,
        MaxConcurrency,
        MaxErrors,
      } = inputs as {
        DocumentName?: string
        Parameters?: Record<string, string | string[]>
        InstanceIds?: string | string[]
        Targets?: {Key: string; Values: string[]}[]
        MaxConcurrency?: string
        MaxErrors?: string
      }
      const command = startCommand(world, execution.region, {
        DocumentName,
        Parameters: Object.fromEntries(Object.entries(Parameters).map(([key, value]) => [key, [value].flat()])),
        ...(InstanceIds && {InstanceIds: [InstanceIds].flat()}),
        ...(Targets && {Targets}),
        ...(MaxConcurrency && {MaxConcurrency}),
        ...(MaxErrors && {MaxErrors}),
      })
      execution.command = command
      await command.ended
      execution.command = undefined
      const [first] = command.invocations
      const output = command.invocations.map(one => one.plugins.map(plugin => plugin.output).join('')).join('')
      step.outputs = {CommandId: [command.id], Status: [command.status], ResponseCode: [String(first?.code ?? -1)], Output: [output]}
      step.code = String(first?.code ?? -1)
      if (command.status === 'Success') return 'Success'
      step.failure = `Step fails when it is ${command.status} on ${command.invocations.map(one => one.instance.id).join()}`
      return command.status === 'Cancelled' ? 'Cancelled' : 'Failed'
    }
    case 'aws:approve': {
      const decided = await wait('Waiting', ['Approve', 'Reject'])
      if (decided === 'Approve') return 'Success'
      step.failure = decided === 'Reject' ? 'the step was rejected' : ''
      return decided === 'Reject' ? 'Failed' : 'Cancelled'
    }
    case 'aws:pause':
      return (await wait('Waiting', ['Resume'])) === 'Resume' ? 'Success' : 'Cancelled'
    case 'aws:sleep': {
      const [, hours = '0', minutes = '0', seconds = '0'] = /^PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?$/.exec(String(inputs.Duration)) ?? []
      const ms = ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000
      return new Promise(resolve => {
        const timer = setTimeout(() => resolve('Success'), ms / world.timeScale)
        execution.signal = () => {
          clearTimeout(timer)
          resolve('Cancelled')
        }
      })
    }
    default:
      step.failure = `this stand-in has no ${step.action}`
      return 'Failed'
  }
}

async function follow(world: World, execution: Execution): Promise<void> {
  const values: Record<string, string[]> = {
    ...execution.parameters,
    'automation:EXECUTION_ID': [execution.id],
    'global:REGION': [execution.region],
    'global:ACCOUNT_ID': [account],
  }
  for (const step of execution.steps) {
    if (execution.stopped) break
    execution.status = step.status = 'InProgress'
    step.startedAt = world.now()
    try {
      step.status = await perform(world, execution, step, replaced(step.inputs ?? {}, {...values, ...step.parameters}))
    } catch (error) {
      step.status = 'Failed'
      step.failure = (error as Error).message
    }
    step.endedAt = world.now()
    for (const [name, value] of Object.entries(step.outputs)) values[`${step.name}.${name}`] = value
    if (step.status === 'Success' || step.onFailure === 'Continue') continue
    execution.status = step.status
    execution.failure = step.failure && `Step ${step.name} failed. ${step.failure}`
    break
  }
  if (execution.stopped) execution.status = execution.stopped === 'Cancel' ? 'Cancelled' : 'Success'
  else if (!ended(execution.status) || execution.status === 'Waiting') execution.status = 'Success'
  const wanted = (execution.document.content.outputs ?? []) as string[]
  execution.outputs = Object.fromEntries(wanted.map(name => [name, values[name] ?? []]))
  execution.endedAt = world.now()
}

interface Input {
  DocumentName: string
  DocumentVersion?: string
  Parameters?: Record<string, string[]>
  ClientToken?: string
  TargetParameterName?: string
  Targets?: {Key: string; Values: string[]}[]
  AutomationExecutionId: string
  SignalType: string
  Payload?: Record<string, string[]>
  Type?: 'Cancel' | 'Complete'
}

const executionArn = (region: string, id: string): string => `arn:aws:ssm:${region}:${account}:automation-execution/${id}`

/** The values that an execution runs over, one after the other here: named ones, or the instances with the tags. */
function targetsOf(world: World, region: string, targets: {Key: string; Values: string[]}[]): string[] {
  const [first] = targets
  if (first?.Key === 'ParameterValues') {
    if (first.Values.length > 50) throw new ApiError('ValidationException', 'Values has at most 50 members')
    return first.Values
  }
  const here = world.instances.filter(one => one.region === region)
  return here.filter(({tags}) => targets.every(({Key, Values}) => Values.includes(tags[Key.slice(4)] ?? '\0'))).map(({id}) => id)
}

function start({input, region, caller, world, authorize}: Incoming<Input>): object {
  const name = input.DocumentName.replace(/^arn:.*:document\//, '')
  const document = world.documents.find(one => one.name === name && one.type === 'Automation')
  const definition = (owner: string): string =>
    `arn:aws:ssm:${region}:${owner}:automation-definition/${name}:${input.DocumentVersion ?? '$DEFAULT'}`
  authorize('ssm:StartAutomationExecution', [definition(account), definition('')])
  if (!document) throw new ApiError('AutomationDefinitionNotFoundException', `There is no automation document ${name}.`)
  const before = input.ClientToken && world.tokens.get(input.ClientToken)
  if (before) return {AutomationExecutionId: before}
  const over = input.TargetParameterName
  const each = over === undefined ? [] : targetsOf(world, region, input.Targets ?? [])
  let parameters: Record<string, string[]>
  try {
    parameters = fillIn(document, {...input.Parameters, ...(over === undefined ? {} : {[over]: each})})
  } catch (error) {
    throw new ApiError('InvalidAutomationExecutionParametersException', (error as Error).message)
  }
  const once = (document.content.mainSteps ?? []) as Planned[]
  const planned = over === undefined ? once : each.flatMap(id => once.map(step => ({...step, parameters: {[over]: [id]}})))
  const execution: Execution = {
    id: crypto.randomUUID(),
    region,
    document,
    parameters,
    by: caller,
    status: 'Pending',
    failure: '',
    steps: planned.map(step => ({
      ...step,
      id: crypto.randomUUID(),
      status: 'Pending',
      outputs: {},
      failure: '',
      code: '',
      startedAt: undefined,
      endedAt: undefined,
    })),
    outputs: {},
    startedAt: world.now(),
    endedAt: undefined,
    signal: undefined,
    command: undefined,
    stopped: '',
  }
  world.executions.set(execution.id, execution)
  if (input.ClientToken) world.tokens.set(input.ClientToken, execution.id)
  void follow(world, execution)
  return {AutomationExecutionId: execution.id}
}

const described = (step: Step): object => ({
  StepName: step.name,
  Action: step.action,
  StepExecutionId: step.id,
  StepStatus: step.status,
  ...(step.startedAt !== undefined && {ExecutionStartTime: step.startedAt / 1000}),
  ...(step.endedAt !== undefined && {ExecutionEndTime: step.endedAt / 1000}),
  ...(step.code && {ResponseCode: step.code}),
  Inputs: Object.fromEntries(Object.entries(step.inputs ?? {}).map(([key, value]) => [key, JSON.stringify(value)])),
  Outputs: step.outputs,
  ...(step.failure && {FailureMessage: step.failure}),
  OnFailure: step.onFailure ?? 'Abort',
  TimeoutSeconds: step.timeoutSeconds ?? 3600,
})

function find({input, region, world}: Incoming<Input>): Execution {
  const found = world.executions.get(input.AutomationExecutionId)
  if (!found || found.region !== region)
    throw new ApiError('AutomationExecutionNotFoundException', `There is no execution ${input.AutomationExecutionId}.`)
  return found
}

function get(call: Incoming<Input>): object {
  call.authorize('ssm:GetAutomationExecution', executionArn(call.region, call.input.AutomationExecutionId))
  const it = find(call)
  const current = it.steps.find(step => !ended(step.status) && step.startedAt !== undefined)
  return {
    AutomationExecution: {
      AutomationExecutionId: it.id,
      DocumentName: it.document.name,
      DocumentVersion: it.document.version,
      AutomationExecutionStatus: it.status,
      ExecutionStartTime: it.startedAt / 1000,
      ...(it.endedAt !== undefined && {ExecutionEndTime: it.endedAt / 1000}),
      StepExecutions: it.steps.map(described),
      StepExecutionsTruncated: false,
      Parameters: it.parameters,
      Outputs: it.outputs,
      ...(it.failure && {FailureMessage: it.failure}),
      Mode: 'Auto',
      ExecutedBy: it.by.arn,
      ...(current && {CurrentStepName: current.name, CurrentAction: current.action}),
    },
  }
}

function steps(call: Incoming<Input>): object {
  call.authorize('ssm:DescribeAutomationStepExecutions', executionArn(call.region, call.input.AutomationExecutionId))
  return {StepExecutions: find(call).steps.map(described)}
}

function signal(call: Incoming<Input>): object {
  call.authorize('ssm:SendAutomationSignal', executionArn(call.region, call.input.AutomationExecutionId))
  const it = find(call)
  if (!it.signal) throw new ApiError('AutomationStepNotFoundException', 'No step waits for a signal.')
  it.signal(call.input.SignalType, call.input.Payload ?? {}, call.caller)
  return {}
}

function stop(call: Incoming<Input>): object {
  call.authorize('ssm:StopAutomationExecution', executionArn(call.region, call.input.AutomationExecutionId))
  const it = find(call)
  if (ended(it.status)) throw new ApiError('InvalidAutomationStatusUpdateException', 'The execution has ended.')
  it.stopped = call.input.Type ?? 'Cancel'
  if (it.stopped === 'Cancel') {
    it.status = 'Cancelling'
    if (it.command) cancel(it.command)
    it.signal?.('Stop', {}, call.caller)
  }
  return {}
}

/** Automation. */
export const automationApi: Api = {
  StartAutomationExecution: start,
  GetAutomationExecution: get,
  DescribeAutomationStepExecutions: steps,
  SendAutomationSignal: signal,
  StopAutomationExecution: stop,
}
