/** Run Command: sent, followed instance by instance, its outputs fetched, cancelled when asked. */
import type {Access, Channel, Exit, Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {AwsRefused, json, type Way, wayOf} from '../aws/call.ts'
import {commandLine} from '../command-line.ts'
import {pinnedVersion} from '../documents.ts'
import {channelOf, rounds, type Voice} from '../job.ts'
import {parametersOf} from '../parameters.ts'
import {explain} from '../preflight.ts'
import {type CommandTarget, documentOf, noStdin, shellScript} from './target.ts'

/** A command on one instance, as ListCommandInvocations and GetCommandInvocation tell it. */
interface Invocation {
  InstanceId: string
  InstanceName?: string
  Status: string
  StatusDetails?: string
  ResponseCode?: number
  StandardOutputContent?: string
  StandardErrorContent?: string
}

/** so many ids AWS takes in one command. Source: SendCommand */
const mostIds = 50
/** ids by which instances are looked for at most. Source: DescribeInstanceInformation */
const mostFilters = 100
/** up to so many instances are asked after one by one, which needs one right less and tells the exit status at once */
const oneByOne = 5
/** so long an instance may be missing among those of a command that is over */
const lateMs = 20_000
/** how much AWS keeps of each stream, in characters. Source: GetCommandInvocation */
const keptOut = 24_000
const keptErr = 8_000
const over = new Set([
  'Success',
  'Cancelled',
  'TimedOut',
  'Failed',
  'Undeliverable',
  'Terminated',
  'Incomplete',
  'AccessDenied',
  'RateExceeded',
])

/** Sends the command. Throws TARGET_INVALID, TARGET_UNREACHABLE, ARGV_INVALID; nothing was begun then. */
export async function open(target: CommandTarget, use: Use, access: Access, signal: AbortSignal, strict: boolean): Promise<Channel> {
  if (use.kind !== 'exec') throw new ProdError('TARGET_INVALID', 'a Run Command is neither a shell nor a forward', 'prod exec TOOL')
  if (use.stdin) throw new ProdError('STDIN_REFUSED', noStdin.why, noStdin.instead)
  signal.throwIfAborted()
  const way = wayOf(access, target.region)
  const asFailure = (error: unknown): Promise<never> =>
    explain(
      error,
      way,
      {region: target.region, instanceId: target.instanceIds.join(', ') || 'what has these tags', tags: {}},
      documentOf(target),
    ).then(failure => Promise.reject(failure))
  const document = documentOf(target)
  const parameters =
    document === shellScript ? {commands: [commandLine(use)], executionTimeout: [String(use.limits.wallSeconds)]} : parametersOf(use.argv)
  const version = await pinnedVersion(way, target.document, {strict, key: 'document'}).catch(asFailure)
  const instances = await choose(way, target).catch(asFailure)
  signal.throwIfAborted()
  const pace = paceOf(target, instances.length)
  const send = async (ids: readonly string[], errors: string): Promise<string> => {
    const {Command} = await json<{Command: {CommandId: string}}>(
      'ssm',
      way,
      'SendCommand',
      {
        DocumentName: document,
        ...(version === undefined ? {} : {DocumentVersion: version}),
        // never the tags that chose them: another instance may have them by now
        InstanceIds: ids,
        Parameters: parameters,
        TimeoutSeconds: Math.max(30, Math.min(use.limits.wallSeconds, 600)),
        Comment: `prod ${access.id}`.slice(0, 100),
        MaxConcurrency: pace.concurrency,
        MaxErrors: errors,
      },
      {once: true},
    )
    return Command.CommandId
  }
  const batches = Array.from({length: Math.ceil(instances.length / mostIds)}, (_, at) => instances.slice(at * mostIds, (at + 1) * mostIds))
  let id = await send(batches[0] ?? [], pace.errors).catch(asFailure)
  let isCancelled = false
  const seen: Progress = {expected: instances.length, told: new Map(), done: new Map()}
  return channelOf({
    async follow(voice, abandoned) {
      for (const [at, batch] of batches.entries()) {
        const failed = [...seen.done.values()].filter(one => one.Status !== 'Success').length
        if (at > 0 && (isCancelled || failed > pace.mayFail)) break
        if (at > 0) id = await send(batch, String(pace.mayFail - failed))
        await follow(way, id, batch, seen, voice, abandoned)
      }
      const done = [...seen.done.values()]
      const never = instances.length - done.length
      if (instances.length > 1) await voice.err(`${summary(done, never)}\n`)
      return exitOf(done, never)
    },
    cancel: async () => {
      isCancelled = true
      await json('ssm', way, 'CancelCommand', {CommandId: id})
    },
  })
}

/** How many at a time, and how many may fail: AWS's own words for one command; numbers where it takes several, one after the other. */
function paceOf({concurrency, errors}: CommandTarget, all: number): {concurrency: string; errors: string; mayFail: number} {
  const share = (text: string): number => (text.endsWith('%') ? Math.floor((Number.parseInt(text, 10) * all) / 100) : Number(text))
  const mayFail = share(errors)
  if (all <= mostIds) return {concurrency, errors, mayFail}
  return {concurrency: String(Math.max(1, share(concurrency))), errors: String(mayFail), mayFail}
}

/** The instances that the address leads to now. Throws what `choose` does. */
export async function resolve(target: CommandTarget, access: Access): Promise<string> {
  const way = wayOf(access, target.region)
  const found = await choose(way, target).catch(async (error: unknown) => {
    throw await explain(error, way, {region: target.region, instanceId: 'what has these tags', tags: {}}, documentOf(target))
  })
  return `${target.region}/${found.join(',')}${target.query}`
}

/** The instances now: what is named must have the tags, what the tags choose is counted (TM-X2). */
async function choose(way: Way, {instanceIds, tags, most}: CommandTarget): Promise<string[]> {
  const wanted = Object.entries(tags)
  if (instanceIds.length > 0 && wanted.length === 0) return within([...instanceIds], most)
  const found: string[] = []
  for (let token: string | undefined; ; ) {
    const page = await json<{InstanceInformationList?: {InstanceId: string}[]; NextToken?: string}>(
      'ssm',
      way,
      'DescribeInstanceInformation',
      {
        Filters: [
          ...(instanceIds.length > 0 && instanceIds.length <= mostFilters ? [{Key: 'InstanceIds', Values: instanceIds}] : []),
          ...wanted.map(([key, value]) => ({Key: `tag:${key}`, Values: [value]})),
        ],
        MaxResults: 50,
        ...(token ? {NextToken: token} : {}),
      },
    )
    found.push(...(page.InstanceInformationList ?? []).map(({InstanceId}) => InstanceId))
    token = page.NextToken
    if (!token) break
  }
  const lacking = instanceIds.find(id => !found.includes(id))
  if (lacking !== undefined)
    throw new ProdError(
      'TARGET_INVALID',
      `${lacking} is not what the catalog says: Systems Manager knows none of that id with these tags`,
      'mend the target in the catalog, then ask again',
    )
  if (instanceIds.length > 0) return within([...instanceIds], most)
  if (found.length === 0) throw new ProdError('TARGET_UNREACHABLE', 'no instance of Systems Manager has these tags', 'prod targets')
  return within(found.sort(), most)
}

function within(instances: string[], most: number): string[] {
  if (instances.length <= most) return instances
  throw new ProdError(
    'LIMIT_REACHED',
    `that is ${instances.length} instances, and the target takes ${most} at most`,
    'most=… in the address, or narrower tags',
  )
}

/** What is known of all instances of a run so far. */
interface Progress {
  readonly expected: number
  readonly told: Map<string, string>
  readonly done: Map<string, Invocation>
}

/** Follows one command until all its instances are done, or AWS says that it is over. */
async function follow(
  way: Way,
  id: string,
  instances: readonly string[],
  {expected, told, done}: Progress,
  voice: Voice,
  signal: AbortSignal,
): Promise<void> {
  const many = expected > 1
  const before = done.size
  let news = before
  let silentSince = Date.now()
  if (many) await voice.err(`command ${id} on ${instances.length} instances\n`)
  for await (const _ of rounds(signal)) {
    const seen = instances.length <= oneByOne ? await eachOf(way, id, instances) : await listed(way, id)
    for (const one of seen) {
      if (done.has(one.InstanceId)) continue
      const details = one.StatusDetails || one.Status
      if (told.get(one.InstanceId) !== details) {
        told.set(one.InstanceId, details)
        if (many && !over.has(one.Status)) await voice.err(row(one.InstanceId, one.InstanceName, details, done.size, expected))
      }
      if (!over.has(one.Status)) continue
      const whole = one.StandardOutputContent === undefined ? await invocation(way, id, one.InstanceId) : one
      if (!whole) continue
      done.set(one.InstanceId, whole)
      if (many) await voice.err(row(one.InstanceId, one.InstanceName, statusWords(whole), done.size, expected))
      await tell(whole, one.InstanceName, many, voice)
    }
    if (done.size - before >= instances.length) return
    // the far side counts too: an instance that never got it has no invocation, but one that got it may be told of late
    if (done.size > news) silentSince = Date.now()
    news = done.size
    if (Date.now() - silentSince > lateMs && (await isOver(way, id))) return
  }
}

async function isOver(way: Way, id: string): Promise<boolean> {
  const {Commands = []} = await json<{Commands?: {Status: string}[]}>('ssm', way, 'ListCommands', {CommandId: id}).catch(() => ({
    Commands: [],
  }))
  return Commands[0] !== undefined && over.has(Commands[0].Status)
}

async function eachOf(way: Way, id: string, instances: readonly string[]): Promise<Invocation[]> {
  const found: Invocation[] = []
  for (const instance of instances) {
    const one = await invocation(way, id, instance)
    if (one) found.push(one)
  }
  return found
}

/** Undefined: AWS does not know of it yet. */
async function invocation(way: Way, id: string, instance: string): Promise<Invocation | undefined> {
  try {
    const one = await json<Invocation>('ssm', way, 'GetCommandInvocation', {CommandId: id, InstanceId: instance})
    return over.has(one.Status) ? {StandardOutputContent: '', ...one, InstanceId: instance} : {...one, InstanceId: instance}
  } catch (error) {
    if (error instanceof AwsRefused && error.code === 'InvocationDoesNotExist') return undefined
    throw error
  }
}

async function listed(way: Way, id: string): Promise<Invocation[]> {
  const found: Invocation[] = []
  for (let token: string | undefined; ; ) {
    const page = await json<{CommandInvocations?: Invocation[]; NextToken?: string}>('ssm', way, 'ListCommandInvocations', {
      CommandId: id,
      MaxResults: 50,
      ...(token ? {NextToken: token} : {}),
    })
    found.push(...(page.CommandInvocations ?? []))
    token = page.NextToken
    if (!token) return found
  }
}

/** The output of one instance: as it is where there is one, under its name where there are several. */
async function tell(one: Invocation, name: string | undefined, many: boolean, voice: Voice): Promise<void> {
  const {StandardOutputContent: out = '', StandardErrorContent: err = '', InstanceId: id} = one
  const whose = name ? `${id} (${name})` : id
  const underName = (text: string): string =>
    many && text !== ''
      ? text
          .replace(/\n$/, '')
          .split('\n')
          .map(line => `[${id}] ${line}\n`)
          .join('')
      : text
  await voice.out(underName(out))
  await voice.err(underName(err))
  if (out.length >= keptOut) await voice.err(`prod: ${whose}: AWS keeps ${keptOut} characters of its output, and there was more\n`)
  if (err.length >= keptErr) await voice.err(`prod: ${whose}: AWS keeps ${keptErr} characters of its errors, and there was more\n`)
}

/** A line of the table that grows as the command gets on. */
function row(id: string, name: string | undefined, state: string, done: number, all: number): string {
  return `${`${done}/${all}`.padStart(7)}  ${id.padEnd(20)} ${(name ?? '').padEnd(24)} ${state}\n`
}

function statusWords(one: Invocation): string {
  if (one.Status === 'Success') return 'Success'
  const status = ran(one) ? `, exit status ${one.ResponseCode}` : ''
  return `${one.StatusDetails || one.Status}${status}`
}

function summary(done: Invocation[], missing: number): string {
  const good = done.filter(({Status}) => Status === 'Success').length
  const idle = done.filter(neverBegan).length
  const parts = [
    `${good} succeeded`,
    `${done.length - good - idle} did not`,
    ...(idle + missing > 0 ? [`${idle + missing} never began`] : []),
  ]
  return parts.join(', ')
}

const ran = ({ResponseCode = -1}: Invocation): boolean => ResponseCode >= 0

/** AWS's words for an instance on which nothing happened. Source: StatusDetails of GetCommandInvocation */
const idle = /^(?:Terminated|Undeliverable|Delivery ?Timed ?Out|Invalid ?Platform|Access ?Denied|Rate ?Exceeded|No ?Instances ?In ?Tag)$/i
const neverBegan = ({Status, StatusDetails}: Invocation): boolean => idle.test(StatusDetails || Status)

/**
 * 0 where all succeeded; the highest status where all that failed have one, whatever was not begun because of them; else nobody knows.
 * @param missing instances that AWS never told of
 */
export function exitOf(done: readonly Invocation[], missing: number): Exit {
  const began = done.filter(one => !neverBegan(one))
  const failed = began.filter(({Status}) => Status !== 'Success')
  const waiting = done.length - began.length + missing
  const silent = failed.find(one => !(one.Status === 'Failed' && ran(one)))
  if (silent) return {unknown: `${silent.InstanceId}: ${silent.StatusDetails || silent.Status}`}
  if (failed.length > 0) return {status: Math.min(255, Math.max(1, ...failed.map(({ResponseCode = 1}) => ResponseCode)))}
  if (waiting === 0) return {status: 0}
  const why = done.find(neverBegan)
  return {unknown: `${waiting} of ${done.length + missing} instances never began${why ? `: ${why.StatusDetails || why.Status}` : ''}`}
}
