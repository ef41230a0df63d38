/** Opens each use. Loaded when the first one is. */
import type {Access, Channel, Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {AwsRefused, json, type Way, wayOf} from '@prod/ssm/aws'
import {finishText, type Mark, newMark, runProgram} from '@prod/ssm/carried'
import {type ChannelOptions, openCommand, openPort, openShell, type PortSession} from '@prod/ssm/channel'
import {checkDocument} from '@prod/ssm/documents'
import {channelOf, openSession, sessionsEnded} from '@prod/ssm/session'
import {failureOf} from './preflight.ts'
import {programText, programWords, shellText, variables} from './script.ts'
import {runShell} from './shell.ts'
import {forwardDocument, isContainer, isMany, lacksStdin, type Target, withTask} from './target.ts'
import {checkLogging, findPlace, type Place} from './task.ts'

type Forward = Extract<Use, {kind: 'forward'}>
type Started = Exclude<Use, Forward>

/** what scripts are started with: a program's terminal carries lines of ours, and wraps none */
const wide = {columns: 300, rows: 100}
const finishMs = 15_000

/** Opens a program, a shell or one connection of a forward. `strict`: the cluster must log it (TM-X3). Throws what `task.ts` and `script.ts` do, DENIED. */
export async function open(target: Target, use: Use, access: Access, signal: AbortSignal, strict: boolean): Promise<Channel> {
  signal.throwIfAborted()
  if (isMany(target))
    throw new ProdError('TARGET_INVALID', 'this stands for many containers, and one is used at a time', 'prod targets --find TEXT')
  const region = regionOf(target, access)
  const bySession = use.kind === 'forward' || (use.kind === 'exec' && target.exec !== undefined)
  checkUse(target, use)
  const way = wayOf(access, region)
  return foreseen(target, region, signal, async () => {
    if (use.kind === 'forward') return openForward(way, target, use, access, signal)
    const place = await findPlace(way, target)
    const mustLog = strict && target.logging !== 'broker'
    // a session by a document is logged where that says, not where the cluster does
    if (mustLog && !bySession) await checkLogging(way, target, place)
    signal.throwIfAborted()
    return bySession
      ? openByDocument(way, target, place, use as Extract<Use, {kind: 'exec'}>, access, signal, {strict, mustLog})
      : openByCommand(way, target, place, use, signal)
  })
}

/** The address with the task that a use would reach now. Throws what `task.ts` does, DENIED. */
export async function resolve(target: Target, access: Access, signal: AbortSignal): Promise<string> {
  const region = regionOf(target, access)
  return foreseen(target, region, signal, async () => withTask(target, region, (await findPlace(wayOf(access, region), target)).taskId))
}

/** What can be refused before anything is asked. */
function checkUse(target: Target, use: Use): void {
  if (use.kind === 'forward') return
  if (use.runAs !== undefined && use.runAs !== 'root')
    throw new ProdError(
      'TOOL_UNAVAILABLE',
      `ECS Exec runs everything as root, not as ${use.runAs}`,
      'take as: out of the tool, or shellAs out of the target',
    )
  if (use.kind !== 'exec') return
  programWords(use.program.path, use.argv)
  if (use.program.sha256 !== undefined)
    throw new ProdError(
      'TOOL_UNAVAILABLE',
      'in a container nobody can say which program it is: pin its image instead',
      'image=sha256:… in the address of the target',
    )
  if (target.exec?.name === 'AWS-StartInteractiveCommand')
    throw new ProdError(
      'TARGET_INVALID',
      'AWS-StartInteractiveCommand opens a terminal, which ECS Exec does by itself',
      'exec= out of the address of the target',
    )
  const lack = use.stdin && lacksStdin(target)
  if (lack) throw new ProdError('STDIN_REFUSED', lack.why, lack.instead)
}

/** Of the address, else of the credential, else of the broker. Throws TARGET_INVALID. */
function regionOf({region, cluster, service}: Target, {credential}: Access, env: NodeJS.ProcessEnv = process.env): string {
  const found = region ?? (credential.Region || env.AWS_REGION || env.AWS_DEFAULT_REGION)
  if (found) return found
  throw new ProdError('TARGET_INVALID', `nothing says in which region ${cluster} is`, `ecs:eu-west-1/${cluster}/${service}`)
}

async function openByCommand(way: Way, target: Target, place: Place, use: Started, signal: AbortSignal): Promise<Channel> {
  const mark = newMark()
  const command =
    use.kind === 'shell'
      ? shellText(mark, use.env)
      : programText(mark, {path: use.program.path, argv: use.argv, env: use.env, cpuSeconds: use.limits.cpuSeconds})
  const finish = (): Promise<boolean> => finishElsewhere(way, target, place, mark)
  const terminal = await openShell(await execute(way, target, place, command, signal), use.kind === 'shell' ? use.size : wide)
  const {wallSeconds} = use.limits
  return use.kind === 'shell'
    ? runShell(terminal, {mark, wallSeconds, finish})
    : runProgram(terminal, {
        place: 'container',
        mend: 'an image with /bin/sh and coreutils, or busybox; or exec=DOCUMENT in the address',
        mark,
        stdin: use.stdin,
        wallSeconds,
        finish,
      })
}

interface Executed {
  session?: {sessionId?: string; streamUrl?: string; tokenValue?: string}
}

/** ExecuteCommand; what the data channel of its session is opened with. Resuming and ending are Systems Manager's. */
async function execute(
  way: Way,
  {cluster}: Target,
  {taskId, container, targetId}: Place,
  command: string,
  signal: AbortSignal,
): Promise<ChannelOptions> {
  const {session = {}} = await json<Executed>(
    'ecs',
    way,
    'ExecuteCommand',
    {cluster, task: taskId, container, command, interactive: true},
    {once: true},
  )
  const {sessionId: id = '', streamUrl = '', tokenValue: token = ''} = session
  if (!id || !streamUrl || !token) throw new AwsRefused('ecs:ExecuteCommand', 200, 'NoSession', 'the answer holds no session')
  return channelOf({id, streamUrl, token}, {way, region: way.region, targetId, signal})
}

/** Ends what bears the mark by a session of its own, for the one it runs in may not answer. */
async function finishElsewhere(way: Way, target: Target, place: Place, mark: Mark): Promise<boolean> {
  try {
    const late = AbortSignal.timeout(finishMs)
    const terminal = await openShell(await execute(way, target, place, finishText(mark), late), wide)
    let said = ''
    for await (const chunk of terminal.stdout) said += String(chunk)
    await terminal.ended
    return /gone\r?\n/.test(said)
  } catch {
    // the credential may have ended, or the task: then its session is ended, and the far side does the same when it sees that
    return false
  }
}

async function openByDocument(
  way: Way,
  {exec}: Target,
  {targetId}: Place,
  use: Extract<Use, {kind: 'exec'}>,
  access: Access,
  signal: AbortSignal,
  {strict, mustLog}: {strict: boolean; mustLog: boolean},
): Promise<Channel> {
  // plain words: to split them is to take them apart at the blanks
  const command = ['/usr/bin/env', ...variables(use.env), ...programWords(use.program.path, use.argv)].join(' ')
  await checkDocument(way, {document: exec, use: 'exec', logged: mustLog, pinned: strict})
  const options = await openSession({
    way,
    region: way.region,
    instanceId: targetId,
    document: exec?.name,
    parameters: {command: [command]},
    access,
    signal,
  })
  return openCommand(options)
}

/** A forward's container, and the session that its connections share. */
interface Shared {
  place?: Promise<Place>
  readonly ports: Map<string, Promise<PortSession>>
}

const shared = new Map<string, Shared>()

/** The use of this id is over: its sessions end. */
export async function release(id: string): Promise<void> {
  const found = shared.get(id)
  shared.delete(id)
  await Promise.all([...(found?.ports.values() ?? [])].map(port => port.then(one => one.end('the forward is over')).catch(() => {})))
  await sessionsEnded(id)
}

async function openForward(way: Way, target: Target, use: Forward, access: Access, signal: AbortSignal): Promise<Channel> {
  const {to} = use
  const one: Shared = shared.get(access.id) ?? {ports: new Map()}
  shared.set(access.id, one)
  const key = `${to.host}:${to.port}`
  for (;;) {
    const known = one.ports.get(key)
    const starting = known ?? startPort(way, target, use, access, one)
    if (!known) {
      one.ports.set(key, starting)
      const forget = (): void => {
        if (one.ports.get(key) === starting) one.ports.delete(key)
      }
      starting.then(port => port.ended.then(forget), forget)
    }
    const port = await starting
    signal.throwIfAborted()
    if (port.form === 'multiplexed') return port.connect()
    // an old agent: a session for each connection
    if (one.ports.get(key) === starting) one.ports.delete(key)
    if (known) continue
    const channel = await port.connect()
    void channel.ended.then(() => port.end('the connection is over'))
    return channel
  }
}

async function startPort(way: Way, target: Target, {to}: Forward, access: Access, one: Shared): Promise<PortSession> {
  // one forward stays with one container: another that took its place was not what was agreed to (TM-X2)
  const before = await one.place?.catch(() => undefined)
  const finding = findPlace(way, before ? {...target, task: before.taskId} : target)
  one.place = finding
  const place = await finding.catch((error: unknown) => {
    if (before) one.place = Promise.resolve(before)
    throw error
  })
  if (before && before.targetId !== place.targetId) {
    one.place = Promise.resolve(before)
    throw new ProdError('TARGET_UNREACHABLE', `the container that this forward leads to was replaced`, 'end the forward and begin another')
  }
  const parameters = {
    portNumber: [String(to.port)],
    localPortNumber: ['0'],
    ...(isContainer(to.host) ? {} : {host: [to.host]}),
  }
  const signal = new AbortController().signal
  return openPort(
    await openSession({way, region: way.region, instanceId: place.targetId, document: forwardDocument(to), parameters, access, signal}),
  )
}

/** What AWS refuses, in our words. */
async function foreseen<A>(target: Target, region: string, signal: AbortSignal, work: () => Promise<A>): Promise<A> {
  try {
    return await work()
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof AwsRefused)) throw error
    const {cluster, container = 'the container'} = target
    if (/TargetNotConnected/.test(error.code))
      throw failureOf([{cause: 'network', found: {container, region, subnet: 'of the task'}}], {cause: error})
    if (/ClusterNotFound/.test(error.code)) throw failureOf([{cause: 'cluster', found: {cluster, region}}], {cause: error})
    if (error.denied)
      throw new ProdError(
        'DENIED',
        `AWS does not allow ${error.action} for ${cluster} (${error.code})`,
        'the role of the target must allow it: docs/aws-sessions.md, "ECS Exec"',
        {cause: error},
      )
    throw new ProdError(
      'TARGET_UNREACHABLE',
      `AWS answers ${error.action} with ${error.code}: ${error.message.slice(0, 300)}`,
      'docs/aws-sessions.md, "ECS Exec"',
      {cause: error},
    )
  }
}
