import type {Permission, Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {partitionOf} from '@prod/ssm/aws'
import {preferences} from '@prod/ssm/documents'

/**
 * One container of a service, written `[region/]cluster/service[/container[/task]][?pins]`. Which task it is, is found when it is used:
 * the newest healthy one, unless one is named. The pins say what must be so then; they stand in the address, so in what people approve. A
 * `*` as the last name stands for many: clusters of a region, containers of a cluster or of a service, tasks with a container.
 */
export interface Target {
  /** absent: the region of the credential, or the broker's own */
  readonly region?: string
  /** `*`, without a service: each of the region, which is named then */
  readonly cluster: string
  /** `-`: none; then `task` is given. `*`, without a container: each of the cluster */
  readonly service: string
  /** absent: the only one of the task, those not counted that AWS adds by itself. `*`: each of the service */
  readonly container?: string
  /** as written, from the question mark on */
  readonly pins?: string
  /** `account=111122223333`: the account that it must be in */
  readonly account?: string
  /** `task=ID`, or a name behind that of the container: this task, and no other that takes its place. `*`: each that has the container */
  readonly task?: string
  /** `definition=web:42`: the family and revision that the task must run */
  readonly definition?: string
  /** `image=sha256:…`: the digest of the image that the container must run */
  readonly image?: string
  /** `exec=NAME@sha256`: the session document that runs programs, where the account lets containers be reached by it */
  readonly exec?: {readonly name: string; readonly sha256?: string}
  /** `logging=broker`: the broker's recording is enough, the cluster need not log sessions itself */
  readonly logging?: 'broker'
}

const regionForm = /^[a-z]{2}(?:-[a-z]+)+-\d$/
const nameForm = /^[A-Za-z0-9_-]{1,255}$/
const example = 'prod shell ecs:eu-west-1/prod/web'
const forms = {
  account: /^\d{12}$/,
  task: /^[0-9a-f-]{32,36}$/,
  definition: /^[A-Za-z0-9_-]{1,255}:[1-9]\d{0,8}$/,
  image: /^sha256:[0-9a-f]{64}$/,
  exec: /^[a-zA-Z0-9_.-]{3,128}(?:@[0-9a-f]{64})?$/,
  logging: /^broker$/,
} as const

/** Reads the part after `ecs:`. A first name in the form of a region is one. Pure. Throws TARGET_INVALID. */
export function parse(text: string): Target {
  if (/[^!-~]/.test(text)) throw invalid(`${JSON.stringify(text)} does not name a container`)
  const at = text.indexOf('?')
  const names = (at < 0 ? text : text.slice(0, at)).split('/')
  const region = regionForm.test(names[0] ?? '') ? names.shift() : undefined
  if (!isNamed(names, region))
    throw invalid(`${JSON.stringify(text)} does not name a container: [region/]cluster/service[/container[/task]]`)
  const [cluster = '', service = '*', container, task] = names
  const {exec, logging, ...pins} = readPins(at < 0 ? undefined : text.slice(at + 1))
  if (task !== undefined && pins.task !== undefined) throw invalid('the task stands there twice')
  if (service === '-' && pins.task === undefined) throw invalid('a container of no service is named by its task: ?task=ID')
  const [name = '', sha256] = exec?.split('@') ?? []
  return {
    ...(region === undefined ? {} : {region}),
    cluster,
    service,
    ...(container === undefined ? {} : {container}),
    ...pins,
    ...(task === undefined ? {} : {task}),
    ...(at < 0 ? {} : {pins: text.slice(at)}),
    ...(exec === undefined ? {} : {exec: {name, ...(sha256 === undefined ? {} : {sha256})}}),
    ...(logging === undefined ? {} : {logging: 'broker' as const}),
  }
}

/**
 * The container, in whatever region: which one an address without a region leads to is known when its credential is. A task that a pin names is
 * no other machine, but where there is no service. Undefined for many. Pure.
 */
export function machine(target: Target): string | undefined {
  if (isMany(target)) return undefined
  const {cluster, service, container = '', task, pins = ''} = target
  const own = service !== '-' && /[?&]task=/.test(pins) ? undefined : task
  return `aws:ecs/${[cluster, service, container, own].filter(Boolean).join('/')}`
}

/** Two to four names, the last of which may be a star; or a star alone, for the clusters of a region. */
function isNamed(names: readonly string[], region: string | undefined): boolean {
  if (names.length < 2) return region !== undefined && names[0] === '*'
  const last = names.length - 1
  return names.length <= 4 && names.every((name, at) => (at === last && name === '*') || (at === 3 ? forms.task : nameForm).test(name))
}

/** Whether it stands for many, of which one is used at a time. Pure. */
export function isMany({service, container, task}: Target): boolean {
  return service === '*' || container === '*' || task === '*'
}

function readPins(query: string | undefined): Partial<Record<keyof typeof forms, string>> {
  const pins: Partial<Record<keyof typeof forms, string>> = {}
  for (const part of query?.split('&') ?? []) {
    const [, key = '', value = ''] = /^([a-z]+)=(.+)$/.exec(part) ?? []
    if (!isPin(key)) throw invalid(`a container has no ${JSON.stringify(part)}: ${Object.keys(forms).join(', ')}`)
    if (pins[key] !== undefined) throw invalid(`${key} stands there twice`)
    if (!forms[key].test(value)) throw invalid(`${JSON.stringify(value)} is no ${key}`)
    pins[key] = value
  }
  return pins
}

function isPin(key: string): key is keyof typeof forms {
  return Object.hasOwn(forms, key)
}

function invalid(message: string): ProdError {
  return new ProdError('TARGET_INVALID', message, example)
}

/** Whether a forward goes to the container itself. Pure. */
export function isContainer(host: string): boolean {
  return host === 'localhost' || host === '127.0.0.1' || host === '::1'
}

/** The document of a forward. Pure. */
export function forwardDocument(to: {host: string}): string {
  return isContainer(to.host) ? 'AWS-StartPortForwardingSession' : 'AWS-StartPortForwardingSessionToRemoteHost'
}

/**
 * The least one use needs (TM-X1): a command in this container, or a session on tasks of this cluster with this document, whose explicit
 * permission is asked for; the data channel, resuming and ending of such a session; a data key for this cluster; looking at what is
 * there. Pure.
 */
export function permissions(
  {region = '*', cluster, service, container, task = '*', account = '*', exec, logging}: Target,
  use: Use,
): Permission[] {
  const arn = (part: string, rest: string, owner = account): string =>
    `arn:${region === '*' ? '*' : partitionOf(region)}:${part}:${region}:${owner}:${rest}`
  const tasks = arn('ecs', `task/${cluster}/${task}`)
  const document = use.kind === 'forward' ? forwardDocument(use.to) : use.kind === 'exec' ? exec?.name : undefined
  const bySession = document !== undefined
  return [
    ...(bySession
      ? [
          {
            kind: 'aws',
            actions: ['ssm:StartSession'],
            resources: [tasks],
            conditions: {BoolIfExists: {'ssm:SessionDocumentAccessCheck': 'true'}},
          },
          {
            kind: 'aws',
            actions: ['ssm:StartSession'],
            resources: [arn('ssm', `document/${document}`, document.startsWith('AWS-') ? '*' : account)],
          },
          // what is pinned, and says whether it is logged; AWS's own documents leave that to the account's preferences
          ...(use.kind === 'exec'
            ? [
                {
                  kind: 'aws',
                  actions: ['ssm:GetDocument'],
                  resources: [arn('ssm', `document/${document.startsWith('AWS-') ? preferences : document}`)],
                },
              ]
            : []),
        ]
      : [
          {
            kind: 'aws',
            actions: ['ecs:ExecuteCommand'],
            resources: [arn('ecs', `cluster/${cluster}`), tasks],
            ...(container === undefined || container === '*' ? {} : {conditions: {StringEquals: {'ecs:container-name': container}}}),
          },
        ]),
    {
      kind: 'aws',
      actions: ['ssmmessages:OpenDataChannel', 'ssm:ResumeSession', 'ssm:TerminateSession'],
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of IAM
      resources: [arn('ssm', bySession ? 'session/${aws:userid}-*' : 'session/ecs-execute-command-*')],
    },
    ...(use.kind === 'forward'
      ? []
      : [
          {
            kind: 'aws',
            actions: ['kms:GenerateDataKey'],
            resources: [arn('kms', 'key/*')],
            conditions: {StringLike: {'kms:EncryptionContext:aws:ssm:TargetId': `ecs:${cluster}_*`}},
          },
        ]),
    {
      kind: 'aws',
      actions: ['ecs:DescribeTasks', 'ecs:DescribeServices', ...(bySession || logging === 'broker' ? [] : ['ecs:DescribeClusters'])],
      resources: [tasks, arn('ecs', `service/${cluster}/${service}`), arn('ecs', `cluster/${cluster}`)],
    },
    {kind: 'aws', actions: ['ecs:ListTasks', 'ecs:DescribeTaskDefinition'], resources: ['*']},
  ]
}

/** The address of a target in its region with this task as a pin, so that it stays the same machine. Pure. */
export function withTask({cluster, service, container, pins}: Target, region: string, task: string): string {
  const names = [region, cluster, service, ...(container === undefined ? [] : [container])]
  return `${names.join('/')}${pins === undefined ? '?' : `${pins}&`}task=${task}`
}

/** The least that finding the task takes; undefined where it is named, or where there are many to choose from. Pure. */
export function resolvePermissions(target: Target): Permission[] | undefined {
  if (target.task !== undefined || isMany(target)) return undefined
  const {region = '*', cluster, service, account = '*'} = target
  const arn = (rest: string): string => `arn:${region === '*' ? '*' : partitionOf(region)}:ecs:${region}:${account}:${rest}`
  return [
    {
      kind: 'aws',
      actions: ['ecs:DescribeTasks', 'ecs:DescribeServices'],
      resources: [arn(`task/${cluster}/*`), arn(`service/${cluster}/${service}`)],
    },
    {kind: 'aws', actions: ['ecs:ListTasks', 'ecs:DescribeTaskDefinition'], resources: ['*']},
  ]
}

/** A program by a session document has none; one by ECS Exec has, for it is carried over its terminal. Pure. */
export function lacksStdin({exec}: Target): {why: string; instead: string} | undefined {
  return exec && {why: 'a command by a session document has no stdin', instead: 'exec= out of the address of the target'}
}

/** The least that looking for containers takes, where `discover` looks. Pure. */
export function discoverPermissions({region = '*'}: Target): Permission[] {
  return [
    {
      kind: 'aws',
      actions: ['ecs:ListClusters', 'ecs:ListTasks', 'ecs:DescribeTasks'],
      resources: ['*'],
      ...(region === '*' ? {} : {conditions: {StringEquals: {'aws:RequestedRegion': region}}}),
    },
  ]
}
