/** Finds containers by what people call them. */
import type {Access, FoundTarget} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {json, type Way, wayOf} from '@prod/ssm/aws'
import {matcher} from '@prod/ssm/discover'
import type {Target} from './target.ts'
import {listAll, ownOf} from './task.ts'

interface Container {
  name?: string
  image?: string
  healthStatus?: string
}

interface Task {
  taskArn: string
  group?: string
  taskDefinitionArn?: string
  startedAt?: number
  availabilityZone?: string
  containers?: Container[]
}

const lastOf = (arn = ''): string => arn.slice(arn.lastIndexOf('/') + 1)

/**
 * Without `within`, every container of the region of the credential; with it, what its `*` stands for: containers of each cluster, of one
 * cluster, of one service, or the tasks that have one container. Those whose cluster, service, container, image, definition or task hold
 * what is looked for, as far as `access` may see.
 */
export async function* discover({text, within}: {text: string; within?: Target}, access: Access): AsyncGenerator<FoundTarget> {
  const region = within?.region ?? (access.credential.Region || process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION)
  if (!region) throw new ProdError('CONFIG_INVALID', 'no region to look in', 'ecs:eu-west-1/prod/*')
  const way = wayOf(access, region)
  const isFound = matcher(text)
  // as it was written: without a region where there was none
  const prefix = within && within.region === undefined ? '' : `${region}/`
  const pins = within?.pins ?? ''
  const clusters = within && within.cluster !== '*' ? [within.cluster] : (await listAll(way, 'ListClusters', 'clusterArns', {})).map(lastOf)
  for (const cluster of clusters) {
    const tasks = await findTasks(way, cluster, within)
    if (within?.task === '*') yield* tasksOf(tasks, {cluster, within, prefix, pins, isFound})
    else
      for (const {service, container, image, definition, ids} of byContainer(tasks, within)) {
        const where = `${service}/${container}`
        const labels = {cluster, service, container, image, definition, tasks: String(ids.length)}
        const {tasks: _, ...words} = labels
        if (!isFound(where, [`${cluster}/${where}`, ...Object.values(words), ...ids])) continue
        yield {
          address: `ecs:${prefix}${cluster}/${where}${within ? pins : service === '-' ? `?task=${ids[0]}` : ''}`,
          name: within?.container === '*' ? container : within && within.cluster !== '*' ? where : `${cluster}/${where}`,
          labels,
          ...(ids.length > 1 && service !== '-' ? {inside: {what: 'task', otherwise: 'the newest healthy one'}} : {}),
        }
      }
  }
}

function* tasksOf(
  tasks: readonly Task[],
  {cluster, within, prefix, pins, isFound}: {cluster: string; within: Target; prefix: string; pins: string; isFound: Matcher},
): Generator<FoundTarget> {
  const {service, container: wanted = ''} = within
  for (const {taskArn, taskDefinitionArn, startedAt, availabilityZone: zone = '', containers = []} of tasks) {
    const container = containers.find(({name}) => name === wanted)
    if (!container) continue
    const id = lastOf(taskArn)
    const labels = {
      definition: lastOf(taskDefinitionArn),
      ...(container.image ? {image: container.image} : {}),
      ...(container.healthStatus ? {health: container.healthStatus} : {}),
      ...(zone ? {zone} : {}),
      ...(startedAt === undefined ? {} : {started: new Date(startedAt * 1000).toISOString().slice(0, 19)}),
    }
    if (!isFound(id, Object.values(labels))) continue
    yield {address: `ecs:${prefix}${cluster}/${service}/${wanted}/${id}${pins}`, name: id, labels}
  }
}

type Matcher = ReturnType<typeof matcher>

/** Containers by service and name, with the tasks that have them; of what is looked among, those that it names. */
function byContainer(tasks: readonly Task[], within: Target | undefined) {
  const all = new Map<string, {service: string; container: string; image: string; definition: string; ids: string[]}>()
  for (const task of tasks) {
    const {taskArn, group = '', taskDefinitionArn} = task
    const service = group.startsWith('service:') ? group.slice('service:'.length) : '-'
    if (within && service === '-') continue
    for (const {name: container = '', image = ''} of ownOf(task)) {
      // each task of no service is one of its own
      const key = `${service}/${container}${service === '-' ? `/${taskArn}` : ''}`
      const known = all.get(key)
      if (known) known.ids.push(lastOf(taskArn))
      else all.set(key, {service, container, image, definition: lastOf(taskDefinitionArn), ids: [lastOf(taskArn)]})
    }
  }
  return all.values()
}

/** The running tasks of a cluster, or of the one service that is looked at; the newest first. */
async function findTasks(way: Way, cluster: string, within?: Target): Promise<Task[]> {
  const service = within && within.service !== '*' ? {serviceName: within.service} : {}
  const arns = await listAll(way, 'ListTasks', 'taskArns', {cluster, ...service, desiredStatus: 'RUNNING'})
  const all: Task[] = []
  for (let at = 0; at < arns.length; at += 100) {
    const {tasks = []} = await json<{tasks?: Task[]}>('ecs', way, 'DescribeTasks', {cluster, tasks: arns.slice(at, at + 100)})
    all.push(...tasks)
  }
  return all.sort((one, other) => (other.startedAt ?? 0) - (one.startedAt ?? 0) || (one.taskArn < other.taskArn ? -1 : 1))
}
