/** Instances that a target with a `*` stands for: of EC2 by their tags and addresses, and machines that Systems Manager alone knows. */
import type {Access, FoundTarget} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {json, type Way, wayOf} from './aws/call.ts'
import {eachInstance} from './preflight.ts'
import type {Target} from './target.ts'

interface Known {
  InstanceId: string
  PingStatus?: string
  PlatformType?: string
  ComputerName?: string
  IPAddress?: string
  Name?: string
}

/** Yields each as it is found. Throws what a refused call throws. */
export async function* discover(query: {text: string; within?: Target}, access: Access): AsyncGenerator<FoundTarget> {
  const {text, within = anywhere(access)} = query
  const way = wayOf(access, within.region)
  const wanted = Object.entries(within.tags)
  const agents = new Map<string, Known>()
  for await (const one of managed(way, wanted)) agents.set(one.InstanceId, one)
  const filters = wanted.flatMap(([key, value], at): [string, string][] => [
    [`Filter.${at + 1}.Name`, `tag:${key}`],
    [`Filter.${at + 1}.Value.1`, value],
  ])
  const isFound = matcher(text)
  for await (const {id, account, state, tags, names} of eachInstance(way, Object.fromEntries(filters))) {
    if (state === 'terminated' || state === 'shutting-down') continue
    if (within.account !== undefined && account !== within.account) continue
    const agent = agents.get(id)
    agents.delete(id)
    const name = tags.Name ?? ''
    if (!isFound(name, [id, ...names, ...Object.entries(tags).flatMap(([key, value]) => [value, `${key}=${value}`])])) continue
    const labels = {...tags, state, agent: agent ? (agent.PingStatus ?? 'known') : 'unknown', ...(names[0] ? {address: names[0]} : {})}
    yield {address: addressOf(within, id), name: name || id, labels}
  }
  for (const {InstanceId: id, PingStatus = 'known', ComputerName = '', IPAddress = '', Name = ''} of agents.values()) {
    if (!id.startsWith('mi-') || !isFound(Name || ComputerName, [id, ComputerName, IPAddress])) continue
    yield {address: addressOf(within, id), name: Name || ComputerName || id, labels: {agent: PingStatus, address: IPAddress}}
  }
}

function anywhere({credential}: Access): Target {
  const region = credential.Region || process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION
  if (!region) throw new ProdError('CONFIG_INVALID', 'no region to look in', 'ssm:eu-west-1/*?tag:Role=web')
  return {region, instanceId: '*', tags: {}}
}

async function* managed(way: Way, tags: [string, string][]): AsyncGenerator<Known> {
  for (let token: string | undefined; ; ) {
    const page = await json<{InstanceInformationList?: Known[]; NextToken?: string}>('ssm', way, 'DescribeInstanceInformation', {
      Filters: tags.map(([key, value]) => ({Key: `tag:${key}`, Values: [value]})),
      MaxResults: 50,
      ...(token ? {NextToken: token} : {}),
    })
    yield* page.InstanceInformationList ?? []
    token = page.NextToken
    if (!token) return
  }
}

/** The address of one of them: the pins stay as they are. */
function addressOf({region, account, tags, exec, shell, logging}: Target, id: string): string {
  const pins = [
    ...(account === undefined ? [] : [['account', account]]),
    ...Object.entries(tags).map(([key, value]) => [`tag:${key}`, value]),
    ...(exec === undefined ? [] : [['exec', exec.sha256 === undefined ? exec.name : `${exec.name}@${exec.sha256}`]]),
    ...(shell === undefined ? [] : [['shell', shell.sha256 === undefined ? shell.name : `${shell.name}@${shell.sha256}`]]),
    ...(logging === undefined ? [] : [['logging', logging]]),
  ] as [string, string][]
  const plain = (word: string): string => encodeURIComponent(word).replaceAll('%3A', ':').replaceAll('%40', '@').replaceAll('%2F', '/')
  return `ssm:${region}/${id}${pins.length > 0 ? `?${pins.map(([key, value]) => `${plain(key)}=${plain(value)}`).join('&')}` : ''}`
}

/** Whether each word stands in one of the texts, or its letters in this order in the name. Pure. */
export function matcher(text: string): (name: string, texts: readonly string[]) => boolean {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean)
  return (name, texts) => {
    const all = [name, ...texts].map(one => one.toLowerCase())
    return words.every(word => all.some(one => one.includes(word)) || inOrder(name.toLowerCase(), word))
  }
}

function inOrder(text: string, letters: string): boolean {
  let at = -1
  return [...letters].every(letter => {
    at = text.indexOf(letter, at + 1)
    return at >= 0
  })
}
