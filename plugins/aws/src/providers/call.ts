/**
 * Signed calls to AWS: STS and IAM by the query protocol, IAM Identity Center by JSON 1.1. Of their XML some named texts are taken out;
 * nothing parses it whole.
 */
import {setTimeout as wait} from 'node:timers/promises'
import {ProdError} from '@prod/sdk/errors'
import {type Keys, signedHeaders} from './sign.ts'

/** What AWS said no with. Its text never leaves this folder whole: it may name what others hold. */
export class AwsRefused extends Error {
  override readonly name = 'AwsRefused'
  readonly status: number
  /** `AccessDenied`, `NoSuchEntity`, … */
  readonly code: string
  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** Where a call goes, and by whose credentials. */
export interface Way {
  keys: Keys
  region: string
}

const limitMs = 15_000
const tries = 4
const firstPauseMs = 100
const versions = {sts: '2011-06-15', iam: '2010-05-08'} as const

/** One call of STS or IAM; answers the XML. Throws {@link AwsRefused}, TARGET_UNREACHABLE. */
export function query(service: 'sts' | 'iam', way: Way, action: string, parameters: Record<string, string>): Promise<string> {
  const body = form({Action: action, Version: versions[service], ...parameters})
  const region = service === 'iam' ? homeOfIam(way.region) : way.region
  return send(service, {...way, region}, body, {'content-type': 'application/x-www-form-urlencoded; charset=utf-8'})
}

/** As AWS's own tools write it: whoever checks the signature may write the body anew. */
function form(parameters: Record<string, string>): string {
  const plain = (text: string): string =>
    encodeURIComponent(text).replace(/[!'()*]/g, sign => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
  return Object.entries(parameters)
    .map(([key, value]) => `${plain(key)}=${plain(value)}`)
    .join('&')
}

const targets = {sso: 'SWBExternalService', identitystore: 'AWSIdentityStore'} as const

/** One call of IAM Identity Center. Throws as {@link query}. */
export async function json<A>(service: 'sso' | 'identitystore', way: Way, action: string, body: object): Promise<A> {
  const headers = {'content-type': 'application/x-amz-json-1.1', 'x-amz-target': `${targets[service]}.${action}`}
  return JSON.parse((await send(service, way, JSON.stringify(body), headers)) || '{}') as A
}

async function send(service: string, {keys, region}: Way, body: string, headers: Record<string, string>): Promise<string> {
  const url = new URL('/', endpointOf(service, region))
  for (let attempt = 1; ; attempt++) {
    let status: number
    let text: string
    try {
      const signed = signedHeaders({host: url.host, service, region, body, headers, at: new Date()}, keys)
      const response = await fetch(url, {method: 'POST', body, headers: signed, redirect: 'error', signal: AbortSignal.timeout(limitMs)})
      status = response.status
      text = await response.text()
    } catch (cause) {
      if (attempt < tries) {
        await pause(attempt)
        continue
      }
      throw new ProdError('TARGET_UNREACHABLE', `${url.host} cannot be reached`, 'the same command again', {cause})
    }
    if (status >= 200 && status < 300) return text
    const refused = refusalOf(status, text)
    const busy = status === 429 || status >= 500 || /Throttl|TooManyRequests|ConcurrentModification|^Conflict/i.test(refused.code)
    if (!busy || attempt === tries) throw refused
    await pause(attempt)
  }
}

const pause = (attempt: number): Promise<void> => wait(firstPauseMs * 2 ** attempt * (0.5 + Math.random()))

function refusalOf(status: number, text: string): AwsRefused {
  try {
    const {__type = '', message = '', Message = ''} = JSON.parse(text) as {__type?: string; message?: string; Message?: string}
    return new AwsRefused(status, __type.replace(/^.*#/, ''), message || Message)
  } catch {
    return new AwsRefused(status, textOf(text, 'Code') ?? 'Unknown', textOf(text, 'Message') ?? '')
  }
}

/** A refusal in our words: AWS's text may name what others hold. DENIED where AWS does not allow it, else TARGET_UNREACHABLE. */
export function failure(error: unknown, words: string): unknown {
  if (!(error instanceof AwsRefused)) return error
  if (error.status === 403 || /AccessDenied/.test(error.code))
    return new ProdError('DENIED', `${words} (${error.code})`, 'docs/aws.md, "For operators"', {cause: error})
  return new ProdError('TARGET_UNREACHABLE', `${words}: AWS answers ${error.status} ${error.code}`, 'try again in a minute', {cause: error})
}

/** The text of the first element of this name. */
export function textOf(xml: string, name: string): string | undefined {
  const from = xml.indexOf(`<${name}>`)
  const to = xml.indexOf(`</${name}>`, from)
  if (from < 0 || to < 0) return undefined
  const entities: Record<string, string> = {lt: '<', gt: '>', amp: '&', quot: '"', apos: "'"}
  return xml.slice(from + name.length + 2, to).replace(/&(lt|gt|amp|quot|apos);/g, (_, entity: string) => entities[entity] as string)
}

/** AWS's own address, or the operator's: `AWS_ENDPOINT_URL_STS`, `AWS_ENDPOINT_URL`, as AWS tools read them. */
function endpointOf(service: string, region: string, env: NodeJS.ProcessEnv = process.env): string {
  const named = {sts: 'STS', iam: 'IAM', sso: 'SSO_ADMIN', identitystore: 'IDENTITYSTORE'}[service]
  const given = env[`AWS_ENDPOINT_URL_${named}`] || env.AWS_ENDPOINT_URL
  if (given) {
    const {protocol, hostname} = new URL(given)
    if (protocol !== 'https:' && !['127.0.0.1', '[::1]', 'localhost'].includes(hostname))
      throw new ProdError('CONFIG_INVALID', `AWS_ENDPOINT_URL ${given} is not https`, 'unset AWS_ENDPOINT_URL')
    return given
  }
  const suffix = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'
  if (service !== 'iam') return `https://${service}.${region}.${suffix}`
  return (
    {'us-east-1': 'https://iam.amazonaws.com', 'us-gov-west-1': 'https://iam.us-gov.amazonaws.com'}[region] ??
    `https://iam.${region}.${suffix}`
  )
}

/** IAM is one for all regions of a partition. */
function homeOfIam(region: string): string {
  return region.startsWith('cn-') ? 'cn-north-1' : region.startsWith('us-gov-') ? 'us-gov-west-1' : 'us-east-1'
}
