/** Does data have the form that a JSON Schema of ours describes? Only the keywords that schema.ts uses. */

/** A fault, and where it is: `['commands', 1, 'options', '--since']`. */
export interface GrammarFault {
  path: (string | number)[]
  /** what is so: lower case, no full stop */
  message: string
  /** what to do about it */
  mend?: string
}

interface Schema {
  type?: string
  enum?: readonly unknown[]
  anyOf?: readonly Schema[]
  required?: readonly string[]
  properties?: Readonly<Record<string, Schema>>
  propertyNames?: Schema
  additionalProperties?: boolean | Schema
  items?: Schema
  minItems?: number
  maxItems?: number
  maxProperties?: number
  minLength?: number
  maxLength?: number
  minimum?: number
  maximum?: number
  pattern?: string
}

/** Every fault of the form. Pure. */
export function findShapeFaults(schema: Schema, value: unknown, path: (string | number)[] = []): GrammarFault[] {
  if (schema.anyOf) {
    const alike = schema.anyOf.filter(choice => choice.type === typeOf(value, choice.type))
    // of several mappings, the one whose fields are there
    const chosen = alike.find(choice => choice.required?.every(field => isMapping(value) && Object.hasOwn(value, field))) ?? alike[0]
    return chosen
      ? findShapeFaults(chosen, value, path)
      : [
          {
            path,
            message: `must be ${schema.anyOf
              .map(choice => words[choice.type ?? ''])
              .filter((word, index, all) => all.indexOf(word) === index)
              .join(' or ')}`,
          },
        ]
  }
  if (schema.enum && !schema.enum.includes(value)) return [{path, message: `must be one of ${schema.enum.join(', ')}`}]
  if (schema.type && schema.type !== typeOf(value, schema.type)) return [{path, message: `must be ${words[schema.type]}`}]
  const bad = (message: string): GrammarFault[] => [{path, message}]
  if (typeof value === 'string') {
    if (value.length < (schema.minLength ?? 0)) return bad('must not be empty')
    if (value.length > (schema.maxLength ?? Number.POSITIVE_INFINITY)) return bad(`must have at most ${schema.maxLength} characters`)
    if (schema.pattern && !new RegExp(schema.pattern, 'u').test(value)) return bad(`must match ${schema.pattern}`)
  }
  if (typeof value === 'number') {
    if (value < (schema.minimum ?? Number.NEGATIVE_INFINITY)) return bad(`must be at least ${schema.minimum}`)
    if (value > (schema.maximum ?? Number.POSITIVE_INFINITY)) return bad(`must be at most ${schema.maximum}`)
  }
  if (Array.isArray(value)) {
    if (value.length < (schema.minItems ?? 0)) return bad('must not be empty')
    if (value.length > (schema.maxItems ?? Number.POSITIVE_INFINITY)) return bad(`must have at most ${schema.maxItems} items`)
    const {items} = schema
    return items ? value.flatMap((item, index) => findShapeFaults(items, item, [...path, index])) : []
  }
  return isMapping(value) ? findFieldFaults(schema, value, path) : []
}

function findFieldFaults(schema: Schema, value: Record<string, unknown>, path: (string | number)[]): GrammarFault[] {
  const faults: GrammarFault[] = (schema.required ?? [])
    .filter(field => !Object.hasOwn(value, field))
    .map(field => ({path, message: `${field} is missing`}))
  const entries = Object.entries(value)
  if (entries.length > (schema.maxProperties ?? Number.POSITIVE_INFINITY))
    faults.push({path, message: `must have at most ${schema.maxProperties} entries`})
  for (const [field, item] of entries) {
    const at = [...path, field]
    const known = schema.properties && Object.hasOwn(schema.properties, field) ? schema.properties[field] : undefined
    if (schema.propertyNames && findShapeFaults(schema.propertyNames, field).length > 0)
      faults.push({path: at, message: 'is not a name that is allowed here'})
    else if (known) faults.push(...findShapeFaults(known, item, at))
    else if (schema.additionalProperties === false)
      faults.push({
        path: at,
        message: 'is not a field that is known here',
        mend: `there are ${Object.keys(schema.properties ?? {}).join(', ')}`,
      })
    else if (typeof schema.additionalProperties === 'object') faults.push(...findShapeFaults(schema.additionalProperties, item, at))
  }
  return faults
}

const words: Readonly<Record<string, string>> = {
  string: 'a text',
  integer: 'an integer',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
}

function typeOf(value: unknown, wanted: string | undefined): string {
  if (Array.isArray(value)) return 'array'
  if (value === null) return 'null'
  return wanted === 'integer' && Number.isSafeInteger(value) ? 'integer' : typeof value
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
