import type {Permission} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {partitionOf} from '../aws/call.ts'
import {checkAccount, type PinnedDocument, readDocument, readPins} from '../target.ts'

/**
 * The instances that one Run Command goes to, written `region/i-…,i-…?pins` or, for all with the tags, `region/*?tag:NAME=VALUE`.
 * Source: SendCommand of AWS Systems Manager.
 */
export interface CommandTarget {
  readonly region: string
  /** empty: all that have the tags */
  readonly instanceIds: readonly string[]
  readonly account?: string
  /** what each of them must have */
  readonly tags: Readonly<Record<string, string>>
  /** `document=NAME[@sha256]`; absent: AWS-RunShellScript, which runs the tool's program */
  readonly document?: PinnedDocument
  /** `concurrency=10` or `concurrency=25%`: how many at a time */
  readonly concurrency: string
  /** `errors=0` or `errors=10%`: how many may fail before no further one begins */
  readonly errors: string
  /** `most=50`: on more than so many nothing is begun */
  readonly most: number
  /** all that was written from the question mark on */
  readonly query: string
}

const example = 'ssm-command:eu-west-1/*?tag:Role=web&concurrency=10&errors=0'
const rate = /^(?:[1-9]\d{0,6}|[1-9]\d?%|100%)$/
const known = new Set(['account', 'document', 'concurrency', 'errors', 'most'])

/** Reads the part after `ssm-command:`. Pure. Throws TARGET_INVALID. */
export function parse(text: string): CommandTarget {
  const refuse = (why: string): ProdError => new ProdError('TARGET_INVALID', why, example)
  const [, region, where, query] =
    /^([a-z]{2}(?:-[a-z]+)+-\d)\/(\*|m?i-[0-9a-f]{8,17}(?:,m?i-[0-9a-f]{8,17}){0,998})(?:\?(.+))?$/.exec(text) ?? []
  if (!region || !where) throw refuse(`${JSON.stringify(text)} names no instances`)
  const pins = readPins(query)
  const tags: Record<string, string> = {}
  for (const [key, value] of pins) {
    if (key.startsWith('tag:') && key.length > 4) tags[key.slice(4)] = value
    else if (!known.has(key))
      throw refuse(`instances have no ${JSON.stringify(key)}: account, tag:NAME, document, concurrency, errors, most`)
  }
  const instanceIds = where === '*' ? [] : where.split(',')
  if (new Set(instanceIds).size !== instanceIds.length) throw refuse('an instance stands there twice')
  if (instanceIds.length === 0 && Object.keys(tags).length === 0) throw refuse('all instances of an account are no target: name a tag')
  // as AWS's TargetMaps takes them
  if (Object.keys(tags).length > 5) throw refuse('five tags at most')
  const {account, document, concurrency = '10', errors = '0', most = '50'} = Object.fromEntries(pins)
  if (account !== undefined) checkAccount(account)
  if (!rate.test(concurrency)) throw refuse(`concurrency is a number or a share, such as 10 or 25%`)
  if (errors !== '0' && !rate.test(errors)) throw refuse(`errors is a number or a share, such as 0 or 10%`)
  if (!/^[1-9]\d{0,2}$/.test(most)) throw refuse('most is 1 to 999')
  return {
    region,
    instanceIds,
    tags,
    concurrency,
    errors,
    most: Number(most),
    query: query === undefined ? '' : `?${query}`,
    ...(account === undefined ? {} : {account}),
    ...(document === undefined ? {} : {document: readDocument(document)}),
  }
}

/** The machines, as every way in to instances calls them; undefined for all with a tag. Pure. */
export function machine({region, instanceIds}: CommandTarget): string | string[] | undefined {
  const [first, ...others] = instanceIds.map(id => `aws:${region}/${id}`).sort()
  return first !== undefined && others.length > 0 ? [first, ...others] : first
}

/** The least that finding the instances takes; undefined where they are named. Pure. */
export function resolvePermissions({instanceIds}: CommandTarget): Permission[] | undefined {
  if (instanceIds.length > 0) return undefined
  return [{kind: 'aws', actions: ['ssm:DescribeInstanceInformation'], resources: ['*']}]
}

/** The document that is sent. */
export function documentOf(target: CommandTarget): string {
  return target.document?.name ?? shellScript
}

/** AWS's own, which gives lines to `sh`. */
export const shellScript = 'AWS-RunShellScript'

/** ids that a credential names, where tags could bound it too */
const mostNamed = 10

/** The least a command needs: this document, on these instances alone; asking after it and cancelling it. Pure. */
export function permissions(target: CommandTarget): Permission[] {
  const {region, instanceIds, tags, account = '*'} = target
  const partition = partitionOf(region)
  const document = documentOf(target)
  const instance = (id: string): string =>
    id.startsWith('mi-')
      ? `arn:${partition}:ssm:${region}:${account}:managed-instance/${id}`
      : `arn:${partition}:ec2:${region}:${account}:instance/${id}`
  // a session policy holds some 2000 characters: beyond, the tags bound it, and the ids that are sent
  const named = instanceIds.length > 0 && (instanceIds.length <= mostNamed || Object.keys(tags).length === 0)
  const tagged = Object.entries(tags).map(([key, value]) => [`ssm:resourceTag/${key}`, value] as const)
  return [
    {
      kind: 'aws',
      actions: ['ssm:SendCommand'],
      resources: named ? instanceIds.map(instance) : [instance('*'), instance('mi-*')],
      ...(tagged.length > 0 ? {conditions: {StringEquals: Object.fromEntries(tagged)}} : {}),
    },
    {
      kind: 'aws',
      actions: ['ssm:SendCommand', 'ssm:GetDocument'],
      resources: [`arn:${partition}:ssm:${region}:${document.startsWith('AWS-') ? '*' : account}:document/${document}`],
    },
    {
      kind: 'aws',
      actions: [
        'ssm:ListCommands',
        'ssm:ListCommandInvocations',
        'ssm:GetCommandInvocation',
        'ssm:CancelCommand',
        'ssm:DescribeInstanceInformation',
      ],
      resources: ['*'],
    },
  ]
}

/** Nothing goes to a program that was sent as a command. */
export const noStdin = {why: 'a Run Command has no stdin', instead: 'take stdin out of the tool, or run it on ssm:'}
