/**
 * What AWS is for sessions, on a free port of this machine: the APIs that lead to a session, the message gateway, and agents that
 * really run what they are told to. Written from the specification and the API references, apart from the client.
 */
import {createHash, randomBytes} from 'node:crypto'
import {mkdirSync, mkdtempSync, rmSync} from 'node:fs'
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http'
import type {AddressInfo} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {Duplex} from 'node:stream'
import {WebSocketServer} from 'ws'
import type {AgentSettings} from './agent.ts'
import type {Api, Incoming, World} from './api.ts'
import {ApiError} from './api-error.ts'
import {sessionArns, sessionsApi} from './api-ssm.ts'
import {someDocuments} from './documents.ts'
import {type Gateway, type Limits, type Session, startGateway, type Trouble} from './gateway.ts'
import {startKeys} from './kms.ts'
import {decide, type Policy, type Statement, statements} from './policy.ts'
import {signatureFault, signer} from './signature.ts'
import {
  account,
  type Call,
  type Cluster,
  type Document,
  type Identity,
  type Instance,
  makeInstance,
  someClusters,
  someInstances,
} from './world.ts'

/** What a stand-in may be told. All of it can be written as JSON. */
export interface StandInOptions {
  region?: string
  instances?: (Partial<Instance> & {id: string})[]
  clusters?: Cluster[]
  /** documents besides those of AWS */
  documents?: Document[]
  /** `inputs` of the account's session preferences: kmsKeyId, idleSessionTimeout (minutes), maxSessionDuration, shellProfile */
  preferences?: Record<string, unknown>
  /** how agents behave where an instance says nothing */
  agent?: Partial<AgentSettings>
  trouble?: Trouble
  limits?: Partial<Limits>
  /** how much faster the stand-in's clock runs than the wall's */
  timeScale?: number
  /** where machines and containers have their folders; a temporary one otherwise */
  folder?: string
}

/** A running stand-in. `world` may be changed while it runs. */
export interface StandIn {
  url: string
  region: string
  account: string
  /** what points SDKs and the CLI of AWS at it, with credentials that may do everything */
  env: Record<string, string>
  world: World
  sessions: Map<string, Session>
  calls: Call[]
  /** Knows a credential from now on: who it is, what it may do, and by what session policy it is bounded. */
  register(it: NewIdentity): Identity
  /** The next calls of an action fail: so many times, for ever where nothing is said. */
  fail(action: string, code: string, times?: number, status?: number): void
  /** Calls of an action are never answered. */
  hang(action: string): void
  /** Answers as it should again. */
  mend(): void
  close(): Promise<void>
}

/** A credential to know. What is left out is made up; what it may do is everything, unless said. */
export interface NewIdentity {
  accessKeyId?: string
  secretAccessKey?: string
  sessionToken?: string
  /** user or role session, what session ids begin with */
  name?: string
  arn?: string
  userId?: string
  allows?: Policy
  policy?: Policy
  tags?: Record<string, string>
  sourceIdentity?: string
  endsAt?: number
}

const services: Record<string, {service: string; api: Api}> = {
  AmazonSSM: {service: 'ssm', api: {...sessionsApi}},
}

const everything: Statement[] = [{Effect: 'Allow', Action: '*', Resource: '*'}]

/** Starts one. */
export async function startStandIn(options: StandInOptions = {}): Promise<StandIn> {
  const region = options.region ?? 'us-east-1'
  const timeScale = options.timeScale ?? 1
  const startedAt = Date.now()
  const now = (): number => startedAt + (Date.now() - startedAt) * timeScale
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'prod-sessions-'))
  const failures = new Map<string, {code: string; times: number; status: number}>()
  const hung = new Set<string>()
  const calls: Call[] = []
  const identities = new Map<string, Identity>()
  const sockets = new WebSocketServer({noServer: true, perMessageDeflate: false, maxPayload: 1024 * 1024})

  const server = createServer((request, response) => void answer(request, response))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`

  const gateway: Gateway = startGateway({
    trouble: options.trouble ?? {},
    limits: {idleMs: 20 * 60_000, maxMs: 0, tokenMs: 60_000 * timeScale, ...options.limits},
    timeScale,
    now,
    webSocketUrl: () => `ws://${host}`,
  })
  const world: World = {
    instances: options.instances?.map(makeInstance) ?? someInstances(),
    clusters: options.clusters ?? someClusters(),
    documents: [...(options.documents ?? []), ...someDocuments(options.preferences)],
    identities,
    gateway,
    keys: startKeys(),
    agent: {
      version: '3.3.1142.0',
      pieceDelayMs: 1,
      outputDelayMs: 0,
      errorDelayMs: 50,
      handshakeDelayMs: 0,
      handshakeTimeoutMs: 15_000,
      challenge: 'offered',
      smuxVersions: [1],
      customerMessage: '',
      shell: ['/bin/bash', '--norc', '--noprofile'],
      ports: {},
      environment: {PATH: process.env.PATH ?? '/usr/bin:/bin', LANG: 'C.UTF-8'},
      ...options.agent,
    },
    now,
    timeScale,
    host,
    folderOf(name) {
      const path = join(folder, name)
      mkdirSync(path, {recursive: true})
      return path
    },
  }

  const register = (it: NewIdentity): Identity => {
    const letters = (prefix: string): string => prefix + randomBytes(10).toString('hex').slice(0, 16).toUpperCase()
    const name = it.name ?? 'tester'
    const identity: Identity = {
      accessKeyId: it.accessKeyId ?? letters(it.sessionToken ? 'ASIA' : 'AKIA'),
      secretAccessKey: it.secretAccessKey ?? randomBytes(30).toString('base64url'),
      sessionToken: it.sessionToken ?? '',
      arn: it.arn ?? `arn:aws:iam::${account}:user/${name}`,
      userId: it.userId ?? letters('AIDA'),
      name,
      allows: it.allows === undefined ? everything : statements(it.allows),
      policy: it.policy === undefined ? undefined : statements(it.policy),
      tags: it.tags ?? {},
      sourceIdentity: it.sourceIdentity ?? '',
      issuedAt: now(),
      endsAt: it.endsAt ?? Number.POSITIVE_INFINITY,
    }
    identities.set(identity.accessKeyId, identity)
    return identity
  }

  /** Who signed a request, really; throws when nobody did, or wrongly. */
  const identify = (request: IncomingMessage, body: Buffer): {identity: Identity; region: string; service: string} => {
    const it = {method: request.method ?? 'GET', url: request.url ?? '/', headers: request.headers, body}
    const signed = signer(it)
    if (!signed) throw new ApiError('MissingAuthenticationTokenException', 'Request is missing Authentication Token', 403)
    const identity = identities.get(signed.accessKeyId)
    if (!identity || identity.sessionToken !== signed.sessionToken)
      throw new ApiError('UnrecognizedClientException', 'The security token included in the request is invalid.', 403)
    const fault = signatureFault(it, identity.secretAccessKey, Date.now())
    if (fault) throw new ApiError('InvalidSignatureException', `The request signature is not valid: ${fault}`, 403)
    if (identity.endsAt <= now()) throw new ApiError('ExpiredTokenException', 'The security token included in the request is expired', 403)
    return {identity, region: signed.region, service: signed.service}
  }

  const authorizer =
    (identity: Identity, regionOf: string): Incoming['authorize'] =>
    (action, resources, context = {}) => {
      const known = {
        'aws:username': identity.name,
        'aws:userid': identity.userId,
        'aws:PrincipalArn': identity.arn,
        'aws:PrincipalAccount': account,
        'aws:SourceIdentity': identity.sourceIdentity,
        'aws:RequestedRegion': regionOf,
        'aws:TokenIssueTime': new Date(Math.floor(identity.issuedAt / 1000) * 1000).toISOString(),
        'aws:CurrentTime': new Date(now()).toISOString(),
        ...Object.fromEntries(Object.entries(identity.tags).map(([key, value]) => [`aws:PrincipalTag/${key}`, value])),
        ...context,
      }
      const names = [resources].flat()
      const decisions = names.map(resource => decide(identity.allows, identity.policy, {action, resource, context: known}))
      if (decisions.includes('allowed') && !decisions.includes('explicit')) return
      const bounded = decide(identity.allows, undefined, {action, resource: names[0] as string, context: known}) === 'allowed'
      const why = decisions.includes('explicit')
        ? 'with an explicit deny in an identity-based policy'
        : `because no ${bounded ? 'session' : 'identity-based'} policy allows the ${action} action`
      throw new ApiError(
        'AccessDeniedException',
        `User: ${identity.arn} is not authorized to perform: ${action} on resource: ${names[0]} ${why}`,
      )
    }

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const [prefix = '', action = ''] = String(request.headers['x-amz-target'] ?? '').split('.')
    const id = createHash('sha256').update(randomBytes(16)).digest('hex')
    const requestId = `${id.slice(0, 8)}-${id.slice(8, 12)}-4${id.slice(13, 16)}-a${id.slice(17, 20)}-${id.slice(20, 32)}`
    const record: Call = {service: '', action, region: '', accessKeyId: '', input: {}, outcome: 'ok', at: now()}
    const send = (status: number, type: string, text: string): void => {
      response.writeHead(status, {'content-type': type, 'x-amzn-requestid': requestId, 'x-amz-request-id': requestId}).end(text)
    }
    const served = services[prefix]
    try {
      const {identity, region: signedFor, service} = identify(request, body)
      Object.assign(record, {service, region: signedFor, accessKeyId: identity.accessKeyId})
      record.input = JSON.parse(body.toString() || '{}') as Record<string, unknown>
      calls.push(record)
      const run = served?.api[action]
      if (!run || service !== served.service) throw new ApiError('UnknownOperationException', `this stand-in has no ${prefix}.${action}`)
      if (hung.has(action)) return
      const failure = failures.get(action)
      if (failure && failure.times-- > 0) throw new ApiError(failure.code, 'as it was asked to', failure.status)
      const output = await run({
        input: record.input as never,
        caller: identity,
        region: signedFor,
        world,
        authorize: authorizer(identity, signedFor),
      })
      send(200, 'application/x-amz-json-1.1', JSON.stringify(output))
    } catch (error) {
      const {code, status, message} =
        error instanceof ApiError ? error : new ApiError('InternalServerError', String((error as Error).stack), 500)
      record.outcome = code
      send(status, 'application/x-amz-json-1.1', JSON.stringify({__type: code, message}))
    }
  }

  const refuse = (socket: Duplex, status: string, text: string): void => {
    socket.end(
      `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    )
  }
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => {})
    const url = new URL(request.url ?? '/', `http://${host}`)
    const channel = /^\/v1\/data-channel\/([^/]+)$/.exec(url.pathname)
    const record: Call = {
      service: 'ssmmessages',
      action: 'OpenDataChannel',
      region: '',
      accessKeyId: '',
      input: {},
      outcome: 'ok',
      at: now(),
    }
    calls.push(record)
    try {
      const {identity, region: signedFor, service} = identify(request, Buffer.alloc(0))
      Object.assign(record, {service, region: signedFor, accessKeyId: identity.accessKeyId, input: {path: url.pathname}})
      const failure = failures.get('OpenDataChannel')
      if (failure && failure.times-- > 0) throw new ApiError(failure.code, 'as it was asked to', failure.status)
      const id = decodeURIComponent(channel?.[1] ?? '')
      const session = gateway.sessions.get(id)
      if (service !== 'ssmmessages' || !session || session.region !== signedFor) throw new ApiError('Forbidden', 'Forbidden', 403)
      authorizer(identity, signedFor)('ssmmessages:OpenDataChannel', sessionArns(session))
      if (!gateway.admits(id, url.searchParams.get('cell-number') ?? ''))
        throw new ApiError('Forbidden', 'this address is no longer valid', 403)
      if (request.headers['sec-websocket-protocol']) throw new ApiError('BadRequest', 'there is no subprotocol', 400)
      sockets.handleUpgrade(request, socket, head, client => gateway.accept(id, client))
    } catch (error) {
      const status = error instanceof ApiError && error.status !== 400 ? error.status : 403
      record.outcome = error instanceof ApiError ? error.code : 'InternalServerError'
      refuse(socket, `${status} ${status === 403 ? 'Forbidden' : 'Error'}`, (error as Error).message)
    }
  })

  const owner = register({
    name: 'alice',
    sessionToken: randomBytes(24).toString('base64url'),
    arn: `arn:aws:sts::${account}:assumed-role/admin/alice`,
    userId: 'AROA0A1B2C3D4E5F60718:alice',
  })
  return {
    url: `http://${host}`,
    region,
    account,
    env: {
      AWS_ENDPOINT_URL: `http://${host}`,
      AWS_ACCESS_KEY_ID: owner.accessKeyId,
      AWS_SECRET_ACCESS_KEY: owner.secretAccessKey,
      AWS_SESSION_TOKEN: owner.sessionToken,
      AWS_REGION: region,
      AWS_DEFAULT_REGION: region,
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    world,
    sessions: gateway.sessions,
    calls,
    register,
    fail: (action, code, times = Number.POSITIVE_INFINITY, status = 400) => void failures.set(action, {code, times, status}),
    hang: action => void hung.add(action),
    mend() {
      failures.clear()
      hung.clear()
    },
    async close() {
      gateway.stop()
      for (const client of sockets.clients) client.terminate()
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
      if (!options.folder) rmSync(folder, {recursive: true, force: true, maxRetries: 3})
    },
  }
}
