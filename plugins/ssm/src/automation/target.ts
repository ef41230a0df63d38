import type {Permission} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {partitionOf} from '../aws/call.ts'
import {checkAccount, type PinnedDocument, readDocument, readPins} from '../target.ts'

/**
 * One Automation document of one region, written `region/NAME[@sha256][?pins]`. Source: StartAutomationExecution of AWS Systems Manager.
 */
export interface AutomationTarget {
  readonly region: string
  readonly document: PinnedDocument
  readonly account?: string
  /** `over=InstanceId`, with `tag:NAME=VALUE`: the document runs once for each instance with the tags, as this parameter */
  readonly over?: string
  readonly tags: Readonly<Record<string, string>>
  /** `on=i-…,i-…`: these of them alone; each must have the tags */
  readonly on?: readonly string[]
  /** all that was written from the question mark on */
  readonly query: string
  /** `concurrency=1`, of a document that runs over instances */
  readonly concurrency: string
  /** `errors=0` */
  readonly errors: string
  /** `assume=ROLE`: the role of the account that the document works under; the caller hands it over */
  readonly assume?: string
}

const example = 'ssm-automation:eu-west-1/AWS-RestartEC2Instance'
const rate = /^(?:[1-9]\d{0,6}|[1-9]\d?%|100%)$/
const known = new Set(['account', 'over', 'on', 'concurrency', 'errors', 'assume'])
/** Most instances that one execution names. Source: Targets of StartAutomationExecution, with the key ParameterValues */
export const mostNamed = 50

/** Reads the part after `ssm-automation:`. Pure. Throws TARGET_INVALID. */
export function parse(text: string): AutomationTarget {
  const refuse = (why: string): ProdError => new ProdError('TARGET_INVALID', why, example)
  const [, region, document, query] = /^([a-z]{2}(?:-[a-z]+)+-\d)\/([^?]+)(?:\?(.+))?$/.exec(text) ?? []
  if (!region || !document) throw refuse(`${JSON.stringify(text)} names no Automation document`)
  const pins = readPins(query)
  const tags: Record<string, string> = {}
  for (const [key, value] of pins) {
    if (key.startsWith('tag:') && key.length > 4) tags[key.slice(4)] = value
    else if (!known.has(key))
      throw refuse(`an Automation has no ${JSON.stringify(key)}: account, over, tag:NAME, on, concurrency, errors, assume`)
  }
  const {account, over, on, concurrency = '1', errors = '0', assume} = Object.fromEntries(pins)
  if (account !== undefined) checkAccount(account)
  if (assume !== undefined && account === undefined) throw refuse('a role to assume is of one account: say account too')
  if (assume !== undefined && !/^[\w+=,.@/-]{1,512}$/.test(assume)) throw refuse(`${JSON.stringify(assume)} is no name of a role`)
  if (over !== undefined && !/^[A-Za-z][A-Za-z0-9]{0,49}$/.test(over)) throw refuse(`${JSON.stringify(over)} is no parameter`)
  if ((over === undefined) !== (Object.keys(tags).length === 0)) throw refuse('over and tags go together: over=InstanceId&tag:Role=web')
  if (Object.keys(tags).length > 5) throw refuse('five tags at most')
  const named = on?.split(',') ?? []
  if (on !== undefined && over === undefined) throw refuse('on chooses among those of over: over=InstanceId&tag:Role=web&on=i-…')
  if (!named.every(id => /^i-[0-9a-f]{8,17}$/.test(id))) throw refuse(`${JSON.stringify(on)} names no instances`)
  if (new Set(named).size !== named.length) throw refuse('an instance stands there twice')
  if (named.length > mostNamed) throw refuse(`${mostNamed} instances at most`)
  if (!rate.test(concurrency)) throw refuse('concurrency is a number or a share, such as 1 or 25%')
  if (errors !== '0' && !rate.test(errors)) throw refuse('errors is a number or a share, such as 0 or 10%')
  return {
    region,
    document: readDocument(document),
    tags,
    concurrency,
    errors,
    ...(account === undefined ? {} : {account}),
    ...(over === undefined ? {} : {over}),
    ...(on === undefined ? {} : {on: named}),
    query: query === undefined ? '' : `?${query}`,
    ...(assume === undefined ? {} : {assume}),
  }
}

/** What a tool's `program` asks for: `/start` (with the document's parameters), or about an execution `/follow`, `/approve`, `/reject`, `/cancel`. */
export const acts = ['start', 'follow', 'approve', 'reject', 'cancel'] as const
export type Act = (typeof acts)[number]

/** The act of a program's path, which is its last part. Pure. Throws TOOL_UNAVAILABLE. */
export function actOf(path: string): Act {
  const last = path.slice(path.lastIndexOf('/') + 1)
  const act = acts.find(one => one === last)
  if (act) return act
  throw new ProdError(
    'TOOL_UNAVAILABLE',
    `${path} is nothing that an Automation does`,
    `program: /automation/${acts.join(', /automation/')}`,
  )
}

/**
 * The machines, as every way in to instances calls them; undefined where the address names none. None for what is done about an execution:
 * who approves a step must not wait for the run that waits for it. Pure.
 */
export function machine({region, on}: AutomationTarget, program = '/start'): string[] | undefined {
  if (!program.endsWith('/start')) return []
  return on?.map(id => `aws:${region}/${id}`)
}

/** The least that finding the instances takes; undefined where none are chosen by tags, or where they are named. Pure. */
export function resolvePermissions({over, on}: AutomationTarget): Permission[] | undefined {
  return over === undefined || on !== undefined ? undefined : [{kind: 'aws', actions: ['ec2:DescribeInstances'], resources: ['*']}]
}

/** The role that the document works under. */
export function assumedRole({region, account, assume}: AutomationTarget): string | undefined {
  return assume === undefined ? undefined : `arn:${partitionOf(region)}:iam::${account}:role/${assume}`
}

/** The least that each act needs. Pure. */
export function permissions(target: AutomationTarget, path: string): Permission[] {
  const {region, document, account = '*'} = target
  const arn = (rest: string, owner = account): string => `arn:${partitionOf(region)}:ssm:${region}:${owner}:${rest}`
  const owner = document.name.startsWith('AWS-') ? '*' : account
  const role = assumedRole(target)
  const last = path.slice(path.lastIndexOf('/') + 1)
  const executions = [arn('automation-execution/*')]
  const look = {kind: 'aws', actions: ['ssm:GetAutomationExecution'], resources: executions}
  const signal = {kind: 'aws', actions: ['ssm:SendAutomationSignal'], resources: executions}
  const stop = {kind: 'aws', actions: ['ssm:StopAutomationExecution'], resources: executions}
  if (last === 'follow') return [look]
  if (last === 'approve' || last === 'reject') return [look, signal]
  if (last === 'cancel') return [look, stop]
  return [
    {
      kind: 'aws',
      actions: ['ssm:StartAutomationExecution'],
      resources: [arn(`automation-definition/${document.name}:*`, owner), ...(target.over === undefined ? [] : executions)],
    },
    {...stop, actions: [...look.actions, ...stop.actions]},
    ...(target.on === undefined ? [] : [{kind: 'aws', actions: ['ec2:DescribeInstances'], resources: ['*']}]),
    ...(document.name.startsWith('AWS-')
      ? []
      : [{kind: 'aws', actions: ['ssm:GetDocument'], resources: [arn(`document/${document.name}`)]}]),
    ...(role === undefined
      ? []
      : [
          {
            kind: 'aws',
            actions: ['iam:PassRole'],
            resources: [role],
            conditions: {StringEquals: {'iam:PassedToService': 'ssm.amazonaws.com'}},
          },
        ]),
  ]
}

/** Nothing goes to a document that follows its steps. */
export const noStdin = {why: 'an Automation has no stdin', instead: 'take stdin out of the tool'}
