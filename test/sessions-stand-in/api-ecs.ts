/** Clusters, services, tasks, and ECS Exec (section 19). */
import {randomBytes} from 'node:crypto'
import type {Api, Incoming, World} from './api.ts'
import {ApiError} from './api-error.ts'
import {open} from './api-ssm.ts'
import {account, type Cluster, type Task} from './world.ts'

interface Input {
  cluster?: string
  clusters?: string[]
  services?: string[]
  serviceName?: string
  family?: string
  desiredStatus?: string
  tasks?: string[]
  task: string
  taskDefinition: string
  container?: string
  command: string
  interactive: boolean
  maxResults?: number
  nextToken?: string
  include?: string[]
}

const arn = (region: string, rest: string): string => `arn:aws:ecs:${region}:${account}:${rest}`
const last = (name: string): string => name.split('/').at(-1) as string
const taskArn = (cluster: Cluster, task: Task): string => arn(cluster.region, `task/${cluster.name}/${task.id}`)
const serviceNames = (cluster: Cluster): string[] => [...new Set(cluster.tasks.map(one => one.service).filter(Boolean))].sort()

function clusterOf(world: World, region: string, name = 'default'): Cluster {
  const found = world.clusters.find(one => one.name === last(name) && one.region === region)
  if (!found) throw new ApiError('ClusterNotFoundException', 'Cluster not found.')
  return found
}

function paged<K extends string>(key: K, all: string[], {maxResults = 100, nextToken}: Input): object {
  const from = Number(nextToken ?? 0)
  return {[key]: all.slice(from, from + maxResults), ...(from + maxResults < all.length && {nextToken: String(from + maxResults)})}
}

const inCluster = (region: string, name = 'default'): Record<string, string> => ({'ecs:cluster': arn(region, `cluster/${last(name)}`)})

const missing = (what: string): object => ({arn: what, reason: 'MISSING'})

function listClusters({input, region, world, authorize}: Incoming<Input>): object {
  authorize('ecs:ListClusters', '*')
  const here = world.clusters.filter(one => one.region === region)
  return paged(
    'clusterArns',
    here.map(one => arn(region, `cluster/${one.name}`)),
    input,
  )
}

function describeClusters({input, region, world, authorize}: Incoming<Input>): object {
  const wanted = input.clusters ?? ['default']
  for (const name of wanted) authorize('ecs:DescribeClusters', arn(region, `cluster/${last(name)}`))
  const found = world.clusters.filter(one => one.region === region && wanted.map(last).includes(one.name))
  return {
    clusters: found.map(one => ({
      clusterArn: arn(region, `cluster/${one.name}`),
      clusterName: one.name,
      status: 'ACTIVE',
      runningTasksCount: one.tasks.length,
      ...(input.include?.includes('CONFIGURATIONS') && {
        configuration: {
          executeCommandConfiguration: {
            logging: one.logging ?? 'DEFAULT',
            ...(one.kmsKeyId && {kmsKeyId: one.kmsKeyId}),
            ...(one.logConfiguration && {logConfiguration: one.logConfiguration}),
          },
        },
      }),
    })),
    failures: wanted.filter(name => !found.some(one => one.name === last(name))).map(name => missing(arn(region, `cluster/${last(name)}`))),
  }
}

function listServices({input, region, world, authorize}: Incoming<Input>): object {
  authorize('ecs:ListServices', '*', inCluster(region, input.cluster))
  const cluster = clusterOf(world, region, input.cluster)
  return paged(
    'serviceArns',
    serviceNames(cluster).map(name => arn(region, `service/${cluster.name}/${name}`)),
    {maxResults: 10, ...input},
  )
}

function describeServices({input, region, world, authorize}: Incoming<Input>): object {
  const wanted = (input.services ?? []).map(last)
  for (const name of wanted)
    authorize('ecs:DescribeServices', arn(region, `service/${last(input.cluster ?? 'default')}/${name}`), inCluster(region, input.cluster))
  const cluster = clusterOf(world, region, input.cluster)
  const found = serviceNames(cluster).filter(name => wanted.includes(name))
  return {
    services: found.map(name => {
      const tasks = cluster.tasks.filter(one => one.service === name)
      const [first] = tasks as [Task]
      return {
        serviceArn: arn(region, `service/${cluster.name}/${name}`),
        serviceName: name,
        clusterArn: arn(region, `cluster/${cluster.name}`),
        status: 'ACTIVE',
        desiredCount: tasks.length,
        runningCount: tasks.filter(one => one.lastStatus === 'RUNNING').length,
        pendingCount: 0,
        launchType: first.launchType,
        ...(first.platformVersion && {platformVersion: first.platformVersion, platformFamily: 'Linux'}),
        taskDefinition: arn(region, `task-definition/${first.taskDefinition}`),
        enableExecuteCommand: cluster.services?.[name]?.enableExecuteCommand ?? first.enableExecuteCommand,
        deployments: [],
        events: [],
      }
    }),
    failures: wanted.filter(name => !found.includes(name)).map(name => missing(arn(region, `service/${cluster.name}/${name}`))),
  }
}

function listTasks({input, region, world, authorize}: Incoming<Input>): object {
  authorize('ecs:ListTasks', '*', inCluster(region, input.cluster))
  const cluster = clusterOf(world, region, input.cluster)
  if (input.serviceName && !serviceNames(cluster).includes(last(input.serviceName)))
    throw new ApiError('ServiceNotFoundException', 'Service not found.')
  const found = cluster.tasks.filter(
    one =>
      (!input.serviceName || one.service === last(input.serviceName)) &&
      (!input.family || one.taskDefinition.startsWith(`${input.family}:`)) &&
      (one.lastStatus === 'STOPPED') === (input.desiredStatus === 'STOPPED'),
  )
  return paged(
    'taskArns',
    found.map(one => taskArn(cluster, one)),
    input,
  )
}

function describeTasks({input, region, world, authorize}: Incoming<Input>): object {
  const wanted = (input.tasks ?? []).map(last)
  for (const id of wanted)
    authorize('ecs:DescribeTasks', arn(region, `task/${last(input.cluster ?? 'default')}/${id}`), inCluster(region, input.cluster))
  const cluster = clusterOf(world, region, input.cluster)
  const found = cluster.tasks.filter(one => wanted.includes(one.id))
  return {
    tasks: found.map(one => ({
      taskArn: taskArn(cluster, one),
      clusterArn: arn(region, `cluster/${cluster.name}`),
      taskDefinitionArn: arn(region, `task-definition/${one.taskDefinition}`),
      group: one.service ? `service:${one.service}` : `family:${one.taskDefinition.split(':')[0]}`,
      lastStatus: one.lastStatus,
      desiredStatus: one.lastStatus === 'STOPPED' ? 'STOPPED' : 'RUNNING',
      launchType: one.launchType,
      ...(one.platformVersion && {platformVersion: one.platformVersion, platformFamily: 'Linux'}),
      enableExecuteCommand: one.enableExecuteCommand,
      availabilityZone: `${region}a`,
      createdAt: (one.startedAt ?? world.now() - 3_600_000) / 1000,
      startedAt: (one.startedAt ?? world.now() - 3_600_000) / 1000,
      ...(one.overrides && {overrides: one.overrides}),
      tags: Object.entries(one.tags ?? {}).map(([key, value]) => ({key, value})),
      containers: one.containers.map(container => ({
        containerArn: arn(region, `container/${cluster.name}/${one.id}/${container.name}`),
        taskArn: taskArn(cluster, one),
        name: container.name,
        image: container.image ?? `example.com/${container.name}:1`,
        ...(container.imageDigest && {imageDigest: container.imageDigest}),
        ...(container.runtimeId && {runtimeId: container.runtimeId}),
        lastStatus: container.lastStatus,
        managedAgents: container.execAgent
          ? [{name: 'ExecuteCommandAgent', lastStatus: container.execAgent, ...(container.execReason && {reason: container.execReason})}]
          : [],
      })),
    })),
    failures: wanted.filter(id => !found.some(one => one.id === id)).map(id => missing(arn(region, `task/${cluster.name}/${id}`))),
  }
}

function describeTaskDefinition({input, region, world, authorize}: Incoming<Input>): object {
  authorize('ecs:DescribeTaskDefinition', '*')
  const name = last(input.taskDefinition)
  const every = world.clusters.filter(one => one.region === region).flatMap(one => Object.entries(one.definitions))
  const found = every.filter(([key]) => key === name || key.startsWith(`${name}:`)).at(-1)
  if (!found) throw new ApiError('ClientException', 'Unable to describe task definition.')
  const [family = '', revision] = found[0].split(':')
  const containers = world.clusters.flatMap(one => one.tasks).find(one => one.taskDefinition === found[0])?.containers ?? []
  const {taskRoleArn, networkMode, environment = {}, readonlyRootFilesystem, initProcessEnabled, logDriver} = found[1]
  return {
    taskDefinition: {
      taskDefinitionArn: arn(region, `task-definition/${found[0]}`),
      family,
      revision: Number(revision),
      ...(taskRoleArn && {taskRoleArn}),
      networkMode: networkMode ?? 'awsvpc',
      status: 'ACTIVE',
      requiresCompatibilities: ['FARGATE'],
      containerDefinitions: containers.map(({name: container, image}) => ({
        name: container,
        image: image ?? `example.com/${container}:1`,
        essential: true,
        environment: Object.entries(environment).map(([key, value]) => ({name: key, value})),
        ...(readonlyRootFilesystem !== undefined && {readonlyRootFilesystem}),
        ...(initProcessEnabled !== undefined && {linuxParameters: {initProcessEnabled}}),
        ...(logDriver && {logConfiguration: {logDriver}}),
      })),
    },
  }
}

function executeCommand({input, region, caller, world, authorize}: Incoming<Input>): object {
  const name = last(input.cluster ?? 'default')
  const clusterArn = arn(region, `cluster/${name}`)
  const taskName = arn(region, `task/${name}/${last(input.task)}`)
  const context = {
    'ecs:cluster': clusterArn,
    ...(input.container && {'ecs:container-name': input.container}),
    'ecs:task': taskName,
  }
  // both are asked for: the cluster and the task
  authorize('ecs:ExecuteCommand', clusterArn, context)
  authorize('ecs:ExecuteCommand', taskName, context)
  const cluster = clusterOf(world, region, input.cluster)
  const task = cluster.tasks.find(one => one.id === last(input.task))
  if (!task) throw new ApiError('InvalidParameterException', 'The referenced task was not found.')
  if (input.interactive !== true) throw new ApiError('InvalidParameterException', 'interactive must be true.')
  if (!task.enableExecuteCommand)
    throw new ApiError(
      'InvalidParameterException',
      "The execute command failed because execute command was not enabled when the task was run or the execute command agent isn't running.",
    )
  if (!input.container && task.containers.length > 1)
    throw new ApiError('InvalidParameterException', 'A container name is needed, for the task has more than one container.')
  const container = input.container ? task.containers.find(one => one.name === input.container) : task.containers[0]
  if (!container) throw new ApiError('InvalidParameterException', `There is no container ${input.container} in the task.`)
  if (task.lastStatus !== 'RUNNING' || container.execAgent !== 'RUNNING' || !container.runtimeId)
    throw new ApiError('TargetNotConnectedException', 'The execute command failed due to an internal error. Try again later.')
  const {session, streamUrl, token} = open(world, {
    region,
    caller,
    idPrefix: 'ecs-execute-command-',
    target: `ecs:${cluster.name}_${task.id}_${container.runtimeId}`,
    documentName: 'AmazonECS-ExecuteInteractiveCommand',
    reason: '',
    kind: {type: 'InteractiveCommands', command: input.command, container: true},
    settings: {...world.agent, ...container.agent},
    folder: world.folderOf(`${task.id}-${container.name}`),
    limits: {idleMs: 20 * 60_000},
    kmsKeyId: cluster.kmsKeyId ?? '',
  })
  return {
    clusterArn,
    taskArn: taskArn(cluster, task),
    containerArn: arn(region, `container/${cluster.name}/${task.id}/${randomBytes(16).toString('hex')}`),
    containerName: container.name,
    interactive: true,
    session: {sessionId: session.id, streamUrl, tokenValue: token},
  }
}

/** ECS. */
export const ecsApi: Api = {
  ListClusters: listClusters,
  DescribeClusters: describeClusters,
  ListServices: listServices,
  DescribeServices: describeServices,
  ListTasks: listTasks,
  DescribeTasks: describeTasks,
  DescribeTaskDefinition: describeTaskDefinition,
  ExecuteCommand: executeCommand,
}
