import type {Permission, Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {partitionOf} from '@prod/ssm/aws'

/**
 * One instance, written `region/instance-id[?pins]`. The pins stand in the address, so in what people approve: who one is there, by
 * which way it is reached, and which host key it must show.
 */
export interface Target {
  readonly region: string
  /** `*`: each of those that have the tags */
  readonly instanceId: string
  /** as written, from the question mark on */
  readonly pins: string
  /** `user=NAME`: the account of the instance; what the catalog says with `as` and `shellAs` goes before */
  readonly user: string
  /**
   * `via=…`: `endpoint`, an EC2 Instance Connect Endpoint of the instance's VPC (the default); `eice-…`, that one; `private`, `public`,
   * `ipv6`, an address of the instance, dialled from the broker. No way is a second choice for another.
   */
  readonly via: 'endpoint' | `eice-${string}` | 'private' | 'public' | 'ipv6'
  /** `port=N`: where its sshd listens */
  readonly port: number
  /** `hostkey=…`: how its host key is known */
  readonly hostKey: HostKeyRule
  /** `account=111122223333`: the account that it must belong to */
  readonly account?: string
  /** `tag:Name=web-1`: tags that it must have, and with these values */
  readonly tags: Readonly<Record<string, string>>
}

/**
 * `SHA256:…[,SHA256:…]`: one of these fingerprints. `console` (the default): what the instance printed on its console when it made its
 * keys. `unchecked`: any; whoever is on the way can read and write all of it.
 */
export type HostKeyRule = 'console' | 'unchecked' | {readonly fingerprints: readonly string[]}

const form = /^([a-z]{2}(?:-[a-z]+)+-\d)\/(\*|i-[0-9a-f]{8,17})(?:\?(.+))?$/
const example = 'prod shell ec2-instance-connect:eu-west-1/i-0a1b2c3d4e5f67890'
const known = ['user', 'via', 'port', 'hostkey', 'account'] as const

/** Ports that the service lets through an endpoint. Source: EC2 user guide, "EC2 Instance Connect Endpoint". */
const endpointPorts: readonly number[] = [22, 3389]

/** Reads the part after `ec2-instance-connect:`. Pure. Throws TARGET_INVALID. */
export function parse(text: string): Target {
  const [whole, region, instanceId, query] = form.exec(text) ?? []
  if (whole !== text || !region || !instanceId) throw invalid(`${JSON.stringify(text)} does not name an instance`)
  const tags: Record<string, string> = {}
  const pins: Partial<Record<(typeof known)[number], string>> = {}
  for (const [key, value] of readPins(query)) {
    if (key.startsWith('tag:') && key.length > 4) tags[key.slice(4)] = value
    else if (isKnown(key)) pins[key] = value
    else throw invalid(`an instance has no ${JSON.stringify(key)}: ${known.join(', ')}, tag:NAME`)
  }
  if (instanceId === '*' && Object.keys(tags).length === 0) throw invalid('a * stands for all instances with a tag: ?tag:NAME=VALUE')
  const {user = 'ec2-user', via = 'endpoint', port = '22', hostkey = 'console', account} = pins
  if (!isUser(user)) throw invalid(`${JSON.stringify(user)} is no account of an instance`)
  if (!isVia(via)) throw invalid(`${JSON.stringify(via)} is no way: endpoint, eice-…, private, public, ipv6`)
  if (!/^[1-9]\d{0,4}$/.test(port) || Number(port) > 65_535) throw invalid(`${JSON.stringify(port)} is no port`)
  if (account !== undefined && !/^\d{12}$/.test(account)) throw invalid(`${JSON.stringify(account)} is no account of AWS: twelve digits`)
  return {
    region,
    instanceId,
    pins: query === undefined ? '' : `?${query}`,
    user,
    via,
    port: Number(port),
    hostKey: readHostKey(hostkey),
    tags,
    ...(account === undefined ? {} : {account}),
  }
}

/** The machine, as every way in to instances calls it; undefined for all with a tag. Pure. */
export function machine({region, instanceId}: Target): string | undefined {
  return instanceId === '*' ? undefined : `aws:${region}/${instanceId}`
}

function isKnown(key: string): key is (typeof known)[number] {
  return (known as readonly string[]).includes(key)
}

function isVia(text: string): text is Target['via'] {
  return ['endpoint', 'private', 'public', 'ipv6'].includes(text) || /^eice-[0-9a-f]{8,17}$/.test(text)
}

/** What EC2 Instance Connect takes as the account of an instance: 1 to 32 characters. Pure. */
export function isUser(text: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/.test(text) && !text.endsWith('\n')
}

function readHostKey(text: string): HostKeyRule {
  if (text === 'console' || text === 'unchecked') return text
  const fingerprints = text.split(',')
  if (fingerprints.every(one => /^SHA256:[A-Za-z0-9+/]{43}$/.test(one))) return {fingerprints}
  throw invalid(`${JSON.stringify(text)} is no host key: SHA256:…, console or unchecked`)
}

function readPins(query: string | undefined): Map<string, string> {
  const pins = new Map<string, string>()
  for (const part of query?.split('&') ?? []) {
    const [, key, value] = /^([^=]+)=(.+)$/.exec(part)?.map(decode) ?? []
    if (!key || !value) throw invalid(`${JSON.stringify(part)} is not key=value`)
    if (pins.has(key)) throw invalid(`${key} stands there twice`)
    pins.set(key, value)
  }
  return pins
}

function decode(text: string): string {
  let plain: string
  try {
    plain = decodeURIComponent(text)
  } catch (cause) {
    throw invalid(`${JSON.stringify(text)} is not percent-encoded text`, cause)
  }
  if (/[\u0000-\u001f\u007f]/.test(plain)) throw invalid('a pin holds a control character')
  return plain
}

function invalid(message: string, cause?: unknown): ProdError {
  return new ProdError('TARGET_INVALID', message, example, {cause})
}

/** Whether a forward goes through the endpoint as it is, without SSH: to the instance itself, at a port that endpoints let through. Pure. */
export function isRaw({via}: Target, to: {host: string; port: number}): boolean {
  const isEndpoint = via === 'endpoint' || via.startsWith('eice-')
  return isEndpoint && ['localhost', '127.0.0.1', '::1'].includes(to.host) && endpointPorts.includes(to.port)
}

/**
 * The least one use needs: the key of one connection for one account of this instance, the tunnel to its port, and looking at the
 * instance. Pure. Throws TARGET_INVALID for an account that no instance has.
 */
export function permissions(target: Target, use: Use): Permission[] {
  const {region, instanceId, via, port, hostKey, tags, account = '*'} = target
  const user = userOf(target, use)
  const raw = use.kind === 'forward' && isRaw(target, use.to)
  const arn = (rest: string): string => `arn:${partitionOf(region)}:ec2:${region}:${account}:${rest}`
  const tagged = Object.fromEntries(Object.entries(tags).map(([key, value]) => [`aws:ResourceTag/${key}`, value]))
  const direct = via === 'private' || via === 'public' || via === 'ipv6'
  return [
    ...(raw
      ? []
      : [
          {
            kind: 'aws',
            actions: ['ec2-instance-connect:SendSSHPublicKey'],
            resources: [arn(`instance/${instanceId}`)],
            conditions: {StringEquals: {'ec2:osuser': user, ...tagged}},
          },
        ]),
    ...(direct
      ? []
      : [
          {
            kind: 'aws',
            actions: ['ec2-instance-connect:OpenTunnel'],
            resources: [arn(`instance-connect-endpoint/${via === 'endpoint' ? '*' : via}`)],
            conditions: {NumericEquals: {'ec2-instance-connect:remotePort': String(raw ? use.to.port : port)}},
          },
        ]),
    ...(hostKey === 'console' && !raw
      ? [{kind: 'aws', actions: ['ec2:GetConsoleOutput'], resources: [arn(`instance/${instanceId}`)]}]
      : []),
    {
      kind: 'aws',
      actions: ['ec2:DescribeInstances', ...(direct ? [] : ['ec2:DescribeInstanceConnectEndpoints'])],
      resources: ['*'],
    },
  ]
}

/** The account of the instance that a use has there: what the catalog says goes before what the address says. Throws TARGET_INVALID. */
export function userOf({user}: Target, use: Use): string {
  const account = (use.kind === 'forward' ? undefined : use.runAs) ?? user
  if (!isUser(account)) throw invalid(`${JSON.stringify(account)} is no account of an instance`)
  return account
}

/** The least that looking for instances takes. Pure. */
export function discoverPermissions({region}: Target): Permission[] {
  return [{kind: 'aws', actions: ['ec2:DescribeInstances'], resources: ['*'], conditions: {StringEquals: {'aws:RequestedRegion': region}}}]
}
