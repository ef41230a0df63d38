/** Sessions of Systems Manager: start, resume, end, list, and what they need to be told first. */
import {mkdirSync} from 'node:fs'
import type {AgentSettings} from './agent-parts.ts'
import type {Api, Incoming, Opened, World} from './api.ts'
import {ApiError} from './api-error.ts'
import {sessionKind} from './documents.ts'
import type {Session} from './gateway.ts'
import {account, type Document, type Identity, type Instance} from './world.ts'

/** What a session reaches. */
interface Reached {
  arn: string
  region: string
  platform: string
  connected: boolean
  agent: Partial<AgentSettings>
  folder: string
}

const preferences = 'SSM-SessionManagerRunShell'

/** The target's instance or container; undefined when there is none, or none in this region. */
export function findTarget(world: World, target: string, region: string): Reached | undefined {
  const ecs = /^ecs:([^_]+)_([^_]+)_(.+)$/.exec(target)
  if (ecs) {
    const [, name, taskId, runtimeId] = ecs
    const cluster = world.clusters.find(one => one.name === name && one.region === region)
    const task = cluster?.tasks.find(one => one.id === taskId)
    const container = task?.containers.find(one => one.runtimeId === runtimeId)
    if (!cluster || !task || !container) return undefined
    return {
      arn: `arn:aws:ecs:${region}:${account}:task/${cluster.name}/${task.id}`,
      region,
      platform: 'Linux',
      connected: task.lastStatus === 'RUNNING' && container.execAgent === 'RUNNING',
      agent: container.agent ?? {},
      folder: world.folderOf(`${task.id}-${container.name}`),
    }
  }
  const instance = world.instances.find(one => one.id === target && one.region === region)
  return (
    instance && {
      arn: instanceArn(instance),
      region,
      platform: instance.platform,
      connected: instance.connected && instance.state === 'running',
      agent: instance.agent,
      folder: world.folderOf(instance.id),
    }
  )
}

const instanceArn = ({id, region}: Instance): string =>
  id.startsWith('mi-') ? `arn:aws:ssm:${region}:${account}:managed-instance/${id}` : `arn:aws:ec2:${region}:${account}:instance/${id}`

/** The names a document goes by in a policy. */
export const documentArns = ({name, owner}: Document, region: string): string[] => [
  ...(owner === 'Amazon' ? [`arn:aws:ssm:${region}::document/${name}`] : []),
  `arn:aws:ssm:${region}:${account}:document/${name}`,
]

/** The names a session goes by in a policy: its id, and with the caller's unique id before the colon that names of roles have. */
export const sessionArns = (session: Session): string[] => [
  `arn:aws:ssm:${session.region}:${account}:session/${session.id}`,
  ...(session.ownerUserId.includes(':')
    ? [`arn:aws:ssm:${session.region}:${account}:session/${session.ownerUserId.split(':')[0]}:${session.id}`]
    : []),
]

/** Finds a document by its name or ARN. */
export function findDocument(world: World, name: string): Document {
  const found = world.documents.find(one => one.name === name.replace(/^arn:.*:document\//, ''))
  if (!found) throw new ApiError('InvalidDocument', `Document with name ${name} does not exist.`)
  return found
}

/** Opens a session with an agent behind it. */
export function openSession(
  world: World,
  it: {target: string; reached: Reached; caller: Identity; document: Document; parameters: Record<string, string[]>; reason: string},
): Opened {
  const {reached, document} = it
  const kind = sessionKind(document, it.parameters, reached.platform)
  const inputs = (document.content.inputs ?? {}) as Record<string, unknown>
  const minutes = (value: unknown): number | undefined => (value ? Number(value) * 60_000 : undefined)
  const [idleMs, maxMs] = [minutes(inputs.idleSessionTimeout), minutes(inputs.maxSessionDuration)]
  return open(world, {
    ...it,
    region: reached.region,
    documentName: document.name,
    kind,
    settings: {...world.agent, ...reached.agent},
    folder: reached.folder,
    limits: {...(idleMs && {idleMs}), ...(maxMs && {maxMs})},
    kmsKeyId: kind.type === 'Port' ? '' : String(inputs.kmsKeyId ?? ''),
  })
}

/** Opens a session of a kind that is known already. */
export function open(
  world: World,
  it: Omit<Parameters<World['gateway']['open']>[0], 'encryption' | 'owner'> & {caller: Identity; kmsKeyId: string},
): Opened {
  mkdirSync(it.folder, {recursive: true})
  const {kmsKeyId, target} = it
  const session = world.gateway.open({
    ...it,
    owner: it.caller,
    encryption: kmsKeyId
      ? {keyId: kmsKeyId, targetId: target, open: (ciphertext, context) => world.keys.decrypt(ciphertext, context).plaintext}
      : undefined,
  })
  const {streamUrl, token} = world.gateway.renew(session.id) as {streamUrl: string; token: string}
  return {session, streamUrl, token}
}

interface StartInput {
  Target: string
  DocumentName?: string
  Parameters?: Record<string, string[]>
  Reason?: string
}

function startSession({input, caller, region, world, authorize}: Incoming<StartInput>): object {
  const {Target, DocumentName, Parameters = {}, Reason = ''} = input
  const reached = findTarget(world, Target, region)
  const arn = reached?.arn ?? `arn:aws:ec2:${region}:${account}:instance/${Target}`
  const tags = Object.entries(world.instances.find(one => one.id === Target)?.tags ?? {})
  const access = {
    'ssm:SessionDocumentAccessCheck': 'true',
    ...Object.fromEntries(
      tags.flatMap(([key, value]) => ['ssm', 'aws'].map(by => [`${by}:${by === 'ssm' ? 'resourceTag' : 'ResourceTag'}/${key}`, value])),
    ),
  }
  authorize('ssm:StartSession', arn, access)
  const document = findDocument(world, DocumentName ?? preferences)
  // the default document is looked at only where a policy asks for it
  const checked = [...caller.allows, ...(caller.policy ?? [])].some(one =>
    JSON.stringify(one.Condition ?? {}).includes('SessionDocumentAccessCheck'),
  )
  if (DocumentName || checked) authorize('ssm:StartSession', documentArns(document, region), access)
  if (!reached?.connected) throw new ApiError('TargetNotConnected', `${Target} is not connected.`)
  const {session, streamUrl, token} = openSession(world, {
    target: Target,
    reached,
    caller,
    document,
    parameters: Parameters,
    reason: Reason,
  })
  return {SessionId: session.id, StreamUrl: streamUrl, TokenValue: token}
}

function resumeSession({input, world, authorize, region}: Incoming<{SessionId: string}>): object {
  const session = known(world, input.SessionId, region, authorize, 'ssm:ResumeSession')
  const fresh = world.gateway.renew(session.id)
  return fresh ? {SessionId: session.id, StreamUrl: fresh.streamUrl, TokenValue: fresh.token} : {SessionId: session.id}
}

function terminateSession({input, world, authorize, region}: Incoming<{SessionId: string}>): object {
  const session = known(world, input.SessionId, region, authorize, 'ssm:TerminateSession')
  session.end()
  return {SessionId: session.id}
}

function known(world: World, id: string, region: string, authorize: Incoming['authorize'], action: string): Session {
  const session = world.gateway.sessions.get(id)
  authorize(action, session ? sessionArns(session) : `arn:aws:ssm:${region}:${account}:session/${id}`)
  if (!session || session.region !== region) throw new ApiError('DoesNotExistException', `Session ${id} does not exist.`)
  return session
}

function describeSessions({input, world, region}: Incoming<{State: string; Filters?: {key: string; value: string}[]}>): object {
  const fits = (it: Session): boolean =>
    (input.Filters ?? []).every(({key, value}) =>
      key === 'Target' ? it.target === value : key === 'SessionId' ? it.id === value : key === 'Owner' ? it.owner.arn === value : true,
    )
  const found = [...world.gateway.sessions.values()].filter(
    it => it.region === region && (input.State === 'Active') === (it.endedAt === undefined) && fits(it),
  )
  return {
    Sessions: found.map(it => ({
      SessionId: it.id,
      Target: it.target,
      Status: it.state,
      StartDate: it.startedAt / 1000,
      ...(it.endedAt !== undefined && {EndDate: it.endedAt / 1000}),
      DocumentName: it.documentName,
      Owner: it.owner.arn,
      Reason: it.reason,
      OutputUrl: {},
    })),
  }
}

function getConnectionStatus({input, world, region, authorize}: Incoming<{Target: string}>): object {
  authorize('ssm:GetConnectionStatus', '*')
  return {Target: input.Target, Status: findTarget(world, input.Target, region)?.connected ? 'connected' : 'notconnected'}
}

interface InformationInput {
  Filters?: {Key: string; Values: string[]}[]
  InstanceInformationFilterList?: {key: string; valueSet: string[]}[]
  MaxResults?: number
  NextToken?: string
}

function describeInstanceInformation({input, world, region, authorize}: Incoming<InformationInput>): object {
  authorize('ssm:DescribeInstanceInformation', '*')
  const filters = [
    ...(input.Filters ?? []),
    ...(input.InstanceInformationFilterList ?? []).map(one => ({Key: one.key, Values: one.valueSet})),
  ]
  const pick = (it: Instance, key: string): string =>
    ({
      InstanceIds: it.id,
      PingStatus: it.connected ? 'Online' : 'ConnectionLost',
      PlatformTypes: it.platform,
      AgentVersion: it.agent.version ?? world.agent.version,
      ResourceType: it.id.startsWith('mi-') ? 'ManagedInstance' : 'EC2Instance',
    })[key] ?? (key.startsWith('tag:') ? (it.tags[key.slice(4)] ?? '') : '')
  const found = world.instances.filter(it => it.region === region && filters.every(({Key, Values}) => Values.includes(pick(it, Key))))
  const [from, size] = [Number(input.NextToken ?? 0), input.MaxResults ?? 50]
  return {
    InstanceInformationList: found.slice(from, from + size).map(it => ({
      InstanceId: it.id,
      PingStatus: it.connected ? 'Online' : 'ConnectionLost',
      LastPingDateTime: world.now() / 1000,
      AgentVersion: it.agent.version ?? world.agent.version,
      IsLatestVersion: false,
      PlatformType: it.platform,
      PlatformName: it.platform === 'Windows' ? 'Microsoft Windows Server 2022 Datacenter' : 'Amazon Linux',
      PlatformVersion: '2023',
      ResourceType: it.id.startsWith('mi-') ? 'ManagedInstance' : 'EC2Instance',
      IPAddress: it.privateIp,
      ComputerName: it.privateDns,
    })),
    ...(from + size < found.length && {NextToken: String(from + size)}),
  }
}

function getDocument({input, world, region, authorize}: Incoming<{Name: string}>): object {
  const document = findDocument(world, input.Name)
  authorize('ssm:GetDocument', documentArns(document, region))
  return {
    Name: document.name,
    DocumentVersion: document.version,
    Status: 'Active',
    Content: JSON.stringify(document.content),
    DocumentType: document.type,
    DocumentFormat: 'JSON',
  }
}

function describeDocument({input, world, region, authorize}: Incoming<{Name: string}>): object {
  const document = findDocument(world, input.Name)
  authorize('ssm:DescribeDocument', documentArns(document, region))
  const parameters = (document.content.parameters ?? {}) as Record<string, {type?: string; default?: string; description?: string}>
  return {
    Document: {
      Name: document.name,
      Owner: document.owner === 'self' ? account : document.owner,
      DocumentVersion: document.version,
      LatestVersion: document.version,
      DefaultVersion: document.version,
      Status: 'Active',
      DocumentType: document.type,
      DocumentFormat: 'JSON',
      SchemaVersion: String(document.content.schemaVersion),
      PlatformTypes: ['Linux', 'MacOS', 'Windows'],
      Parameters: Object.entries(parameters).map(([Name, it]) => ({
        Name,
        Type: it.type ?? 'String',
        ...(it.default !== undefined && {DefaultValue: it.default}),
        ...(it.description && {Description: it.description}),
      })),
    },
  }
}

function listTags({input, world, region, authorize}: Incoming<{ResourceId: string}>): object {
  authorize('ssm:ListTagsForResource', `arn:aws:ssm:${region}:${account}:managed-instance/${input.ResourceId}`)
  const it = world.instances.find(one => one.id === input.ResourceId && one.region === region)
  if (!it) throw new ApiError('InvalidResourceId', 'The resource does not exist.')
  return {TagList: Object.entries(it.tags).map(([Key, Value]) => ({Key, Value}))}
}

/** The session half of Systems Manager. */
export const sessionsApi: Api = {
  StartSession: startSession,
  ResumeSession: resumeSession,
  TerminateSession: terminateSession,
  DescribeSessions: describeSessions,
  GetConnectionStatus: getConnectionStatus,
  DescribeInstanceInformation: describeInstanceInformation,
  GetDocument: getDocument,
  DescribeDocument: describeDocument,
  ListTagsForResource: listTags,
}
