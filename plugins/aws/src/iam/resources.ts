/** What a command's actions are on, where its own words say it in full. Pure: what account or region fills in is not known here. */
import type {Need} from '@prod/sdk/least-role'
import {actionsOf, operationOf, s3Words} from './actions.ts'

/** The actions of a command with what each is on, or why they are not known. */
export function needsOf(argv: readonly string[]): {needs: readonly Need[]} | {unknown: string} {
  const found = actionsOf(argv)
  if ('unknown' in found) return found
  const {actions} = found
  const options = optionsOf(argv)
  const partition = partitionOf(options.get('--region')?.at(-1))
  const {service, operation = '', rest} = operationOf(argv)
  const places =
    service === 's3'
      ? ofPaths(operation, rest, partition)
      : service === 's3api'
        ? ofBucket(actions, options, partition)
        : ofArns(actions, options)
  return {needs: actions.flatMap(action => (places.get(action) ?? [null]).map(resource => ({action, resource})))}
}

type Places = Map<string, (string | null)[]>

const partitionOf = (region = ''): string => (region.startsWith('cn-') ? 'aws-cn' : region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws')

/** `--name value` and `--name=value`; a name may come more than once. */
function optionsOf(argv: readonly string[]): Map<string, string[]> {
  const options = new Map<string, string[]>()
  for (const [index, word] of argv.entries()) {
    if (!word.startsWith('--')) continue
    const equals = word.indexOf('=')
    const [name, value] = equals < 0 ? [word, argv[index + 1]] : [word.slice(0, equals), word.slice(equals + 1)]
    if (value !== undefined) options.set(name, [...(options.get(name) ?? []), value])
  }
  return options
}

/** `aws s3 …`: the buckets and keys of its paths. */
function ofPaths(command: string, rest: readonly string[], partition: string): Places {
  const places: Places = new Map()
  const {paths, flags} = s3Words(rest)
  const many = flags.has('--recursive') || flags.has('--force') || command === 'sync'
  const read = (path = ''): {bucket: string; key: string} | undefined => {
    const [, bucket, key = ''] = /^s3:\/\/([A-Za-z0-9._-]+)(?:\/(.*))?$/.exec(path) ?? []
    return bucket === undefined ? undefined : {bucket, key}
  }
  const add = (place: string | undefined, ...actions: string[]): void => {
    for (const action of actions) {
      const all = places.get(action) ?? []
      if (place !== undefined && !all.includes(place)) places.set(action, [...all, place])
    }
  }
  const bucketOf = (path = ''): string | undefined => {
    const found = read(path)
    return found && `arn:${partition}:s3:::${found.bucket}`
  }
  const objectOf = (path = '', from = ''): string | undefined => {
    const found = read(path)
    if (!found) return undefined
    const {bucket, key} = found
    if (command === 'sync') return `arn:${partition}:s3:::${bucket}/${key === '' || key.endsWith('/') ? key : `${key}/`}*`
    if (many) return `arn:${partition}:s3:::${bucket}/${key}*`
    return `arn:${partition}:s3:::${bucket}/${key === '' || key.endsWith('/') ? `${key}${from.split('/').at(-1) || '*'}` : key}`
  }
  const [from, to] = paths
  for (const path of paths) add(bucketOf(path), 's3:ListBucket', 's3:CreateBucket', 's3:DeleteBucket', 's3:PutBucketWebsite')
  add(objectOf(from), 's3:GetObject')
  add(objectOf(to, from), 's3:PutObject', 's3:PutObjectAcl')
  add(objectOf(command === 'sync' ? to : from), 's3:DeleteObject')
  places.set('s3:ListAllMyBuckets', ['*'])
  return places
}

/** `aws s3api …`: its bucket, and its key where it is one object's. */
function ofBucket(actions: readonly string[], options: Map<string, string[]>, partition: string): Places {
  const [bucket] = options.get('--bucket') ?? []
  const [key] = options.get('--key') ?? []
  const places: Places = new Map([['s3:ListAllMyBuckets', ['*']]])
  // a copy reads from elsewhere; a name that is an ARN is an access point's
  if (bucket === undefined || !/^[A-Za-z0-9._-]+$/.test(bucket) || options.has('--copy-source')) return places
  for (const action of actions) {
    const isObjects = key !== undefined || (/Object|MultipartUpload/.test(action) && !/BucketObject|BucketMultipart/.test(action))
    if (action !== 's3:ListAllMyBuckets' && (!isObjects || key !== undefined))
      places.set(action, [`arn:${partition}:s3:::${bucket}${key === undefined ? '' : `/${key}`}`])
  }
  return places
}

/** Any other: the one ARN of that service among its options. What IAM's own commands name beside is a policy, not what they act on. */
function ofArns(actions: readonly string[], options: Map<string, string[]>): Places {
  const arns = [...new Set([...options.values()].flat())].filter(value => /^arn:[^:\s]+:[^:\s]+:[^\s,]+$/.test(value))
  const places: Places = new Map()
  for (const action of actions) {
    const service = action.split(':')[0] as string
    const own = arns.filter(arn => arn.split(':')[2] === service)
    if (service !== 'iam' && own.length === 1) places.set(action, own)
  }
  return places
}
