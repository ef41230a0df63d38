/** Plain JSON Schema of what a tool's file says of argv: its `options` and `commands`. What a schema cannot say is in check.ts. */

const texts = {type: 'array', minItems: 1, maxItems: 1000, items: {type: 'string', minLength: 1, maxLength: 4096}} as const
const text = {type: 'string', minLength: 1, maxLength: 4096} as const
const attribute = {type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_]*$', maxLength: 64} as const

const valueType = {
  anyOf: [
    {type: 'string', minLength: 1, maxLength: 64},
    {
      type: 'object',
      required: ['type'],
      additionalProperties: false,
      properties: {
        type: {type: 'string', minLength: 1, maxLength: 64},
        values: texts,
        value: text,
        min: {type: 'integer'},
        max: {type: 'integer'},
        pattern: {type: 'string', minLength: 1, maxLength: 1024},
        below: texts,
        hosts: texts,
        schemes: texts,
        within: texts,
        slash: {type: 'boolean'},
        ranges: {type: 'boolean'},
        forms: texts,
        tools: texts,
        dialect: text,
        statements: texts,
        functions: texts,
        maxLength: {type: 'integer', minimum: 1, maximum: 65_536},
        leading: {type: 'array', minItems: 1, maxItems: 6, items: {enum: ['-', '+', '@', '|', '!', 'scheme']}},
        lines: {type: 'boolean'},
        // a type, or a list of types: judged by check.ts, since a type may hold types
        of: {},
        separator: {type: 'string', minLength: 1, maxLength: 8},
        summary: {type: 'string', minLength: 3, maxLength: 200},
        secret: {type: 'boolean'},
      },
    },
  ],
} as const

const option = {
  type: 'object',
  required: ['value'],
  additionalProperties: false,
  properties: {
    value: valueType,
    aliases: texts,
    attach: {type: 'array', minItems: 1, maxItems: 4, items: {enum: ['separate', 'equals', 'attached', 'short-equals']}},
    optional: {type: 'boolean'},
    many: {type: 'integer', minimum: 2, maximum: 1000},
    negatable: {type: 'boolean'},
    truth: {type: 'boolean'},
    repeat: {anyOf: [{type: 'boolean'}, {type: 'integer', minimum: 2, maximum: 1000}]},
    required: {type: 'boolean'},
    excludes: texts,
    requires: texts,
    attribute,
    summary: text,
  },
} as const

const options = {
  type: 'object',
  maxProperties: 500,
  // `-n`, `-name`, `--lines`, `+short`, a bare word, or a symbol of find
  propertyNames: {pattern: '^(?:--?[A-Za-z0-9?#@][A-Za-z0-9_.-]*|\\+[a-z][a-z0-9-]*|[A-Za-z][A-Za-z0-9_-]*|[()!,])$', maxLength: 64},
  additionalProperties: {anyOf: [...valueType.anyOf, option]},
} as const

const operand = {
  type: 'object',
  required: ['name', 'type'],
  additionalProperties: false,
  properties: {
    name: {type: 'string', pattern: '^[a-z][a-z0-9_-]*$', maxLength: 64},
    type: valueType,
    min: {type: 'integer', minimum: 0, maximum: 4096},
    max: {type: 'integer', minimum: 1, maximum: 4096},
    afterDashes: {type: 'boolean'},
    optionsEnd: {type: 'boolean'},
    lock: {type: 'boolean'},
    attribute,
    summary: text,
  },
} as const

const count = {type: 'integer', minimum: 1, maximum: 1_000_000} as const
const counts = {
  perTarget: count,
  perPerson: count,
  perEnvironment: count,
  perService: count,
  total: count,
} as const

/** How often something may start: of a service, of all that a broker does. */
export const runLimitSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {per: {type: 'string', pattern: '^[1-9][0-9]{0,5}(?:s|m|h|d)$'}, ...counts},
} as const

/** How often a command may start, and how much it may put out. */
export const commandLimitSchema = {
  type: 'object',
  additionalProperties: false,
  // the form of `per` is judged by check.ts
  properties: {per: {type: 'string', maxLength: 32}, ...counts, outputBytesPerDay: {type: 'integer', minimum: 1}},
} as const

/** How a command runs on many targets. */
export const rolloutSchema = {
  type: 'object',
  additionalProperties: false,
  properties: {
    maxTargets: {type: 'integer', minimum: 1, maximum: 1000},
    maxPercent: {type: 'integer', minimum: 1, maximum: 100},
    batch: {type: 'integer', minimum: 1, maximum: 50},
    pause: {type: 'string', pattern: '^[1-9][0-9]{0,5}(?:s|m|h)$', maxLength: 32},
    stopOnError: {type: 'boolean'},
  },
} as const

const command = {
  type: 'object',
  required: ['path', 'class'],
  additionalProperties: false,
  properties: {
    path: {type: 'array', maxItems: 8, items: {type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9_.:@+-]*$', maxLength: 64}},
    name: {type: 'string', pattern: '^[a-z][a-z0-9_-]*$', maxLength: 64},
    summary: text,
    class: {enum: ['read', 'change', 'admin', 'shell']},
    options,
    operands: {type: 'array', maxItems: 50, items: operand},
    requireOne: {type: 'array', maxItems: 20, items: texts},
    spans: {
      type: 'array',
      maxItems: 10,
      items: {
        type: 'object',
        required: ['from', 'max'],
        additionalProperties: false,
        properties: {from: text, to: text, max: {type: 'string', maxLength: 32}},
      },
    },
    dashes: {enum: ['refused', 'allowed', 'required']},
    optionsStand: {enum: ['before', 'anywhere', 'after']},
    bundles: {type: 'boolean'},
    stdin: {
      anyOf: [
        {type: 'boolean'},
        {
          type: 'object',
          required: ['maxBytes'],
          additionalProperties: false,
          properties: {maxBytes: {type: 'integer', minimum: 1, maximum: 16_777_216}},
        },
      ],
    },
    adds: texts,
    approvals: {type: 'integer', minimum: 0, maximum: 10},
    limit: commandLimitSchema,
    rollout: rolloutSchema,
    examples: {type: 'array', minItems: 1, maxItems: 50, items: text},
  },
} as const

/** The fields `options` and `commands` of a tool's file. */
export const grammarSchema = {
  type: 'object',
  required: ['commands'],
  additionalProperties: false,
  properties: {
    tool: {type: 'string'},
    options,
    adds: texts,
    bundles: {type: 'boolean'},
    commands: {type: 'array', minItems: 1, maxItems: 500, items: command},
  },
} as const
