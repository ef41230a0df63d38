/** What clients may say on a stream, as JSON Schema: unknown keys are refused. Types are in wire.ts. */
const size = {
  type: 'object',
  additionalProperties: false,
  required: ['columns', 'rows'],
  properties: {columns: {type: 'integer', minimum: 1, maximum: 10000}, rows: {type: 'integer', minimum: 1, maximum: 10000}},
}
const client = {
  type: 'object',
  additionalProperties: false,
  required: ['version', 'platform'],
  properties: {
    version: {type: 'string', maxLength: 64},
    platform: {type: 'string', maxLength: 64},
    label: {type: 'string', maxLength: 128},
  },
}
const key = {type: 'string', pattern: '^[A-Za-z0-9_-]{16,64}$'}
const reason = {type: 'string', maxLength: 65536}
const incident = {type: 'string', maxLength: 128}
const place = {
  type: 'object',
  additionalProperties: false,
  required: ['host', 'port'],
  properties: {host: {type: 'string', minLength: 1, maxLength: 253}, port: {type: 'integer', minimum: 1, maximum: 65_535}},
}
const count = {type: 'integer', minimum: 0}
const name = {type: 'string', maxLength: 256}
/** The typed name of a target, or null: it will be asked for. */
const confirmed = {type: ['string', 'null'], maxLength: 256}
const breakGlass = {type: 'object', additionalProperties: false, required: ['confirmed'], properties: {confirmed}}
const id = (kind: string) => ({type: 'string', pattern: `^${kind}_[0-9a-z]{8,40}$`})

function message(type: string, properties: Record<string, object>, optional: string[] = []) {
  return {
    type: 'object',
    additionalProperties: false,
    required: ['type', ...Object.keys(properties).filter(name => !optional.includes(name))],
    properties: {type: {const: type}, ...properties},
  }
}

export const firstMessageSchema = {
  type: 'object',
  discriminator: {propertyName: 'type'},
  required: ['type'],
  oneOf: [
    message(
      'exec',
      {
        key,
        argv: {type: 'array', items: {type: 'string', maxLength: 131072}, maxItems: 4096},
        targets: {type: 'array', items: name, maxItems: 1000},
        reason,
        reasonReused: {type: 'boolean'},
        incident,
        breakGlass,
        wait: {type: 'boolean'},
        startAt: {type: 'string', maxLength: 40},
        stdin: {type: 'boolean'},
        client,
      },
      ['reasonReused', 'incident', 'breakGlass', 'startAt'],
    ),
    message(
      'shell',
      {
        key,
        target: name,
        reason,
        incident,
        size,
        term: {type: 'string', pattern: '^[A-Za-z0-9._+-]{1,64}$'},
        confirmed,
        wait: {type: 'boolean'},
        client,
      },
      ['incident'],
    ),
    message(
      'forward',
      {
        key,
        target: name,
        to: {type: 'array', items: place, minItems: 1, maxItems: 50},
        reason,
        incident,
        breakGlass,
        wait: {type: 'boolean'},
        client,
      },
      ['incident', 'breakGlass'],
    ),
    message(
      'assume',
      {
        key,
        role: name,
        durationSeconds: {type: 'integer', minimum: 1, maximum: 86_400},
        reason,
        incident,
        breakGlass,
        wait: {type: 'boolean'},
        client,
      },
      ['incident'],
    ),
    message('connect', {session: id('ses'), to: place, client}),
    message(
      'attach',
      {
        id: id('(req|run|ses|con)'),
        have: {type: 'object', additionalProperties: false, required: ['stdout', 'stderr'], properties: {stdout: count, stderr: count}},
        size,
        stdin: {type: 'boolean'},
        client,
      },
      ['size', 'stdin'],
    ),
    message('watch', {session: id('ses'), client}),
    message('follow', {request: id('req'), client}, ['request']),
  ],
}

export const clientMessageSchema = {
  type: 'object',
  discriminator: {propertyName: 'type'},
  required: ['type'],
  oneOf: [
    message('ack', {stdout: count, stderr: count}),
    message('signal', {name: {enum: ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGKILL', 'SIGUSR1', 'SIGUSR2']}}),
    message('cancel', {}),
    message('auth', {token: {type: 'string', maxLength: 8192}, proof: {type: 'string', maxLength: 8192}}),
    message('stdin-end', {}),
    message('proof', {proof: {type: 'string', maxLength: 8192}}),
    message('confirmed', {text: {type: 'string', maxLength: 256}}),
  ],
}
