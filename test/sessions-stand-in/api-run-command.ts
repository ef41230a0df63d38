/** Run Command (section 21): the commands really run, each instance's in its own folder, so many at once, until too many have failed. */
import {type ChildProcess, spawn} from 'node:child_process'
import {mkdirSync} from 'node:fs'
import {join} from 'node:path'
import type {Api, Incoming, World} from './api.ts'
import {ApiError} from './api-error.ts'
import {documentArns, findDocument} from './api-ssm.ts'
import {fillIn, replaced} from './documents.ts'
import {mark} from './end-tree.ts'
import {account, type Document, type Instance} from './world.ts'

interface SendInput {
  DocumentName: string
  DocumentVersion?: string
  DocumentHash?: string
  InstanceIds?: string[]
  Targets?: {Key: string; Values: string[]}[]
  Parameters?: Record<string, string[]>
  TimeoutSeconds?: number
  Comment?: string
  MaxConcurrency?: string
  MaxErrors?: string
}

/** One step of a command on one instance. */
interface Step {
  name: string
  action: string
  script: string[]
  folder: string
  timeoutSeconds: number
}

/** A command on one instance. */
export interface Invocation {
  instance: Instance
  status: 'Pending' | 'InProgress' | 'Success' | 'Failed' | 'TimedOut' | 'Cancelled' | 'Cancelling' | 'Delayed'
  details: string
  code: number
  startedAt: number | undefined
  endedAt: number | undefined
  plugins: {name: string; status: string; code: number; output: string; errors: string; startedAt: number; endedAt: number}[]
  child: ChildProcess | undefined
  /** how often GetCommandInvocation does not know of it yet */
  lag: number
}

/** A command on all its instances. */
export interface Command {
  id: string
  input: SendInput
  document: Document
  region: string
  requestedAt: number
  status: string
  details: string
  invocations: Invocation[]
  ended: Promise<void>
}

const over = (it: Invocation): boolean => !['Pending', 'InProgress', 'Cancelling', 'Delayed'].includes(it.status)

/** `10`, or `50%` of so many, rounded as the service rounds them: a share is at least one for concurrency. */
function share(text: string, of: number, least: number): number {
  const [, number, percent] = /^(\d+)(%)?$/.exec(text) ?? []
  if (number === undefined) throw new ApiError('ValidationException', `${text} is no number and no share`)
  return percent ? Math.max(least, Math.floor((Number(number) * of) / 100)) : Math.max(least, Number(number))
}

function chosen(world: World, region: string, {InstanceIds, Targets}: SendInput): Instance[] {
  const here = world.instances.filter(one => one.region === region)
  if (InstanceIds) {
    if (InstanceIds.length > 50) throw new ApiError('ValidationException', 'InstanceIds has at most 50 members')
    return InstanceIds.map(id => {
      const found = here.find(one => one.id === id)
      if (found?.state !== 'running')
        throw new ApiError('InvalidInstanceId', `Instances [[${id}]] not in a valid state for account ${account}`)
      return found
    })
  }
  if (!Targets?.length) throw new ApiError('ValidationException', 'InstanceIds or Targets is required')
  return here.filter(one =>
    Targets.every(({Key, Values}) =>
      Key.toLowerCase() === 'instanceids'
        ? Values.includes(one.id)
        : Key.startsWith('tag:')
          ? Values.includes(one.tags[Key.slice(4)] ?? '\0')
          : Key === 'tag-key' && Values.some(key => key in one.tags),
    ),
  )
}

/** The steps of a command document: of schema 2.2, and of AWS-RunShellScript. */
function stepsOf(document: Document, values: Record<string, string[]>, folder: string): Step[] {
  const content = replaced(document.content, values)
  const value = (name: string): string => values[name]?.[0] ?? ''
  if (document.name === 'AWS-RunShellScript')
    return [
      {
        name: 'aws:runShellScript',
        action: 'aws:runShellScript',
        script: values.commands ?? [],
        folder: value('workingDirectory') || folder,
        timeoutSeconds: Number(value('executionTimeout') || 3600),
      },
    ]
  const steps = (content.mainSteps ?? []) as {name: string; action: string; inputs: Record<string, unknown>}[]
  return steps.map(({name, action, inputs}) => ({
    name,
    action,
    script: [inputs.runCommand as string | string[]].flat(),
    folder: String(inputs.workingDirectory || folder),
    timeoutSeconds: Number(inputs.timeoutSeconds ?? 3600),
  }))
}

/** Runs the steps of one instance, one after the other, until one fails. */
async function runOn(world: World, it: Invocation, steps: Step[], folder: string): Promise<void> {
  if (!it.instance.connected) {
    it.status = 'Delayed'
    it.details = 'Undeliverable'
    it.status = 'TimedOut'
    return
  }
  it.status = 'InProgress'
  it.details = 'InProgress'
  it.startedAt = world.now()
  for (const step of steps) {
    const startedAt = world.now()
    const [out, err]: [Buffer[], Buffer[]] = [[], []]
    let timedOut = false
    const code = await new Promise<number>(resolve => {
      const child = spawn('/bin/sh', ['-c', step.script.join('\n')], {
        cwd: step.folder.startsWith('/') ? step.folder : join(folder, step.folder),
        env: {...world.agent.environment, ...it.instance.agent.environment, HOME: folder, [mark]: `${world.mark}/${it.instance.id}`},
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      })
      it.child = child
      child.stdout.on('data', data => void out.push(data as Buffer))
      child.stderr.on('data', data => void err.push(data as Buffer))
      const late = setTimeout(
        () => {
          timedOut = true
          kill(it)
        },
        (step.timeoutSeconds * 1000) / world.timeScale,
      )
      child.once('error', () => resolve(1))
      child.once('close', (status, signal) => {
        clearTimeout(late)
        resolve(signal ? (it.status === 'Cancelling' ? -1 : 137) : (status ?? 1))
      })
    })
    it.child = undefined
    const cancelled = (it.status as string) === 'Cancelling'
    const errors = Buffer.concat(err).toString()
    it.plugins.push({
      name: step.name,
      status: cancelled ? 'Cancelled' : timedOut ? 'TimedOut' : code === 0 ? 'Success' : 'Failed',
      code,
      output: Buffer.concat(out).toString(),
      errors: code > 0 ? `${errors}failed to run commands: exit status ${code}` : errors,
      startedAt,
      endedAt: world.now(),
    })
    it.code = code
    if (cancelled) it.status = it.details = 'Cancelled' as const
    else if (timedOut) {
      it.status = 'TimedOut'
      it.details = 'ExecutionTimedOut'
    } else if (code !== 0) it.status = it.details = 'Failed' as const
    if (over(it)) break
  }
  if (!over(it)) it.status = it.details = 'Success' as const
  it.endedAt = world.now()
}

function kill(it: Invocation): void {
  if (!it.child?.pid) return
  try {
    process.kill(-it.child.pid, 'SIGKILL')
  } catch {}
}

/** Sends a command, and lets it run. */
export function startCommand(world: World, region: string, input: SendInput): Command {
  const document = findDocument(world, input.DocumentName)
  if (document.type !== 'Command') throw new ApiError('InvalidDocument', `Document ${document.name} is not a command document.`)
  if (input.DocumentVersion && !['$DEFAULT', '$LATEST', document.version].includes(input.DocumentVersion))
    throw new ApiError('InvalidDocumentVersion', 'There is no such version.')
  if ((input.TimeoutSeconds ?? 3600) < 30) throw new ApiError('ValidationException', 'TimeoutSeconds is at least 30')
  if ((input.Comment ?? '').length > 100) throw new ApiError('ValidationException', 'Comment has at most 100 characters')
  const values = fillIn(document, input.Parameters ?? {})
  const instances = chosen(world, region, input)
  const atOnce = share(input.MaxConcurrency ?? '50', instances.length, 1)
  const mostErrors = share(input.MaxErrors ?? '0', instances.length, 0)
  const command: Command = {
    id: crypto.randomUUID(),
    input,
    document,
    region,
    requestedAt: world.now(),
    status: 'Pending',
    details: 'Pending',
    invocations: instances.map(instance => ({
      instance,
      status: 'Pending',
      details: 'Pending',
      code: -1,
      startedAt: undefined,
      endedAt: undefined,
      plugins: [],
      child: undefined,
      lag: world.invocationLag,
    })),
    ended: Promise.resolve(),
  }
  const failed = (): number => command.invocations.filter(one => one.status === 'Failed' || one.status === 'TimedOut').length
  const left = [...command.invocations]
  const worker = async (): Promise<void> => {
    for (let one = left.shift(); one; one = left.shift()) {
      if (one.status !== 'Pending') continue
      if (failed() > mostErrors) {
        one.status = 'Cancelled'
        one.details = 'Terminated'
        continue
      }
      const folder = world.folderOf(one.instance.id)
      mkdirSync(folder, {recursive: true})
      await runOn(world, one, stepsOf(document, values, folder), folder)
    }
  }
  command.status = command.details = 'InProgress'
  command.ended = (async () => {
    await Promise.all(Array.from({length: Math.min(atOnce, instances.length)}, worker))
    const statuses = command.invocations.map(one => one.status)
    command.status = command.details = statuses.every(one => one === 'Success')
      ? 'Success'
      : failed() > 0
        ? 'Failed'
        : statuses.includes('Cancelled')
          ? 'Cancelled'
          : 'Failed'
    if (failed() > 0 && failed() <= mostErrors) command.details = 'Incomplete'
    if (instances.length === 0) command.details = 'NoInstancesInTag'
  })()
  world.commands.set(command.id, command)
  return command
}

function described(it: Command): object {
  const {input} = it
  return {
    CommandId: it.id,
    DocumentName: it.document.name,
    DocumentVersion: input.DocumentVersion ?? '$DEFAULT',
    Comment: input.Comment ?? '',
    ExpiresAfter: (it.requestedAt + (input.TimeoutSeconds ?? 3600) * 1000) / 1000,
    Parameters: input.Parameters ?? {},
    InstanceIds: input.InstanceIds ?? [],
    Targets: input.Targets ?? [],
    RequestedDateTime: it.requestedAt / 1000,
    Status: it.status,
    StatusDetails: it.details,
    MaxConcurrency: input.MaxConcurrency ?? '50',
    MaxErrors: input.MaxErrors ?? '0',
    TargetCount: it.invocations.length,
    CompletedCount: it.invocations.filter(over).length,
    ErrorCount: it.invocations.filter(one => one.status === 'Failed').length,
    DeliveryTimedOutCount: it.invocations.filter(one => one.details === 'Undeliverable').length,
    TimeoutSeconds: input.TimeoutSeconds ?? 3600,
  }
}

const outputLimit = 24_000
const errorLimit = 8000
const cut = (text: string, most: number): string => (text.length > most ? text.slice(0, most) : text)
const stamp = (at: number | undefined): string => (at === undefined ? '' : new Date(at).toISOString())

function sendCommand({input, region, world, authorize}: Incoming<SendInput>): object {
  const document = findDocument(world, input.DocumentName)
  authorize('ssm:SendCommand', documentArns(document, region))
  for (const it of chosen(world, region, input))
    authorize(
      'ssm:SendCommand',
      it.id.startsWith('mi-')
        ? `arn:aws:ssm:${region}:${account}:managed-instance/${it.id}`
        : `arn:aws:ec2:${region}:${account}:instance/${it.id}`,
      Object.fromEntries(Object.entries(it.tags).map(([key, value]) => [`ssm:resourceTag/${key}`, value])),
    )
  return {Command: described(startCommand(world, region, input))}
}

interface AskInput {
  CommandId?: string
  InstanceId?: string
  InstanceIds?: string[]
  PluginName?: string
  Details?: boolean
  MaxResults?: number
  NextToken?: string
}

function getInvocation({input, region, world, authorize}: Incoming<AskInput>): object {
  authorize('ssm:GetCommandInvocation', '*')
  const command = world.commands.get(input.CommandId ?? '')
  const it = command?.invocations.find(one => one.instance.id === input.InstanceId)
  if (!command || !it || command.region !== region || it.lag-- > 0) throw new ApiError('InvocationDoesNotExist', '')
  if (it.plugins.length > 1 && !input.PluginName)
    throw new ApiError('InvalidPluginName', 'PluginName is needed, for the document has several steps.')
  const plugin = input.PluginName ? it.plugins.find(one => one.name === input.PluginName) : it.plugins[0]
  if (input.PluginName && over(it) && !plugin) throw new ApiError('InvalidPluginName', 'There is no such step.')
  return {
    CommandId: command.id,
    InstanceId: it.instance.id,
    Comment: command.input.Comment ?? '',
    DocumentName: command.document.name,
    DocumentVersion: command.input.DocumentVersion ?? '$DEFAULT',
    PluginName: plugin?.name ?? input.PluginName ?? '',
    ResponseCode: plugin?.code ?? it.code,
    ExecutionStartDateTime: stamp(it.startedAt),
    ExecutionElapsedTime: `PT${(((it.endedAt ?? world.now()) - (it.startedAt ?? world.now())) / 1000).toFixed(3)}S`,
    ExecutionEndDateTime: stamp(it.endedAt),
    Status: it.status === 'Delayed' ? 'Pending' : (plugin?.status ?? it.status),
    StatusDetails: plugin && plugin.status !== it.status ? plugin.status : it.details,
    StandardOutputContent: over(it) ? cut(plugin?.output ?? '', outputLimit) : '',
    StandardOutputUrl: '',
    StandardErrorContent: over(it) ? cut(plugin?.errors ?? '', errorLimit) : '',
    StandardErrorUrl: '',
  }
}

function listInvocations({input, region, world, authorize}: Incoming<AskInput>): object {
  authorize('ssm:ListCommandInvocations', '*')
  const all = [...world.commands.values()].filter(one => one.region === region && (!input.CommandId || one.id === input.CommandId))
  const found = all.flatMap(command =>
    command.invocations.filter(it => !input.InstanceId || it.instance.id === input.InstanceId).map(it => ({command, it})),
  )
  const [from, size] = [Number(input.NextToken ?? 0), input.MaxResults ?? 50]
  return {
    CommandInvocations: found.slice(from, from + size).map(({command, it}) => ({
      CommandId: command.id,
      InstanceId: it.instance.id,
      InstanceName: it.instance.name,
      Comment: command.input.Comment ?? '',
      DocumentName: command.document.name,
      DocumentVersion: command.input.DocumentVersion ?? '$DEFAULT',
      RequestedDateTime: command.requestedAt / 1000,
      Status: it.status,
      StatusDetails: it.details,
      StandardOutputUrl: '',
      StandardErrorUrl: '',
      CommandPlugins: input.Details
        ? it.plugins.map(one => ({
            Name: one.name,
            Status: one.status,
            StatusDetails: one.status,
            ResponseCode: one.code,
            ResponseStartDateTime: one.startedAt / 1000,
            ResponseFinishDateTime: one.endedAt / 1000,
            Output: cut(one.output + (one.errors ? `\n----------ERROR-------\n${one.errors}` : ''), 2500),
            StandardOutputUrl: '',
            StandardErrorUrl: '',
          }))
        : [],
    })),
    ...(from + size < found.length && {NextToken: String(from + size)}),
  }
}

function listCommands({input, region, world, authorize}: Incoming<AskInput>): object {
  authorize('ssm:ListCommands', '*')
  const found = [...world.commands.values()].filter(
    one =>
      one.region === region &&
      (!input.CommandId || one.id === input.CommandId) &&
      (!input.InstanceId || one.invocations.some(it => it.instance.id === input.InstanceId)),
  )
  return {Commands: found.map(described)}
}

function cancelCommand({input, region, world, authorize}: Incoming<AskInput>): object {
  authorize('ssm:CancelCommand', '*')
  const command = world.commands.get(input.CommandId ?? '')
  if (!command || command.region !== region) throw new ApiError('InvalidCommandId', 'There is no such command.')
  cancel(command, input.InstanceIds)
  return {}
}

/** Takes back what has not begun, and ends what runs. */
export function cancel(command: Command, instanceIds?: string[]): void {
  for (const it of command.invocations) {
    if (instanceIds?.length && !instanceIds.includes(it.instance.id)) continue
    if (it.status === 'Pending') it.status = it.details = 'Cancelled' as const
    else if (it.status === 'InProgress') {
      it.status = it.details = 'Cancelling' as const
      kill(it)
    }
  }
}

/** Run Command. */
export const runCommandApi: Api = {
  SendCommand: sendCommand,
  GetCommandInvocation: getInvocation,
  ListCommandInvocations: listInvocations,
  ListCommands: listCommands,
  CancelCommand: cancelCommand,
}
