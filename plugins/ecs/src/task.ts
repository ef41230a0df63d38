/** Which task and container a use of a target reaches, as ECS has them now (TM-X2). */
import {ProdError} from '@prod/sdk/errors'
import {AwsRefused, json, type Way} from '@prod/ssm/aws'
import {causes, type DefinitionFacts, failureOf, findCauses} from './preflight.ts'
import type {Target} from './target.ts'

/** One container that can be reached now. */
export interface Place {
  readonly taskArn: string
  readonly taskId: string
  /** family:revision */
  readonly definition: string
  readonly container: string
  readonly runtimeId: string
  /** as StartSession and KMS name it (section 19) */
  readonly targetId: string
}

interface Container {
  name?: string
  runtimeId?: string
  lastStatus?: string
  healthStatus?: string
  imageDigest?: string
  managedAgents?: {name?: string; lastStatus?: string; reason?: string}[]
}

interface Task {
  taskArn: string
  clusterArn?: string
  taskDefinitionArn?: string
  group?: string
  lastStatus?: string
  desiredStatus?: string
  healthStatus?: string
  startedAt?: number
  enableExecuteCommand?: boolean
  launchType?: string
  platformVersion?: string
  platformFamily?: string
  containers?: Container[]
  attachments?: {details?: {name?: string; value?: string}[]}[]
}

interface Service {
  serviceName?: string
  status?: string
  enableExecuteCommand?: boolean
  desiredCount?: number
  pendingCount?: number
}

const lastOf = (arn = ''): string => arn.slice(arn.lastIndexOf('/') + 1)
const isReady = (task: Task, {name, runtimeId, lastStatus, managedAgents = []}: Container): boolean =>
  task.enableExecuteCommand === true &&
  lastStatus === 'RUNNING' &&
  name !== undefined &&
  runtimeId !== undefined &&
  managedAgents.some(agent => agent.name === 'ExecuteCommandAgent' && agent.lastStatus === 'RUNNING')

/**
 * The newest healthy task that is as the target's pins say, and its container. Throws TARGET_UNREACHABLE with all that is missing and
 * what mends it, TARGET_INVALID where what runs is not what the catalog says.
 */
export async function findPlace(way: Way, target: Target): Promise<Place> {
  const {cluster} = target
  const tasks = await findTasks(way, target)
  const alive = tasks.filter(task => task.lastStatus === 'RUNNING' && task.desiredStatus !== 'STOPPED')
  if (alive.length === 0) throw await nothingRuns(way, target, tasks)
  const pinned = alive.filter(task => isPinned(target, task))
  if (pinned.length === 0) throw replaced(target, alive)
  const healthy = target.task === undefined ? pinned.filter(task => task.healthStatus !== 'UNHEALTHY') : pinned
  if (healthy.length === 0) throw failureOf([{cause: 'unhealthy', found: {service: target.service}}])
  const found = healthy.sort(byWorth).flatMap(task => {
    const container = containerIn(target, task)
    return container ? [{task, container}] : []
  })
  const best = found.find(one => isReady(one.task, one.container)) ?? found[0]
  if (!best) throw noContainer(target, healthy[0] as Task)
  const {task, container} = best
  if (!isReady(task, container)) throw failureOf(await whyNot(way, target, task, container))
  checkAccount(target, task)
  const taskId = lastOf(task.taskArn)
  const {name = '', runtimeId = ''} = container
  return {
    taskArn: task.taskArn,
    taskId,
    definition: lastOf(task.taskDefinitionArn),
    container: name,
    runtimeId,
    targetId: `ecs:${lastOf(task.clusterArn) || cluster}_${taskId}_${runtimeId}`,
  }
}

/** Healthy ones before those that say nothing, then the newest; at last by name, so that the same ones are always in one order. */
function byWorth(one: Task, other: Task): number {
  const health = (task: Task): number => (task.healthStatus === 'HEALTHY' ? 0 : 1)
  return health(one) - health(other) || (other.startedAt ?? 0) - (one.startedAt ?? 0) || (one.taskArn < other.taskArn ? -1 : 1)
}

async function findTasks(way: Way, {cluster, service, task}: Target): Promise<Task[]> {
  try {
    const arns =
      task === undefined ? await listAll(way, 'ListTasks', 'taskArns', {cluster, serviceName: service, desiredStatus: 'RUNNING'}) : [task]
    const all: Task[] = []
    for (let at = 0; at < arns.length; at += 100) {
      const {tasks = []} = await json<{tasks?: Task[]}>('ecs', way, 'DescribeTasks', {cluster, tasks: arns.slice(at, at + 100)})
      all.push(...tasks)
    }
    return service === '-' ? all : all.filter(({group}) => group === `service:${service}`)
  } catch (error) {
    if (error instanceof AwsRefused && /ClusterNotFound/.test(error.code))
      throw failureOf([{cause: 'cluster', found: {cluster, region: way.region}}], {cause: error})
    if (error instanceof AwsRefused && /ServiceNotFound/.test(error.code))
      throw failureOf([{cause: 'service', found: {cluster, service}}], {cause: error})
    throw error
  }
}

/** All pages of a list of ECS, 2000 names at most. */
export async function listAll(way: Way, action: string, key: string, input: object): Promise<string[]> {
  const all: string[] = []
  let nextToken: string | undefined
  do {
    const answer: Record<string, unknown> = await json('ecs', way, action, {...input, ...(nextToken ? {nextToken} : {})})
    all.push(...((answer[key] as string[] | undefined) ?? []))
    nextToken = answer.nextToken as string | undefined
  } while (nextToken && all.length < 2000)
  return all
}

function isPinned(target: Target, task: Task): boolean {
  const {definition, image} = target
  if (definition !== undefined && lastOf(task.taskDefinitionArn) !== definition) return false
  return image === undefined || containerIn(target, task)?.imageDigest === image
}

function replaced(target: Target, alive: readonly Task[]): ProdError {
  const {service, definition, image} = target
  const now = [
    ...new Set(
      alive.map(task => (definition === undefined ? containerIn(target, task)?.imageDigest : lastOf(task.taskDefinitionArn)) ?? 'unknown'),
    ),
  ]
  return new ProdError(
    'TARGET_INVALID',
    `no task of ${service} runs ${definition ?? image}, which the catalog names: now it is ${now.join(', ')}`,
    'look at what was deployed, then mend the target in the catalog',
  )
}

function checkAccount({account}: Target, {taskArn}: Task): void {
  const owner = taskArn.split(':')[4]
  if (account !== undefined && owner !== account)
    throw new ProdError('TARGET_INVALID', `the task belongs to the account ${owner}, not to ${account}`, 'prod targets')
}

/** Containers that AWS puts beside those of the task definition. */
const added = /^(?:ecs-service-connect-|aws-guardduty-agent)/

/** Those of the task definition. */
export function ownOf<C extends {name?: string}>({containers = []}: {containers?: C[]}): C[] {
  return containers.filter(({name = ''}) => !added.test(name))
}

function containerIn({container: wanted}: Target, task: Task): Container | undefined {
  if (wanted !== undefined) return task.containers?.find(({name}) => name === wanted)
  const own = ownOf(task)
  return own.length === 1 ? own[0] : undefined
}

function noContainer({container, service}: Target, task: Task): ProdError {
  const names = ownOf(task)
    .map(({name}) => name)
    .join(', ')
  if (container !== undefined) return failureOf([{cause: 'container', found: {task: lastOf(task.taskArn), container, names}}])
  return new ProdError('TARGET_INVALID', `the tasks of ${service} have several containers: ${names}`, causes.container.mend)
}

async function nothingRuns(way: Way, {cluster, service, task}: Target, tasks: readonly Task[]): Promise<ProdError> {
  if (task !== undefined)
    return failureOf([
      {cause: 'task', found: {task, state: tasks[0] ? (tasks[0].lastStatus ?? 'in no state').toLowerCase() : `not one of ${service}`}},
    ])
  const found = await findService(way, {cluster, service})
  if (!found || found.status === 'INACTIVE') return failureOf([{cause: 'service', found: {cluster, service}}])
  return failureOf([
    {cause: 'none', found: {cluster, service, desired: String(found.desiredCount ?? '?'), pending: String(found.pendingCount ?? '?')}},
  ])
}

async function findService(way: Way, {cluster, service}: Pick<Target, 'cluster' | 'service'>): Promise<Service | undefined> {
  const {services = []} = await json<{services?: Service[]}>('ecs', way, 'DescribeServices', {cluster, services: [service]})
  return services[0]
}

async function whyNot(way: Way, target: Target, task: Task, container: Container) {
  const {cluster, service} = target
  // what may not be asked is not known: the rest is said all the same
  const unless = <A>(asked: Promise<A>): Promise<A | undefined> => asked.catch(() => undefined)
  const [found, definition] = await Promise.all([
    service === '-' ? undefined : unless(findService(way, {cluster, service})),
    unless(describeDefinition(way, task, container)),
  ])
  const agent = container.managedAgents?.find(({name}) => name === 'ExecuteCommandAgent')
  const facts = {
    region: way.region,
    cluster,
    ...(service === '-' ? {} : {service: {name: service, ...(found?.enableExecuteCommand ? {enableExecuteCommand: true} : {})}}),
    task: {...task, id: lastOf(task.taskArn)},
    container: {...container, name: container.name ?? '', ...(agent ? {agent} : {})},
    ...(definition ? {definition} : {}),
  }
  return findCauses(facts)
}

interface Definition {
  taskRoleArn?: string
  containerDefinitions?: {
    name?: string
    readonlyRootFilesystem?: boolean
    environment?: {name?: string}[]
    secrets?: {name?: string}[]
    logConfiguration?: {logDriver?: string}
  }[]
}

async function fetchDefinition(way: Way, taskDefinition: string): Promise<Definition> {
  const {taskDefinition: found = {}} = await json<{taskDefinition?: Definition}>('ecs', way, 'DescribeTaskDefinition', {taskDefinition})
  return found
}

async function describeDefinition(way: Way, {taskDefinitionArn}: Task, {name}: Container): Promise<DefinitionFacts> {
  const {taskRoleArn, containerDefinitions = []} = await fetchDefinition(way, lastOf(taskDefinitionArn))
  const own = containerDefinitions.find(one => one.name === name)
  return {
    name: lastOf(taskDefinitionArn),
    ...(taskRoleArn ? {taskRoleArn} : {}),
    variables: [...(own?.environment ?? []), ...(own?.secrets ?? [])].flatMap(one => one.name ?? []),
    ...(own?.readonlyRootFilesystem ? {readonlyRootFilesystem: true} : {}),
  }
}

interface Cluster {
  configuration?: {
    executeCommandConfiguration?: {
      logging?: string
      logConfiguration?: {
        cloudWatchLogGroupName?: string
        s3BucketName?: string
        cloudWatchEncryptionEnabled?: boolean
        s3EncryptionEnabled?: boolean
      }
    }
  }
}

/** Whether the cluster logs what is done by ECS Exec (TM-X3). Throws TARGET_INVALID where it does not. */
export async function checkLogging(way: Way, {cluster}: Target, {definition, container}: Place): Promise<void> {
  const {clusters = []} = await json<{clusters?: Cluster[]}>('ecs', way, 'DescribeClusters', {
    clusters: [cluster],
    include: ['CONFIGURATIONS'],
  })
  const {logging = 'DEFAULT', logConfiguration = {}} = clusters[0]?.configuration?.executeCommandConfiguration ?? {}
  if (logging === 'OVERRIDE') {
    const {cloudWatchLogGroupName, s3BucketName, cloudWatchEncryptionEnabled, s3EncryptionEnabled} = logConfiguration
    if (!cloudWatchLogGroupName && !s3BucketName) throw unlogged(`${cluster} names no place for the logs of ECS Exec`)
    if ((cloudWatchLogGroupName && !cloudWatchEncryptionEnabled) || (s3BucketName && !s3EncryptionEnabled))
      throw unlogged(`${cluster} logs ECS Exec without encryption`)
    return
  }
  if (logging === 'NONE') throw unlogged(`${cluster} does not log ECS Exec`)
  // by default it goes where the container's own output goes, if that is CloudWatch
  const {containerDefinitions = []} = await fetchDefinition(way, definition)
  if (containerDefinitions.find(({name}) => name === container)?.logConfiguration?.logDriver !== 'awslogs')
    throw unlogged(`${cluster} logs ECS Exec where ${container} logs, and that is not awslogs`)
}

function unlogged(what: string): ProdError {
  return new ProdError(
    'TARGET_INVALID',
    `${what}, so nothing was opened`,
    'docs/aws-sessions.md, "ECS Exec"; where the broker\'s own recording is enough: logging=broker in the address',
  )
}
