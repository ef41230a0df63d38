/** One call of an API: who signed it, which service's function it is, and the answer in that service's protocol. */
import {randomUUID} from 'node:crypto'
import type {IncomingMessage, ServerResponse} from 'node:http'
import type {Api, World} from './api.ts'
import {automationApi} from './api-automation.ts'
import {ec2Api} from './api-ec2.ts'
import {ecsApi} from './api-ecs.ts'
import {ApiError} from './api-error.ts'
import {instanceConnectApi} from './api-instance-connect.ts'
import {kmsApi} from './api-kms.ts'
import {runCommandApi} from './api-run-command.ts'
import {sessionsApi} from './api-ssm.ts'
import {iamApi, stsApi} from './api-sts.ts'
import type {Identities} from './identities.ts'
import {elements, readForm, type Value} from './query.ts'
import type {Call} from './world.ts'

/** What serves calls. */
export interface Serving {
  world: World
  identities: Identities
  calls: Call[]
  failures: Map<string, {code: string; times: number; status: number}>
  hung: Set<string>
}

/** Services by the first half of X-Amz-Target. */
const json: Record<string, {service: string; api: Api}> = {
  AmazonSSM: {service: 'ssm', api: {...sessionsApi, ...runCommandApi, ...automationApi}},
  TrentService: {service: 'kms', api: kmsApi},
  AmazonEC2ContainerServiceV20141113: {service: 'ecs', api: ecsApi},
  AWSEC2InstanceConnectService: {service: 'ec2-instance-connect', api: instanceConnectApi},
}
/** Services of the query protocols by the name they are signed for. */
const forms: Record<string, Api> = {ec2: ec2Api, sts: stsApi, iam: iamApi}

const query = {
  ec2: {namespace: 'http://ec2.amazonaws.com/doc/2016-11-15/', item: 'item'},
  sts: {namespace: 'https://sts.amazonaws.com/doc/2011-06-15/', item: 'member'},
  iam: {namespace: 'https://iam.amazonaws.com/doc/2010-05-08/', item: 'member'},
} as const

/** What a code of the JSON services is called in those of forms. */
const formCodes: Record<string, string> = {
  AccessDeniedException: 'AccessDenied',
  UnrecognizedClientException: 'InvalidClientTokenId',
  ExpiredTokenException: 'ExpiredToken',
  InvalidSignatureException: 'SignatureDoesNotMatch',
  MissingAuthenticationTokenException: 'MissingAuthenticationToken',
  ThrottlingException: 'Throttling',
}

/** Throws as the stand-in was told to. */
export function failAsTold({failures}: Serving, action: string): void {
  const failure = failures.get(action)
  if (failure && failure.times-- > 0) throw new ApiError(failure.code, 'as it was told to', failure.status)
}

/** Answers one call. */
export async function answerCall(serving: Serving, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const {world, identities, calls, hung} = serving
  const chunks: Buffer[] = []
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer)
  } catch {
    return
  }
  const body = Buffer.concat(chunks)
  const requestId = randomUUID()
  const target = String(request.headers['x-amz-target'] ?? '')
  const form = target ? undefined : readForm(body.toString())
  const [prefix = '', name = ''] = target.split('.')
  const action = form ? String(form.Action ?? '') : name
  const record: Call = {
    service: json[prefix]?.service ?? '',
    action,
    region: '',
    accessKeyId: '',
    input: {},
    outcome: 'ok',
    at: world.now(),
  }
  calls.push(record)
  const send = (status: number, type: string, text: string): void => {
    response.writeHead(status, {'content-type': type, 'x-amzn-requestid': requestId}).end(text)
  }
  try {
    if (hung.has(action)) return
    const {identity, region, service} = identities.identify(request, body)
    Object.assign(record, {service, region, accessKeyId: identity.accessKeyId})
    record.input = form ?? (JSON.parse(body.toString() || '{}') as Record<string, unknown>)
    const api = form ? forms[service] : json[prefix]?.service === service ? json[prefix]?.api : undefined
    failAsTold(serving, action)
    const run = api?.[action]
    if (!run) throw new ApiError('UnknownOperationException', `this stand-in has no ${service}:${action}`)
    const output = await run({
      input: record.input as never,
      caller: identity,
      region,
      world,
      authorize: identities.authorizer(identity, region),
    })
    if (form) send(200, 'text/xml;charset=UTF-8', written(service, action, requestId, output as Value))
    else send(200, 'application/x-amz-json-1.1', JSON.stringify(output))
  } catch (error) {
    const {code, status, message} =
      error instanceof ApiError ? error : new ApiError('InternalServerError', String((error as Error).stack), 500)
    record.outcome = code
    if (!form) return send(status, 'application/x-amz-json-1.1', JSON.stringify({__type: code, message}))
    const denied = code === 'AccessDeniedException'
    const isEc2 = /\/ec2\//.test(String(request.headers.authorization))
    const plain = denied && isEc2 ? 'UnauthorizedOperation' : (formCodes[code] ?? code)
    const inner = elements(
      {Type: 'Sender', Code: plain, Message: denied && isEc2 ? `You are not authorized to perform this operation. ${message}` : message},
      'item',
    )
    const text = isEc2
      ? `<Response><Errors><Error>${inner}</Error></Errors><RequestID>${requestId}</RequestID></Response>`
      : `<ErrorResponse><Error>${inner}</Error><RequestId>${requestId}</RequestId></ErrorResponse>`
    send(denied ? 403 : status, 'text/xml;charset=UTF-8', `<?xml version="1.0" encoding="UTF-8"?>\n${text}`)
  }
}

function written(service: string, action: string, requestId: string, output: Value): string {
  const {namespace, item} = query[service as keyof typeof query]
  const inner = elements(output, item)
  const content =
    service === 'ec2'
      ? `<requestId>${requestId}</requestId>${inner}`
      : `<${action}Result>${inner}</${action}Result><ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata>`
  return `<?xml version="1.0" encoding="UTF-8"?>\n<${action}Response xmlns="${namespace}">${content}</${action}Response>`
}
