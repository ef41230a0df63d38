/** Run Command, as its API tells of it. */
import type {Api, Incoming} from './api.ts'
import {ApiError} from './api-error.ts'
import {documentArns, findDocument} from './api-ssm.ts'
import {type Command, cancel, chosen, over, type SendInput, startCommand} from './commands.ts'
import {account} from './world.ts'

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
    DeliveryTimedOutCount: it.invocations.filter(one => one.details === 'DeliveryTimedOut').length,
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

/** Run Command. */
export const runCommandApi: Api = {
  SendCommand: sendCommand,
  GetCommandInvocation: getInvocation,
  ListCommandInvocations: listInvocations,
  ListCommands: listCommands,
  CancelCommand: cancelCommand,
}
