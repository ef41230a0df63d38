import {Ajv, type ErrorObject, type ValidateFunction} from 'ajv'
import type {Finding} from './finding.ts'
import {showPath, type YamlFile} from './yaml.ts'

// the schemas are ours, and tested to be schemas: to compile the schema of schemas takes longer than most of them
const ajv = new Ajv({
  meta: false,
  validateSchema: false,
  allErrors: true,
  strict: true,
  strictRequired: false,
  allowUnionTypes: true,
  unicodeRegExp: true,
  verbose: true,
})
const compiled = new WeakMap<object, ValidateFunction>()

/** The file's data if it has the schema's form; else undefined and a finding for each fault. */
export function checkForm<T>(file: YamlFile, schema: object, findings: Finding[]): T | undefined {
  const validate = compiled.get(schema) ?? ajv.compile(schema)
  compiled.set(schema, validate)
  if (validate(file.data)) return file.data as T
  for (const error of validate.errors ?? []) {
    // what an alternative or a name's own pattern says is said once, by the rule around it
    if (
      error.keyword === 'anyOf' ||
      error.propertyName !== undefined ||
      (error.keyword === 'required' && error.schemaPath.includes('/oneOf/'))
    )
      continue
    const {message, mend, key} = inWords(error)
    const path = [...pathOf(error.instancePath), ...(key === undefined ? [] : [key])]
    findings.push({file: file.file, path: showPath(path), ...file.at(path), message, ...(mend ? {mend} : {})})
  }
  return undefined
}

function inWords({keyword, params, message = 'is wrong', parentSchema}: ErrorObject): {message: string; mend?: string; key?: string} {
  switch (keyword) {
    case 'additionalProperties':
      return {message: 'is not a field that is known here', mend: knownFields(parentSchema), key: String(params.additionalProperty)}
    case 'propertyNames':
      return {message: 'is not a name that is allowed here', key: String(params.propertyName)}
    case 'required':
      return {message: `${params.missingProperty} is missing`}
    case 'enum':
      return {message: `must be one of ${(params.allowedValues as unknown[]).join(', ')}`}
    case 'const':
      return {message: `must be ${String(params.allowedValue)}`}
    case 'oneOf':
      return {message: 'needs one of target and targets'}
    case 'pattern':
      return {message: `must match ${params.pattern}`}
    case 'type': {
      const [example] = (parentSchema as {examples?: string[]} | undefined)?.examples ?? []
      return {message, ...(example === undefined ? {} : {mend: example})}
    }
    default:
      return {message}
  }
}

function knownFields(schema: unknown): string {
  const properties = (schema as {properties?: object} | undefined)?.properties
  return properties ? `known: ${Object.keys(properties).join(', ')}` : 'take it out'
}

function pathOf(pointer: string): (string | number)[] {
  return pointer
    .split('/')
    .slice(1)
    .map(part => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map(part => (/^\d+$/.test(part) ? Number(part) : part))
}
