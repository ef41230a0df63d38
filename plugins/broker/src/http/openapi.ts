/** The API described as OpenAPI 3.1, made from its one table. */
import {api, type Endpoint} from '@prod/sdk/api'
import {codes} from '@prod/sdk/errors'
import type {FastifyInstance} from 'fastify'

type Schema = {properties?: Record<string, unknown>; required?: readonly string[]}

/** `GET /v1/openapi.json`, for everybody: it says nothing that the sources do not. */
export function openApiRoute(app: FastifyInstance): void {
  const text = JSON.stringify(openApi())
  app.get('/v1/openapi.json', (_request, reply) => reply.type('application/json; charset=utf-8').send(text))
}

/** The document. Pure. */
export function openApi(): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const [name, endpoint] of Object.entries(api) as [string, Endpoint][]) {
    const path = endpoint.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = {...paths[path], [endpoint.method.toLowerCase()]: operation(name, endpoint)}
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'prod',
      version: 'v1',
      description: 'Calls of the broker. Streams are WebSockets at /v1/stream and stand in docs/architecture.md.',
    },
    paths,
    components: {
      securitySchemes: {
        dpop: {
          type: 'http',
          scheme: 'DPoP',
          description: 'RFC 9449: an access token bound to the key of the login, and a proof in the header DPoP',
        },
      },
      responses: {
        failure: {description: 'a failure', content: {'application/json': {schema: {$ref: '#/components/schemas/failure'}}}},
      },
      schemas: {
        failure: {
          type: 'object',
          required: ['error'],
          properties: {
            error: {
              type: 'object',
              required: ['code', 'message', 'correlation'],
              properties: {
                code: {type: 'string', enum: Object.keys(codes)},
                message: {type: 'string'},
                hint: {type: 'string'},
                correlation: {type: 'string'},
                position: {type: 'integer'},
              },
            },
          },
        },
      },
    },
  }
}

function operation(name: string, {method, path, summary, caller, input}: Endpoint): Record<string, unknown> {
  const {properties = {}, required = []} = input as Schema
  const inPath = [...path.matchAll(/:(\w+)/g)].map(match => match[1] as string)
  const rest = Object.entries(properties).filter(([key]) => !inPath.includes(key))
  const needed = required.filter(key => !inPath.includes(key))
  return {
    operationId: name,
    summary,
    security: caller === 'person' ? [{dpop: []}] : [],
    parameters: [
      ...inPath.map(key => ({name: key, in: 'path', required: true, schema: properties[key]})),
      ...(method === 'GET' ? rest.map(([key, schema]) => ({name: key, in: 'query', required: needed.includes(key), schema})) : []),
    ],
    ...(method === 'POST'
      ? {
          requestBody: {
            required: needed.length > 0,
            content: {
              'application/json': {
                schema: {type: 'object', additionalProperties: false, properties: Object.fromEntries(rest), required: needed},
              },
            },
          },
        }
      : {}),
    responses: {200: {description: 'the answer'}, default: {$ref: '#/components/responses/failure'}},
  }
}
