/** Finds containers by what people call them. */
import type {Access, FoundTarget} from '@prod/sdk'
import {json, wayOf} from '@prod/ssm/aws'
import {listAll} from './task.ts'

interface Task {
  taskArn: string
  group?: string
  taskDefinitionArn?: string
  containers?: {name?: string; image?: string}[]
}

const lastOf = (arn = ''): string => arn.slice(arn.lastIndexOf('/') + 1)

/**
 * Every container of every service in the region of the credential whose cluster, service, name, image or task holds all words of `text`;
 * and those of tasks that belong to no service. As far as `access` may see.
 */
export async function* discover({text}: {text: string}, access: Access): AsyncIterable<FoundTarget> {
  const region = access.credential.Region || process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION
  if (!region) return
  const way = wayOf(access, region)
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  for (const clusterArn of await listAll(way, 'ListClusters', 'clusterArns', {})) {
    const cluster = lastOf(clusterArn)
    const seen = new Set<string>()
    const arns = await listAll(way, 'ListTasks', 'taskArns', {cluster, desiredStatus: 'RUNNING'})
    for (let at = 0; at < arns.length; at += 100) {
      const {tasks = []} = await json<{tasks?: Task[]}>('ecs', way, 'DescribeTasks', {cluster, tasks: arns.slice(at, at + 100)})
      for (const {taskArn, group = '', taskDefinitionArn, containers = []} of tasks) {
        const service = group.startsWith('service:') ? group.slice('service:'.length) : undefined
        const task = lastOf(taskArn)
        for (const {name = '', image = ''} of containers) {
          const address = `ecs:${region}/${cluster}/${service ?? '-'}/${name}${service === undefined ? `?task=${task}` : ''}`
          const labels = {
            region,
            cluster,
            container: name,
            image,
            definition: lastOf(taskDefinitionArn),
            ...(service === undefined ? {task} : {service}),
          }
          const all = Object.values({...labels, task})
            .join(' ')
            .toLowerCase()
          if (seen.has(address) || !words.every(word => all.includes(word))) continue
          seen.add(address)
          yield {address, name: `${cluster}/${service ?? task}/${name}`, labels}
        }
      }
    }
  }
}
