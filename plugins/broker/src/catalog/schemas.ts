/** The forms of catalog and test files as JSON Schema, plain data. A tool's `commands` are judged by the grammar's own check. */

import {refusedVariables} from '@prod/sdk/environment'
import {commandLimitSchema, rolloutSchema, runLimitSchema} from '@prod/sdk/grammar/schema'
import {allowPattern} from '@prod/sdk/least-role'

/** Names of targets, services, roles, environments: lower case ASCII, so that each has one spelling (TM-L4). */
export const namePattern = '^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$'

const name = {type: 'string', pattern: namePattern}
// argv[0] as people type it; the grammar's own check judges it further
const toolName = {type: 'string', pattern: '^/?[A-Za-z0-9_][A-Za-z0-9_.+/-]{0,127}$'}
const summary = {type: 'string', minLength: 3, maxLength: 200}
const seconds = {type: 'integer', minimum: 1, maximum: 86_400}
const approvals = {type: 'integer', minimum: 1, maximum: 5}
const toolClass = {enum: ['read', 'change', 'admin', 'shell']}
const bytes = {type: 'integer', minimum: 1}
const digest = {type: 'string', pattern: '^[0-9a-f]{64}$'}
/** an absolute path, plain: no `.`, `..` or doubled slash, not `/` */
const place = {type: 'string', maxLength: 4096, pattern: '^(?:/(?!\\.{1,2}(?:/|$))[^/\\u0000-\\u001f]{1,255})+$'}
const places = {type: 'array', items: place, maxItems: 50, uniqueItems: true}
const group = {type: 'string', minLength: 1, maxLength: 200}

/** PATH and HOME are the broker's; what would load or run something else is set by nobody, the catalog included (TM-H8). */
const variables = `^(?!(?:PATH|HOME|TERM|${refusedVariables})$)[A-Z_][A-Z0-9_]{0,63}$`

/** `catalog/services/NAME.yaml` */
export const serviceSchema = {
  type: 'object',
  required: ['kind', 'name', 'owner'],
  additionalProperties: false,
  properties: {
    kind: {const: 'Service'},
    name,
    owner: group,
    contacts: {type: 'array', items: {type: 'string', maxLength: 200}, maxItems: 20},
    channel: {type: 'string', maxLength: 200},
    tier: {type: 'integer', minimum: 1, maximum: 5},
    owns: {
      type: 'object',
      additionalProperties: false,
      minProperties: 1,
      properties: {
        accounts: {type: 'array', items: {type: 'string', pattern: '^[0-9]{12}$'}, minItems: 1, maxItems: 500, uniqueItems: true},
        resources: {type: 'array', items: {type: 'string', pattern: '^[!-~]{3,500}$'}, minItems: 1, maxItems: 500, uniqueItems: true},
      },
    },
    limits: {type: 'object', additionalProperties: false, properties: {maxSeconds: seconds, approvals, runs: runLimitSchema}},
  },
} as const

/** `catalog/targets/NAME.yaml` */
export const targetSchema = {
  type: 'object',
  required: ['kind', 'name', 'address', 'environment'],
  additionalProperties: false,
  properties: {
    kind: {const: 'Target'},
    name,
    address: {type: 'string', pattern: '^[a-z][a-z0-9-]*:[!-~]{1,500}$'},
    environment: name,
    service: name,
    summary,
    labels: {
      type: 'object',
      maxProperties: 50,
      propertyNames: {pattern: '^[A-Za-z][A-Za-z0-9._/-]{0,62}$'},
      additionalProperties: {type: 'string', maxLength: 200},
    },
    data: {enum: ['personal']},
    shellAs: {type: 'string', pattern: '^[a-z_][a-z0-9_-]{0,31}$'},
    forwards: {
      type: 'array',
      examples: ['- { host: db.internal, ports: [5432, 8000-8010] }'],
      minItems: 1,
      maxItems: 200,
      items: {
        type: 'object',
        examples: ['{ host: db.internal, ports: [5432, 8000-8010] }'],
        required: ['host', 'ports'],
        additionalProperties: false,
        properties: {
          host: {type: 'string', minLength: 1, maxLength: 253},
          ports: {
            type: 'array',
            minItems: 1,
            maxItems: 100,
            items: {anyOf: [{type: 'integer'}, {type: 'string', pattern: '^[1-9][0-9]{0,4}-[1-9][0-9]{0,4}$'}]},
          },
        },
      },
    },
    role: name,
    offline: {
      type: 'object',
      required: ['role'],
      additionalProperties: false,
      properties: {role: {type: 'string', minLength: 1, maxLength: 200, pattern: '^[!-~]+$'}},
    },
  },
} as const

/** `catalog/roles/NAME.yaml` */
export const roleSchema = {
  type: 'object',
  required: ['kind', 'name', 'summary', 'provider', 'parameters', 'maxSeconds'],
  additionalProperties: false,
  properties: {
    kind: {const: 'Role'},
    name,
    summary,
    provider: name,
    parameters: {type: 'object'},
    class: toolClass,
    service: name,
    maxSeconds: seconds,
    approvals,
    allows: {type: 'array', items: {type: 'string', pattern: allowPattern}, maxItems: 500},
  },
} as const

/** `catalog/tools/NAME.yaml` */
export const toolSchema = {
  type: 'object',
  required: ['kind', 'name', 'summary', 'program', 'run', 'commands'],
  additionalProperties: false,
  properties: {
    kind: {const: 'Tool'},
    name: toolName,
    summary,
    service: name,
    program: {
      anyOf: [
        {type: 'string', pattern: '^/[^\\u0000-\\u001f]{1,4000}$'},
        {
          type: 'object',
          required: ['path'],
          additionalProperties: false,
          properties: {
            path: {type: 'string', pattern: '^/[^\\u0000-\\u001f]{1,4000}$'},
            sha256: {anyOf: [digest, {type: 'array', items: digest, minItems: 1, maxItems: 20, uniqueItems: true}]},
          },
        },
      ],
    },
    version: {type: 'string', maxLength: 100},
    run: {
      type: 'object',
      required: ['primitive'],
      additionalProperties: false,
      properties: {
        primitive: {type: 'string', pattern: '^[a-z][a-z0-9-]*$'},
        target: name,
        targets: {type: 'array', items: name, minItems: 1, maxItems: 1000, uniqueItems: true},
        as: {type: 'string', minLength: 1, maxLength: 200},
        role: name,
      },
      oneOf: [{required: ['target']}, {required: ['targets']}],
    },
    class: toolClass,
    approvals,
    limit: commandLimitSchema,
    rollout: rolloutSchema,
    env: {type: 'object', maxProperties: 50, propertyNames: {pattern: variables}, additionalProperties: {type: 'string', maxLength: 4096}},
    limits: {
      type: 'object',
      additionalProperties: false,
      properties: {
        wallSeconds: seconds,
        cpuSeconds: seconds,
        memoryBytes: bytes,
        processes: {type: 'integer', minimum: 1, maximum: 10_000},
        fileBytes: bytes,
        outputBytes: bytes,
        outputLines: {type: 'integer', minimum: 1},
      },
    },
    data: {enum: ['personal']},
    needs: {
      type: 'object',
      additionalProperties: false,
      properties: {network: {type: 'boolean'}, processes: {type: 'boolean'}, reads: places, writes: places},
    },
    workdir: place,
    retention: {enum: ['none', 'redacted', 'full']},
    retentionDays: {type: 'integer', minimum: 1, maximum: 3650},
    redact: {
      type: 'object',
      additionalProperties: false,
      minProperties: 1,
      properties: {
        patterns: {type: 'array', items: {type: 'string', minLength: 1, maxLength: 1024}, minItems: 1, maxItems: 20},
        fields: {type: 'array', items: {type: 'string', minLength: 1, maxLength: 200}, minItems: 1, maxItems: 200, uniqueItems: true},
        columns: {
          type: 'object',
          additionalProperties: false,
          properties: {
            separator: {type: 'string', minLength: 1, maxLength: 1, pattern: '^[\\t!-/:-@\\[-`{-~]$'},
            names: {type: 'array', items: {type: 'string', minLength: 1, maxLength: 200}, minItems: 1, maxItems: 200},
            positions: {type: 'array', items: {type: 'integer', minimum: 1, maximum: 1000}, minItems: 1, maxItems: 200},
          },
        },
      },
    },
    detachSeconds: {type: 'integer', minimum: 0, maximum: 3600},
    options: {type: 'object'},
    adds: {type: 'array', minItems: 1, maxItems: 50, items: {type: 'string', minLength: 1, maxLength: 4096}},
    bundles: {type: 'boolean'},
    commands: {type: 'array', minItems: 1, maxItems: 500, items: {type: 'object'}},
  },
} as const

/** `policy/tests/NAME.yaml`: a list of questions and the answers they must get. */
export const testsSchema = {
  type: 'array',
  maxItems: 2000,
  items: {
    type: 'object',
    required: ['principal', 'groups', 'expect'],
    additionalProperties: false,
    properties: {
      name: {type: 'string', maxLength: 200},
      principal: {type: 'string', minLength: 1, maxLength: 200},
      groups: {type: 'array', items: group, maxItems: 200},
      action: {
        enum: [
          'run',
          'shell',
          'forward',
          'assume',
          'request',
          'approve',
          'breakGlass',
          'review',
          'watch',
          'readAudit',
          'readRecording',
          'freeze',
          'unfreeze',
          'erase',
        ],
      },
      use: {enum: ['run', 'shell', 'forward', 'assume']},
      argv: {type: 'array', minItems: 1, items: {type: 'string'}},
      target: name,
      role: name,
      address: {type: 'string', maxLength: 64},
      incident: {type: 'boolean'},
      expect: {enum: ['allow', 'request', 'deny']},
      approvals: {type: 'integer', minimum: 1},
      position: {type: 'integer', minimum: 0},
      rule: {type: 'string'},
    },
  },
} as const
