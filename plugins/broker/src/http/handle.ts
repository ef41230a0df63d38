/** One endpoint: its caller known, its input checked against its schema, its answer sent, its failure in the one form. */
import type {Answered, Endpoint, InputOf} from '@prod/sdk/api'
import {ProdError} from '@prod/sdk/errors'
import {Ajv, type ErrorObject, type ValidateFunction} from 'ajv'
import type {FastifyInstance, FastifyRequest} from 'fastify'
import type {JSONSchema} from 'json-schema-to-ts'
import {tellRefusal} from '../audit/refusals.ts'
import {authenticate} from '../identity/authenticate.ts'
import type {Caller, Parts} from '../parts.ts'
import {addressOf, credentialsOf, labelOf, pathOf} from './guard.ts'

// biome-ignore lint/suspicious/noExplicitAny: any endpoint, whatever it answers
type AnyEndpoint = Endpoint<any, JSONSchema>

// the schemas are ours, and tested to be schemas: to compile the schema of schemas takes longer than most of them
const ajv = new Ajv({meta: false, validateSchema: false, strict: true, strictRequired: false, ownProperties: true, allowUnionTypes: true})
const validators = new WeakMap<AnyEndpoint, ValidateFunction>()

/**
 * Answers `endpoint` with `fn`. Its input holds nothing that its schema does not name. For endpoints that `nobody` may call, the caller
 * is an empty principal without groups or login; address and correlation are there. A text answer is sent as `text/plain`.
 */
export function handle<E extends AnyEndpoint>(
  app: FastifyInstance,
  parts: Parts,
  endpoint: E,
  fn: (input: InputOf<E>, caller: Caller, request: FastifyRequest) => Promise<Answered<E>> | Answered<E>,
): void {
  const callers = new WeakMap<FastifyRequest, Caller>()
  app.route({
    method: endpoint.method,
    url: endpoint.path,
    // before the body is read: nobody makes us parse who has not shown who they are
    onRequest: async request => {
      callers.set(request, await callerOf(parts, endpoint, request))
    },
    handler: async (request, reply) => {
      const caller = callers.get(request) as Caller
      const answer = await answerOf(parts, endpoint, caller, () => fn(inputOf(endpoint, request) as InputOf<E>, caller, request))
      if (typeof answer === 'string') return reply.type('text/plain; charset=utf-8').send(answer)
      return reply.type('application/json; charset=utf-8').send(JSON.stringify(answer))
    },
  })
}

/** What a call is answered with; that it was refused is recorded before it is said. */
async function answerOf<T>(parts: Parts, {method, path}: AnyEndpoint, caller: Caller, fn: () => Promise<T> | T): Promise<T> {
  try {
    return await fn()
  } catch (error) {
    await tellRefusal(parts, caller, error, `${method} ${path}`)
    throw error
  }
}

/** The caller of an endpoint: proved, or for `nobody` empty. Throws NOT_LOGGED_IN, TOKEN_INVALID, LOGIN_EXPIRED. */
async function callerOf(parts: Parts, endpoint: AnyEndpoint, request: FastifyRequest): Promise<Caller> {
  const address = addressOf(parts.config, request.raw)
  const label = labelOf(request.raw)
  const correlation = request.id
  if (endpoint.caller === 'nobody') {
    const nobody = {iss: '', sub: '', person: '', name: ''}
    return {
      principal: nobody,
      groups: [],
      login: '',
      loggedInAt: '',
      tokenExpiresAt: '',
      address,
      correlation,
      ...(label === undefined ? {} : {label}),
    }
  }
  const caller = await authenticate(parts, {
    method: endpoint.method,
    url: parts.config.origin + pathOf(request.raw),
    ...credentialsOf(request.raw),
    address,
    correlation,
  })
  return label === undefined ? caller : {...caller, label}
}

/** Path parameters, and of a GET the query, else the body, as one object that the schema allows. Throws BAD_REQUEST. */
function inputOf(endpoint: AnyEndpoint, request: FastifyRequest): Record<string, unknown> {
  const query = queryOf(request.raw.url ?? '')
  if (endpoint.method !== 'GET' && Object.keys(query).length > 0) throw new ProdError('BAD_REQUEST', 'a query does not belong to this call')
  const rest = endpoint.method === 'GET' ? query : (request.body ?? {})
  if (typeof rest !== 'object' || Array.isArray(rest)) throw new ProdError('BAD_REQUEST', 'the body is not an object')
  const params = request.params as Record<string, string>
  for (const name of Object.keys(params)) {
    if (Object.hasOwn(rest, name)) throw new ProdError('BAD_REQUEST', `${name} belongs to the path alone`)
  }
  const input = {...rest, ...params}
  const validate = validatorOf(endpoint)
  if (validate(input)) return input
  const [error] = validate.errors ?? []
  // an id of the wrong form names nothing: it looks like one that is unknown (TM-A6)
  if (error && Object.keys(params).some(name => error.instancePath === `/${name}`))
    throw new ProdError('NOT_FOUND', 'there is nothing under that id')
  throw new ProdError('BAD_REQUEST', describeFinding(error))
}

function validatorOf(endpoint: AnyEndpoint): ValidateFunction {
  const known = validators.get(endpoint)
  if (known) return known
  const made = ajv.compile(endpoint.input as object)
  validators.set(endpoint, made)
  return made
}

/** Each name once (TM-A13), values as text. */
function queryOf(url: string): Record<string, string> {
  const start = url.indexOf('?')
  const query: Record<string, string> = {}
  if (start === -1) return query
  const text = url.slice(start + 1)
  let entries: [string, string][]
  try {
    decodeURIComponent(text)
    entries = [...new URLSearchParams(text)]
  } catch {
    throw new ProdError('BAD_REQUEST', 'the query is malformed')
  }
  for (const [name, value] of entries) {
    if (name === '__proto__' || name === 'constructor' || name === 'prototype' || Object.hasOwn(query, name))
      throw new ProdError('BAD_REQUEST', 'the query is malformed')
    query[name] = value
  }
  return query
}

/** Where and what, never the value. */
export function describeFinding(error: ErrorObject | undefined): string {
  if (!error) return 'the input is malformed'
  const at = error.instancePath === '' ? 'the input' : error.instancePath.slice(1).replaceAll('/', '.')
  if (error.keyword === 'additionalProperties') return `${at} holds a key that does not belong there`
  if (error.keyword === 'pattern') return `${at} is not of the right form`
  if (error.keyword === 'discriminator') return `${at} is of no known type`
  return `${at} ${error.message ?? 'is malformed'}`
}
