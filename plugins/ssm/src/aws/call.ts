/** Signed calls to AWS by JSON (Systems Manager, KMS) and by the query protocol (EC2), with the one credential that a use was given. */
import {randomUUID} from 'node:crypto'
import {setTimeout as wait} from 'node:timers/promises'
import type {Access} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {type Keys, signedHeaders} from './sign.ts'

/** What AWS said no with. Its text names what others hold: it is shown to who owns the credential alone. */
export class AwsRefused extends Error {
  override readonly name = 'AwsRefused'
  readonly status: number
  /** `AccessDeniedException`, `TargetNotConnected`, … */
  readonly code: string
  /** of the call: `ssm:StartSession` */
  readonly action: string
  constructor(action: string, status: number, code: string, message: string) {
    super(message)
    this.action = action
    this.status = status
    this.code = code
  }
  /** a policy of AWS does not allow it */
  get denied(): boolean {
    return /AccessDenied|UnauthorizedOperation|NotAuthorized/i.test(this.code)
  }
  /** the credential itself is not, or no longer, good */
  get expired(): boolean {
    return /ExpiredToken|RequestExpired|InvalidClientTokenId|UnrecognizedClient|InvalidToken|AuthFailure/i.test(this.code)
  }
}

/** Where calls go, and by whose credential: asked for each call, so that a renewed one is used. */
export interface Way {
  /** the run or session whose credential it is */
  use: string
  region: string
  keys(): Promise<Keys>
  signal?: AbortSignal
}

const limitMs = 15_000
const tries = 4
const firstPauseMs = 100
/** before its end a credential counts as ended: clocks differ, and a call takes time */
const marginMs = 60_000

/** The credential of a use as a way to AWS, renewed when it ends and the use goes on. Throws CONFIG_INVALID where there is none: no other is looked for. */
export function wayOf(access: Access, region: string, signal?: AbortSignal): Way {
  let current = access.credential
  let renewing: Promise<void> | undefined
  const missing = () =>
    new ProdError(
      'CONFIG_INVALID',
      'this target is reached by a credential of AWS, and no role gives one',
      'role: NAME of catalog/roles, in the target',
    )
  if (!current.AccessKeyId || !current.SecretAccessKey) throw missing()
  return {
    use: access.id,
    region,
    ...(signal ? {signal} : {}),
    async keys() {
      const ends = Date.parse(current.Expiration ?? '')
      if (access.renew && ends - marginMs < Date.now()) {
        renewing ??= access.renew().then(next => {
          current = next
        })
        await renewing.finally(() => {
          renewing = undefined
        })
      }
      const {AccessKeyId, SecretAccessKey, SessionToken} = current
      if (!AccessKeyId || !SecretAccessKey) throw missing()
      return {accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, ...(SessionToken ? {sessionToken: SessionToken} : {})}
    },
  }
}

const jsonTargets = {
  ssm: 'AmazonSSM',
  kms: 'TrentService',
  ecs: 'AmazonEC2ContainerServiceV20141113',
  'ec2-instance-connect': 'AWSEC2InstanceConnectService',
} as const

/** One call by JSON 1.1. Throws {@link AwsRefused}, TARGET_UNREACHABLE. `once`: a call that would act twice if it were sent twice. */
export async function json<A>(service: keyof typeof jsonTargets, way: Way, action: string, input: object, {once = false} = {}): Promise<A> {
  const headers = {'content-type': 'application/x-amz-json-1.1', 'x-amz-target': `${jsonTargets[service]}.${action}`}
  return JSON.parse((await send(service, way, action, JSON.stringify(input), headers, once)) || '{}') as A
}

/** One call of EC2; answers the XML. Throws as {@link json}. */
export function query(way: Way, action: string, parameters: Record<string, string>): Promise<string> {
  const body = new URLSearchParams({Action: action, Version: '2016-11-15', ...parameters}).toString()
  return send('ec2', way, action, body, {'content-type': 'application/x-www-form-urlencoded; charset=utf-8'}, false)
}

/** A token that makes a call safe to send again, where AWS takes one. */
export const clientToken = (): string => randomUUID()

async function send(
  service: string,
  way: Way,
  action: string,
  body: string,
  headers: Record<string, string>,
  once: boolean,
): Promise<string> {
  const {region} = way
  const url = new URL('/', endpointOf(service, region))
  for (let attempt = 1; ; attempt++) {
    way.signal?.throwIfAborted()
    const signed = signedHeaders({method: 'POST', url, service, region, body, headers, at: new Date()}, await way.keys())
    let status: number
    let text: string
    try {
      const signal = AbortSignal.any([AbortSignal.timeout(limitMs), ...(way.signal ? [way.signal] : [])])
      const response = await fetch(url, {method: 'POST', body, headers: signed, redirect: 'error', signal})
      status = response.status
      text = await response.text()
    } catch (cause) {
      way.signal?.throwIfAborted()
      if (attempt < tries && !once) {
        await pause(attempt)
        continue
      }
      throw new ProdError('TARGET_UNREACHABLE', `${url.host} cannot be reached`, 'the same command again', {cause})
    }
    if (status >= 200 && status < 300) return text
    const refused = refusalOf(`${service}:${action}`, status, text)
    const busy = status === 429 || /Throttl|TooManyRequests|RequestLimitExceeded/i.test(refused.code)
    // what was turned away for its number has done nothing; after another failure of the far side nobody knows
    if (attempt === tries || !(busy || (status >= 500 && !once))) throw refused
    await pause(attempt)
  }
}

const pause = (attempt: number): Promise<void> => wait(firstPauseMs * 2 ** attempt * (0.5 + Math.random()))

function refusalOf(action: string, status: number, text: string): AwsRefused {
  try {
    const {__type = '', code = '', message = '', Message = ''} = JSON.parse(text) as Record<string, string>
    return new AwsRefused(action, status, (__type || code).replace(/^.*#/, ''), message || Message)
  } catch {
    const part = (name: string): string => new RegExp(`<${name}>([^<]*)</${name}>`).exec(text)?.[1] ?? ''
    return new AwsRefused(action, status, part('Code') || 'Unknown', part('Message'))
  }
}

/** AWS's own address, or the operator's: `AWS_ENDPOINT_URL_SSM`, `AWS_ENDPOINT_URL`, as AWS's tools read them. Throws CONFIG_INVALID where it is neither https nor loopback. */
export function endpointOf(service: string, region: string, env: NodeJS.ProcessEnv = process.env): string {
  const given = env[`AWS_ENDPOINT_URL_${service.toUpperCase().replaceAll('-', '_')}`] || env.AWS_ENDPOINT_URL
  if (given) {
    const {protocol, hostname} = new URL(given)
    if (protocol !== 'https:' && !['127.0.0.1', '[::1]', 'localhost'].includes(hostname))
      throw new ProdError('CONFIG_INVALID', `AWS_ENDPOINT_URL ${given} is not https`, 'unset AWS_ENDPOINT_URL')
    return given
  }
  const name = env.AWS_USE_FIPS_ENDPOINT === 'true' ? `${service}-fips` : service
  return `https://${name}.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`
}

/** The partition of a region: `aws`, `aws-cn`, `aws-us-gov`. */
export function partitionOf(region: string): string {
  return region.startsWith('cn-') ? 'aws-cn' : region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws'
}
