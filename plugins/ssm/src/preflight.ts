/** Why a session does not come about, and what mends it. The table of docs/aws-sessions.md is made of these. */

import {parseXML} from '@aws-sdk/xml-builder'
import {type Cause, unreachable} from '@prod/sdk/cause'
import {ProdError} from '@prod/sdk/errors'
import {AwsRefused, json, query, type Way} from './aws/call.ts'
import type {Target} from './target.ts'

/** One cause: what is so, and the mend. `{…}` stands for what was found. */
export const causes = {
  unregistered: {
    what: 'Systems Manager does not know {instance} in {region}',
    mend: 'start the SSM agent there; give the instance the role AmazonSSMManagedInstanceCore, and a way to the endpoints ssm and ssmmessages',
  },
  elsewhere: {what: 'there is no instance {instance} in {region} of this account', mend: 'look at region, id and the role of the target'},
  stopped: {what: '{instance} is {state}', mend: 'start the instance'},
  noProfile: {
    what: '{instance} has no instance profile',
    mend: 'attach one whose role holds AmazonSSMManagedInstanceCore, or turn on default host management',
  },
  silent: {
    what: 'the agent of {instance} has not been heard since {since}',
    mend: 'on the instance: systemctl restart amazon-ssm-agent; look at its network and its role',
  },
  noMessages: {
    what: 'the agent of {instance} is online but has no channel for sessions',
    mend: "the instance's role needs the four ssmmessages actions, and the instance a way to ssmmessages.{region}.amazonaws.com",
  },
  oldAgent: {what: 'the agent of {instance} is {version}, and this needs {needed}', mend: 'update it: the document AWS-UpdateSSMAgent'},
  document: {what: 'there is no document {document} in {region} of this account', mend: 'make it: docs/aws-sessions.md, "Documents"'},
  denied: {what: 'AWS does not allow {action}: {said}', mend: 'add it to the role of the target: docs/aws-sessions.md, "Permissions"'},
  expired: {what: 'AWS does not take the credential of this use, or no longer: {said}', mend: 'ask again with the same command'},
  upgrade: {
    what: 'the data channel of {instance} was refused: {said}',
    mend: 'the role of the target needs ssmmessages:OpenDataChannel on its own sessions: docs/aws-sessions.md, "Permissions"',
  },
  kms: {
    what: 'no data key could be had for the session: {said}',
    mend: "the role of the target needs kms:GenerateDataKey on the account's session key, the instance's role kms:Decrypt",
  },
  ended: {what: 'the session on {instance} could not begin: {said}', mend: 'docs/aws-sessions.md, "Troubleshooting"'},
  busy: {what: 'AWS takes no more calls of {action} now', mend: 'try again in a minute'},
} as const satisfies Record<string, Cause>

/** A cause with what was found, as the failure that a person sees. */
export function failureOf(cause: keyof typeof causes, found: Record<string, string>, options?: ErrorOptions): ProdError {
  return unreachable([{cause: causes[cause], found}], options)
}

/** What AWS's refusal of a call means here; a `ProdError` and whatever is a bug pass. Asks further where the agent is not connected. */
export async function explain(error: unknown, way: Way, target: Target, document?: string): Promise<unknown> {
  if (!(error instanceof AwsRefused)) return error
  const found = {instance: target.instanceId, region: target.region, action: error.action, said: error.message, document: document ?? ''}
  const as = (cause: keyof typeof causes): ProdError => failureOf(cause, found, {cause: error})
  if (error.expired) return as('expired')
  if (error.denied) return as(error.action.startsWith('kms:') ? 'kms' : 'denied')
  if (error.code === 'InvalidDocument') return as('document')
  if (error.code === 'InvalidInstanceId') return as('elsewhere')
  if (error.code === 'TargetNotConnected') return (await findCause(way, target)) ?? as('unregistered')
  if (/Throttl|TooMany|RateExceeded/i.test(error.code)) return as('busy')
  if (error.action.startsWith('kms:')) return as('kms')
  return new ProdError(
    'TARGET_UNREACHABLE',
    `AWS answers ${error.action} with ${error.code}: ${error.message}`,
    'docs/aws-sessions.md, "Troubleshooting"',
    {
      cause: error,
    },
  )
}

interface Information {
  PingStatus?: string
  AgentVersion?: string
  LastPingDateTime?: number
}

/** Looks at an instance whose agent is not connected, as far as the credential may look. */
export async function findCause(way: Way, {instanceId: instance, region}: Target): Promise<ProdError | undefined> {
  const [known, seen] = await Promise.all([
    json<{InstanceInformationList?: Information[]}>('ssm', way, 'DescribeInstanceInformation', {
      Filters: [{Key: 'InstanceIds', Values: [instance]}],
    }).catch(() => undefined),
    instance.startsWith('i-') ? describeInstances(way, {'InstanceId.1': instance}).catch(asMissing) : undefined,
  ])
  const [ec2] = seen ?? []
  if (seen && !ec2) return failureOf('elsewhere', {instance, region})
  if (ec2 && ec2.state !== '' && ec2.state !== 'running') return failureOf('stopped', {instance, state: ec2.state})
  const [agent] = known?.InstanceInformationList ?? []
  if (known && !agent) return failureOf(ec2 && !ec2.hasProfile ? 'noProfile' : 'unregistered', {instance, region})
  if (!agent) return undefined
  if (agent.PingStatus === 'Online') return failureOf('noMessages', {instance, region})
  const since = agent.LastPingDateTime ? new Date(agent.LastPingDateTime * 1000).toISOString() : 'it was registered'
  return failureOf('silent', {instance, since})
}

function asMissing(error: unknown): Instance[] | undefined {
  return error instanceof AwsRefused && /InvalidInstanceID/.test(error.code) ? [] : undefined
}

/** One instance as EC2 knows it. */
export interface Instance {
  id: string
  /** undefined: not told */
  account: string | undefined
  state: string
  hasProfile: boolean
  tags: Record<string, string>
  /** private and public addresses and names */
  names: string[]
}

/** All that are asked for. */
export async function describeInstances(way: Way, parameters: Record<string, string>): Promise<Instance[]> {
  const found: Instance[] = []
  for await (const one of eachInstance(way, parameters)) found.push(one)
  return found
}

/** All that are asked for, page by page. */
export async function* eachInstance(way: Way, parameters: Record<string, string>): AsyncGenerator<Instance> {
  for (let token: string | undefined; ; ) {
    const xml = await query(way, 'DescribeInstances', {...parameters, ...(token ? {NextToken: token} : {})})
    const answer = node(node(parseXML(xml)).DescribeInstancesResponse)
    for (const reservation of list(node(answer.reservationSet).item)) {
      for (const one of list(node(reservation.instancesSet).item)) {
        const text = (name: string): string => (typeof one[name] === 'string' ? one[name] : '')
        yield {
          id: text('instanceId'),
          account: typeof reservation.ownerId === 'string' ? reservation.ownerId : '',
          state: String(node(one.instanceState).name ?? ''),
          hasProfile: Boolean(node(one.iamInstanceProfile).arn),
          tags: Object.fromEntries(list(node(one.tagSet).item).map(({key, value}) => [String(key), String(value ?? '')])),
          names: [text('privateIpAddress'), text('privateDnsName'), text('ipAddress'), text('dnsName')].filter(name => name !== ''),
        }
      }
    }
    token = typeof answer.nextToken === 'string' && answer.nextToken !== '' ? answer.nextToken : undefined
    if (!token) return
  }
}

type Node = Record<string, unknown>
const node = (value: unknown): Node => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Node) : {})
const list = (value: unknown): Node[] => (Array.isArray(value) ? value.map(node) : value === undefined || value === '' ? [] : [node(value)])

/** Whether the instance is the one that was approved (TM-X2): of this account, with these tags. Throws TARGET_INVALID, TARGET_UNREACHABLE. */
export async function checkPins(way: Way, target: Target): Promise<void> {
  const {instanceId, account, tags} = target
  const wanted = Object.entries(tags)
  if (account === undefined && wanted.length === 0) return
  const changed = (what: string): ProdError =>
    new ProdError('TARGET_INVALID', `${instanceId} is not what the catalog says: ${what}`, 'mend the target in the catalog, then ask again')
  const now: Pick<Instance, 'tags' | 'account'>[] = instanceId.startsWith('mi-')
    ? await describeManaged(way, instanceId)
    : await describeInstances(way, {'InstanceId.1': instanceId}).catch(asNone)
  const [found] = now
  if (!found) throw changed('it is not there')
  if (account !== undefined && found.account !== undefined && found.account !== account)
    throw changed(`it belongs to the account ${found.account}, not to ${account}`)
  for (const [key, value] of wanted) {
    const has = Object.hasOwn(found.tags, key) ? JSON.stringify(found.tags[key]) : 'none'
    if (has !== JSON.stringify(value)) throw changed(`its tag ${key} is ${has}, not ${JSON.stringify(value)}`)
  }
}

function asNone(error: unknown): Instance[] {
  if (error instanceof AwsRefused && /InvalidInstanceID/.test(error.code)) return []
  throw error
}

/** A machine outside of EC2: Systems Manager holds its tags; its account is held to by the permission, which names it. */
async function describeManaged(way: Way, id: string): Promise<Pick<Instance, 'tags' | 'account'>[]> {
  const {TagList = []} = await json<{TagList?: {Key: string; Value: string}[]}>('ssm', way, 'ListTagsForResource', {
    ResourceType: 'ManagedInstance',
    ResourceId: id,
  })
  return [{account: undefined, tags: Object.fromEntries(TagList.map(({Key, Value}) => [Key, Value]))}]
}
