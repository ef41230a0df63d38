/** Calls to a broker (api.ts). Streams are not here (stream-client.ts). got loads at the first call, never at start-up. */
import type {Agents, Got, RequestError, Response} from 'got'
import type {Answered, Endpoint, InputOf} from './api.ts'
import {isTokenRefused, refusal, unreachable} from './broker-errors.ts'
import {type LoginKey, proof} from './dpop.ts'
import {ProdError} from './errors.ts'
import {type Broker, type Session, trust} from './session.ts'

/** Any entry of api.ts. Its schema stays `unknown` here: to compare it with all that JSON Schema may be takes the compiler too deep. */
export type AnyEndpoint = Pick<Endpoint, 'method' | 'path' | 'caller'> & {readonly input: unknown}
/** The input of a call: may be left out where the endpoint takes none. */
export type CallInput<E extends AnyEndpoint> = E['input'] extends {readonly required: readonly string[]}
  ? [input: InputOf<E>]
  : [input?: InputOf<E>]

export interface BrokerClient {
  readonly broker: Broker
  /**
   * One call. Signs it with DPoP, renews a refused token once, repeats what is safe to repeat. Throws what the broker said, NOT_LOGGED_IN,
   * LOGIN_EXPIRED, BROKER_UNREACHABLE or CERTIFICATE_REFUSED.
   */
  call<E extends AnyEndpoint>(endpoint: E, ...input: CallInput<E>): Promise<Answered<E>>
}

export interface ClientOptions {
  broker: Broker
  /** who calls; opened at the first call that needs it. Without one only endpoints for `nobody` answer. */
  session?: Session | (() => Promise<Session>)
  /** signs calls for `nobody` that prove a key: login and its renewal */
  key?: LoginKey
}

/** The way to a broker's API. Cheap: nothing loads and nothing connects before the first call. */
export function createClient({broker, session, key}: ClientOptions): BrokerClient {
  let opened: Promise<Session> | undefined
  const openSession = (): Promise<Session> => {
    if (!session) throw new ProdError('NOT_LOGGED_IN', `not logged in to ${broker.name}`, 'prod login')
    opened ??= typeof session === 'function' ? session() : Promise.resolve(session)
    return opened
  }
  let http: Promise<Got> | undefined
  /** the newest `DPoP-Nonce` (RFC 9449 section 8) */
  let nonce: string | undefined

  async function send(endpoint: AnyEndpoint, request: Request, signer: Signer | undefined): Promise<Response<string>> {
    http ??= connect(broker)
    const post = endpoint.method === 'POST'
    try {
      return await (await http)(request.url, {
        method: endpoint.method,
        ...(post ? {json: request.body} : {}),
        retry: {limit: isRepeatable(endpoint) ? 2 : 0},
        hooks: {
          beforeRequest: [
            options => {
              if (!signer) return
              // signed anew for each repetition: a proof counts once
              const {accessToken} = signer
              if (accessToken !== undefined) options.headers.authorization = `DPoP ${accessToken}`
              options.headers.dpop = proof(signer.key, {
                method: endpoint.method,
                url: request.url,
                ...(accessToken === undefined ? {} : {accessToken}),
                ...(nonce === undefined ? {} : {nonce}),
              })
            },
          ],
        },
      })
    } catch (error) {
      const {response} = error as RequestError
      if (response) return response as Response<string>
      throw unreachable(broker, error)
    }
  }

  return {
    broker,
    async call<E extends AnyEndpoint>(endpoint: E, ...[input]: CallInput<E>): Promise<Answered<E>> {
      const request = shape(broker, endpoint, (input ?? {}) as Record<string, unknown>)
      const caller = endpoint.caller === 'person' ? await openSession() : undefined
      const keyOf = caller?.key ?? key
      let signer: Signer | undefined = keyOf && {key: keyOf, ...(caller ? {accessToken: await caller.token()} : {})}
      let [nonceTried, renewed] = [false, false]
      for (;;) {
        const response = await send(endpoint, request, signer)
        const given = header(response, 'dpop-nonce')
        const fresh = given !== undefined && given !== nonce
        nonce = given ?? nonce
        if (response.statusCode >= 200 && response.statusCode < 300) return decode(broker, response) as Answered<E>

        const error = refusal(broker, response.statusCode, response.body, header(response, 'date'))
        if (response.statusCode !== 401 || !signer) throw error
        if (fresh && !nonceTried) {
          nonceTried = true
        } else if (caller && signer.accessToken !== undefined && !renewed && isTokenRefused(error)) {
          renewed = true
          signer = {key: signer.key, accessToken: await caller.renew(signer.accessToken)}
        } else {
          throw error
        }
      }
    },
  }
}

interface Signer {
  key: LoginKey
  accessToken?: string
}

interface Request {
  url: string
  body: Record<string, unknown>
}

/** Where each part of the input goes: the path, of a GET the query, else the body. */
function shape(broker: Broker, endpoint: AnyEndpoint, input: Record<string, unknown>): Request {
  const rest = {...input}
  const path = endpoint.path.replace(/:(\w+)/g, (_, name: string) => {
    const value = rest[name]
    delete rest[name]
    return encodeURIComponent(String(value))
  })
  if (endpoint.method === 'POST') return {url: broker.url + path, body: rest}
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(rest)) if (value !== undefined) query.set(name, String(value))
  return {url: broker.url + path + (query.size > 0 ? `?${query}` : ''), body: {}}
}

/** A GET, or a POST that carries its idempotency key (TM-N3); a refresh token gets the same successor again. */
function isRepeatable({method, path, input}: AnyEndpoint): boolean {
  if (method === 'GET' || path === '/v1/login/refresh') return true
  return (input as {required?: readonly string[]}).required?.includes('key') === true
}

async function connect(broker: Broker): Promise<Got> {
  const https = trust(broker)
  const [{default: got}, {Agent}] = await Promise.all([import('got'), import('node:http')])
  // a proxy named in the environment is never between us and this machine
  const agent: Agents = {http: new Agent()}
  return got.extend({
    agent,
    https: {
      rejectUnauthorized: https.rejectUnauthorized,
      minVersion: https.minVersion,
      ...(https.ca === undefined ? {} : {certificateAuthority: https.ca}),
    },
    followRedirect: false,
    responseType: 'text',
    headers: {accept: 'application/json', 'user-agent': 'prod'},
    timeout: {lookup: 5000, connect: 5000, secureConnect: 5000, socket: 30_000, response: 30_000},
    // a broker that is down is said at once; what was cut may be asked again
    retry: {
      methods: ['GET', 'POST'],
      statusCodes: [502, 503, 504],
      errorCodes: ['ECONNRESET', 'EPIPE', 'EAI_AGAIN'],
      maxRetryAfter: 2000,
      backoffLimit: 250,
    },
  })
}

function header(response: Response<string>, name: string): string | undefined {
  const value = response.headers[name]
  return Array.isArray(value) ? value[0] : value
}

function decode(broker: Broker, response: Response<string>): unknown {
  if (!header(response, 'content-type')?.startsWith('application/json')) return response.body
  try {
    return JSON.parse(response.body)
  } catch {
    throw refusal(broker, response.statusCode, '')
  }
}
