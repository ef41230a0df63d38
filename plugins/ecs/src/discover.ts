/** Finds containers by what people call them. */
import type {Access, FoundTarget} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {json, type Way, wayOf} from '@prod/ssm/aws'
import {matcher} from '@prod/ssm/discover'
import type {Target} from './target.ts'
import {listAll} from './task.ts'

interface Task {
  taskArn: string
  group?: string
  taskDefinitionArn?: string
  containers?: {name?: string; image?: string}[]
}

const lastOf = (arn = ''): string => arn.slice(arn.lastIndexOf('/') + 1)

/**
 * Without `within`, every container of the region of the credential; with it, each service or container that its `*` stands for. Those
 * whose cluster, service, container, image, definition or task hold what is looked for, as far as `access` may see.
 */
export async function* discover({text, within}: {text: string; within?: Target}, access: Access): AsyncGenerator<FoundTarget> {
  const region = within?.region ?? (access.credential.Region || process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION)
  if (!region) throw new ProdError('CONFIG_INVALID', 'no region to look in', 'ecs:eu-west-1/prod/*')
  const way = wayOf(access, region)
  const isFound = matcher(text)
  const clusters = within ? [within.cluster] : (await listAll(way, 'ListClusters', 'clusterArns', {})).map(lastOf)
  for (const cluster of clusters) {
    const seen = new Set<string>()
    for await (const {task, service, definition, containers} of eachTask(way, cluster, within)) {
      for (const {name: container = '', image = ''} of containers) {
        const where = within?.service === '*' ? service : `${service}/${container}`
        if (seen.has(where) || (within && service === '-')) continue
        const found = {cluster, service, container, image, definition}
        if (!isFound(where, [...Object.values(found), task])) continue
        seen.add(where)
        // as it was written: without a region where there was none
        const prefix = within && within.region === undefined ? '' : `${region}/`
        const pins = within?.pins ?? (service === '-' ? `?task=${task}` : '')
        yield {address: `ecs:${prefix}${cluster}/${where}${pins}`, name: `${cluster}/${where}`, labels: found}
      }
    }
  }
}

/** The running tasks of a cluster, or of the one service that is looked at. */
async function* eachTask(way: Way, cluster: string, within?: Target) {
  const service = within && within.service !== '*' ? {serviceName: within.service} : {}
  const arns = await listAll(way, 'ListTasks', 'taskArns', {cluster, ...service, desiredStatus: 'RUNNING'})
  for (let at = 0; at < arns.length; at += 100) {
    const {tasks = []} = await json<{tasks?: Task[]}>('ecs', way, 'DescribeTasks', {cluster, tasks: arns.slice(at, at + 100)})
    for (const {taskArn, group = '', taskDefinitionArn, containers = []} of tasks) {
      const name = group.startsWith('service:') ? group.slice('service:'.length) : '-'
      yield {task: lastOf(taskArn), service: name, definition: lastOf(taskDefinitionArn), containers}
    }
  }
}
