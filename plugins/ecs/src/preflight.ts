/** Why a container cannot be reached, and what mends it: all that is missing at once. The table of docs/aws-sessions.md is made of these. */
import {type Cause, unreachable} from '@prod/sdk/cause'
import type {ProdError} from '@prod/sdk/errors'

/** One cause: what is so, and the mend. `{…}` stands for what was found. */
export const causes = {
  cluster: {what: 'there is no cluster {cluster} in {region} of this account', mend: 'look at region, name and the role of the target'},
  service: {what: '{cluster} has no service {service}', mend: 'aws ecs list-services --cluster {cluster}'},
  none: {
    what: 'no task of {service} runs: {desired} are wanted, {pending} are starting',
    mend: 'aws ecs describe-services --cluster {cluster} --services {service} says why, in its events',
  },
  task: {what: 'the task {task} is {state}', mend: 'another task, or the address without task='},
  unhealthy: {what: 'all running tasks of {service} are unhealthy', mend: 'task=ID in the address, to reach one of them all the same'},
  container: {what: 'the task {task} has no container {container}: {names}', mend: 'the name of one of them, at the end of the address'},
  starting: {what: 'the container {container} is {state}', mend: 'try again when it runs'},
  disabled: {
    what: 'the service {service} has execute-command not enabled',
    mend: 'aws ecs update-service --cluster {cluster} --service {service} --enable-execute-command --force-new-deployment',
  },
  older: {
    what: 'the task {task} started before execute-command was enabled',
    mend: 'aws ecs update-service --cluster {cluster} --service {service} --force-new-deployment',
  },
  taskDisabled: {
    what: 'the task {task} was started without execute-command',
    mend: 'start it anew with --enable-execute-command',
  },
  platform: {
    what: 'the platform version {version} of Fargate has no ECS Exec, which needs {needed}',
    mend: 'aws ecs update-service --cluster {cluster} --service {service} --platform-version LATEST --force-new-deployment',
  },
  role: {
    what: 'the task definition {definition} has no task role',
    mend: 'give it one that allows ssmmessages:CreateControlChannel, CreateDataChannel, OpenControlChannel and OpenDataChannel',
  },
  keys: {
    what: 'the task definition {definition} sets {names} in {container}: the agent takes those for its own instead of the task role',
    mend: 'take them out, and let the task role allow what they did',
  },
  readonly: {
    what: 'the root file system of {container} is read-only, and the agent of ECS Exec must write',
    mend: 'readonlyRootFilesystem: false in the task definition',
  },
  agent: {
    what: 'the agent of ECS Exec in {container} is {state}{reason}',
    mend: 'wait a minute after a start; then: the task role {role} must allow the four ssmmessages actions, and the task needs a way to ssmmessages.{region}.amazonaws.com',
  },
  noAgent: {
    what: 'the container {container} has no agent of ECS Exec',
    mend: 'on EC2: the ECS agent must be 1.50.2 or later; else start the task anew',
  },
  network: {
    what: 'the agent in {container} cannot be reached though it runs (subnet {subnet})',
    mend: 'a route to ssmmessages.{region}.amazonaws.com: a NAT gateway, or an interface endpoint whose security group lets the task in at port 443',
  },
} as const satisfies Record<string, Cause>

/** The name of a cause, and what was found. */
export interface Found {
  readonly cause: keyof typeof causes
  readonly found?: Readonly<Record<string, string>>
}

/** What is known when a container cannot be reached; what could not be asked is absent. */
export interface Facts {
  readonly region: string
  readonly cluster: string
  readonly service?: {readonly name: string; readonly enableExecuteCommand?: boolean}
  readonly task: TaskFacts
  readonly container: ContainerFacts
  readonly definition?: DefinitionFacts
}

/** As ECS's DescribeTasks has them. */
export interface TaskFacts {
  readonly id: string
  readonly enableExecuteCommand?: boolean
  readonly launchType?: string
  readonly platformVersion?: string
  readonly platformFamily?: string
  readonly subnetId?: string
}

export interface ContainerFacts {
  readonly name: string
  readonly lastStatus?: string
  readonly runtimeId?: string
  readonly agent?: {readonly lastStatus?: string; readonly reason?: string}
}

/** As ECS's DescribeTaskDefinition has them, those of the container. */
export interface DefinitionFacts {
  readonly name: string
  readonly taskRoleArn?: string
  readonly variables: readonly string[]
  readonly readonlyRootFilesystem?: boolean
}

/** All that keeps a running task's container from being reached; nothing where it can be. Pure. */
export function findCauses({region, cluster, service, task, container, definition}: Facts): Found[] {
  const known = {region, cluster, service: service?.name ?? '-', task: task.id, container: container.name}
  const all: Found[] = []
  const add = (cause: keyof typeof causes, found: Record<string, string> = {}): void => {
    all.push({cause, found: {...known, ...found}})
  }
  const isEnabled = task.enableExecuteCommand === true
  if (!isEnabled) add(service ? (service.enableExecuteCommand ? 'older' : 'disabled') : 'taskDisabled')
  const needed = /windows/i.test(task.platformFamily ?? '') ? '1.0.0' : '1.4.0'
  if (task.launchType === 'FARGATE' && task.platformVersion && isOlder(task.platformVersion, needed))
    add('platform', {version: task.platformVersion, needed})
  if (definition && !definition.taskRoleArn) add('role', {definition: definition.name})
  const keys = definition?.variables.filter(name => /^AWS_(?:ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|PROFILE)$/.test(name)) ?? []
  if (definition && keys.length > 0) add('keys', {definition: definition.name, names: keys.join(', ')})
  if (definition?.readonlyRootFilesystem) add('readonly')
  if (container.lastStatus !== 'RUNNING' || !container.runtimeId) add('starting', {state: container.lastStatus ?? 'in no state'})
  else if (isEnabled && container.agent?.lastStatus !== 'RUNNING') {
    if (!container.agent) add('noAgent')
    else {
      const {lastStatus = 'in no state', reason} = container.agent
      add('agent', {state: lastStatus, reason: reason ? ` (${reason})` : '', role: definition?.taskRoleArn ?? 'of the task'})
    }
  }
  return all
}

/** Numeric by dotted part; `LATEST` is not older than anything. */
function isOlder(version: string, than: string): boolean {
  if (!/^\d+(?:\.\d+)*$/.test(version)) return false
  const [one, other] = [version.split('.').map(Number), than.split('.').map(Number)]
  for (let at = 0; at < other.length; at++) {
    const difference = (one[at] ?? 0) - (other[at] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}

/** What was found, as the one failure that a person sees: every cause, then every mend. */
export function failureOf(all: readonly Found[], options?: ErrorOptions): ProdError {
  return unreachable(
    all.map(({cause, found}) => ({cause: causes[cause], found})),
    options,
  )
}
