/** Commands on many instances (section 21): they really run, each in its instance's folder, so many at once, until too many have failed. */
import {type ChildProcess, spawn} from 'node:child_process'
import {mkdirSync} from 'node:fs'
import {join} from 'node:path'
import type {World} from './api.ts'
import {ApiError} from './api-error.ts'
import {findDocument} from './api-ssm.ts'
import {fillIn, replaced} from './documents.ts'
import {mark} from './end-tree.ts'
import {account, type Document, type Instance} from './world.ts'

/** What SendCommand is told. */
export interface SendInput {
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
  /** ends the waiting for an instance that is not there */
  giveUp: (() => void) | undefined
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

/** Whether it has ended. */
export const over = (it: Invocation): boolean => !['Pending', 'InProgress', 'Cancelling', 'Delayed'].includes(it.status)

/** `10`, or `50%` of so many, rounded as the service rounds them: a share is at least one for concurrency. */
function share(text: string, of: number, least: number): number {
  const [, number, percent] = /^(\d+)(%)?$/.exec(text) ?? []
  if (number === undefined) throw new ApiError('ValidationException', `${text} is no number and no share`)
  return percent ? Math.max(least, Math.floor((Number(number) * of) / 100)) : Math.max(least, Number(number))
}

/** The instances that a command is for. Throws for one that cannot be reached. */
export function chosen(world: World, region: string, {InstanceIds, Targets}: SendInput): Instance[] {
  const here = world.instances.filter(one => one.region === region)
  if (InstanceIds) {
    if (InstanceIds.length > 50) throw new ApiError('ValidationException', 'InstanceIds has at most 50 members')
    return InstanceIds.map(id => {
      const found = here.find(one => one.id === id)
      if (found?.state !== 'running' || !found.connected)
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
async function runOn(world: World, it: Invocation, steps: Step[], folder: string, deliveryMs: number): Promise<void> {
  if (!it.instance.connected) {
    // chosen by a tag, it is waited for
    await new Promise<void>(resolve => {
      const give = setTimeout(resolve, deliveryMs)
      it.giveUp = () => {
        clearTimeout(give)
        resolve()
      }
    })
    if (over(it)) return
    it.status = 'TimedOut'
    it.details = 'DeliveryTimedOut'
    it.endedAt = world.now()
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
      giveUp: undefined,
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
      await runOn(world, one, stepsOf(document, values, folder), folder, ((input.TimeoutSeconds ?? 3600) * 1000) / world.timeScale)
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

/** Takes back what has not begun, and ends what runs. */
export function cancel(command: Command, instanceIds?: string[]): void {
  for (const it of command.invocations) {
    if (instanceIds?.length && !instanceIds.includes(it.instance.id)) continue
    if (it.status === 'Pending') {
      it.status = it.details = 'Cancelled' as const
      it.giveUp?.()
    } else if (it.status === 'InProgress') {
      it.status = it.details = 'Cancelling' as const
      kill(it)
    }
  }
}
