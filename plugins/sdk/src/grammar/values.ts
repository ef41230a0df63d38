/** The table of the value types, and what one is asked: is this text a value of it? A new type is an entry in one file of kinds/. */
import type {Leading, ValueSpec, ValueType} from './grammar.ts'
import {orList, type ValueKind, type ValueKinds} from './kind.ts'
import {amountKinds} from './kinds/amount.ts'
import {awsKinds} from './kinds/aws.ts'
import {captureKinds} from './kinds/capture-filter.ts'
import {curlKinds} from './kinds/curl.ts'
import {gitKinds} from './kinds/git.ts'
import {templateKinds} from './kinds/go-template.ts'
import {jqKinds} from './kinds/jq.ts'
import {kernelKinds} from './kinds/kernel.ts'
import {kubernetesKinds} from './kinds/kubernetes.ts'
import {mongoshKinds} from './kinds/mongosh.ts'
import {netKinds} from './kinds/net.ts'
import {placeKinds} from './kinds/place.ts'
import {regexpKinds} from './kinds/regexp.ts'
import {sqlKinds} from './kinds/sql.ts'
import {leadings, textKinds} from './kinds/text.ts'
import {timeKinds} from './kinds/time.ts'
import {findPatternFault, matchesPattern} from './pattern.ts'

/** Types that are made of other types, and the one that stands for a whole command. */
const madeOfOthers: ValueKinds = {
  list: {
    fields: ['of', 'separator', 'max', 'maxLength'],
    cedar: 'Set<String>',
    test: (value, spec, afterDashes) => {
      const items = value.split(spec.separator ?? ',')
      return items.length <= (spec.max ?? 50) && items.every(item => testValue(item, oneOf(spec), afterDashes))
    },
    describe: spec => `a list, separated by \`${spec.separator ?? ','}\`, of at most ${spec.max ?? 50} of: ${describeValue(oneOf(spec))}`,
    cedarValue: (value, spec) => value.split(spec.separator ?? ','),
    findFault: spec =>
      spec.of === undefined || Array.isArray(spec.of)
        ? 'a list is `of` one type'
        : spec.separator === ''
          ? 'the separator is empty'
          : undefined,
    maxLength: 4096,
  },
  // pieces in a fixed order; all but the last end at the first separator: `deployment/web`, `jsonpath={.items}`
  joined: {
    fields: ['of', 'separator', 'maxLength'],
    cedar: 'String',
    test: (value, spec, afterDashes) => {
      const types = allOf(spec)
      const pieces = splitFirst(value, spec.separator ?? '', types.length)
      return pieces?.every((piece, index) => testValue(piece, types[index] as ValueSpec, afterDashes || index > 0)) ?? false
    },
    describe: spec =>
      `${allOf(spec)
        .map(type => `(${describeValue(type)})`)
        .join(spec.separator)}`,
    findFault: spec => (allOf(spec).length < 2 || !spec.separator ? 'joined is `of` two or more types, with a `separator`' : undefined),
    maxLength: 4096,
  },
  any: {
    fields: ['of', 'maxLength'],
    cedar: 'String',
    test: (value, spec, afterDashes) => allOf(spec).some(type => testValue(value, type, afterDashes)),
    describe: spec => allOf(spec).map(describeValue).join('; or '),
    findFault: spec => (allOf(spec).length < 2 ? 'any is `of` two or more types' : undefined),
    list: spec => allOf(spec).flatMap(listValues),
    maxLength: 4096,
  },
  // the first word of a command that another tool's definition judges (TM-H13); the words after it are read in read.ts
  command: {
    fields: ['tools'],
    cedar: 'String',
    test: (value, spec) => spec.tools?.includes(value) === true,
    describe: spec => `a whole command of ${orList(spec.tools ?? [])}, judged by that tool's own definition`,
    findFault: spec =>
      spec.tools && spec.tools.length > 0 && new Set(spec.tools).size === spec.tools.length
        ? undefined
        : 'a command has `tools`: the tools it may be of',
    list: spec => spec.tools ?? [],
  },
}

/** All types by their names. */
export const valueKinds: ValueKinds = {
  ...textKinds,
  ...amountKinds,
  ...timeKinds,
  ...placeKinds,
  ...curlKinds,
  ...gitKinds,
  ...regexpKinds,
  ...jqKinds,
  ...kernelKinds,
  ...netKinds,
  ...templateKinds,
  ...kubernetesKinds,
  ...captureKinds,
  ...awsKinds,
  ...sqlKinds,
  ...mongoshKinds,
  ...madeOfOthers,
}

/** The long form of a type: `unit-name` is `{type: 'unit-name'}`. */
export function specOf(type: ValueType): ValueSpec {
  return typeof type === 'string' ? {type} : type
}

/** Is this one whole argument a value of the type? Bounds that every type shares are checked here. Never throws on a checked type. */
export function testValue(value: string, type: ValueType, afterDashes = false): boolean {
  const spec = specOf(type)
  const kind = valueKinds[spec.type]
  if (!kind || (value === '' && !listValues(spec).includes(''))) return false
  if (value.length > (spec.maxLength ?? kind.maxLength ?? 256)) return false
  return kind.test(value, spec, afterDashes) && (spec.pattern === undefined || matchesPattern(spec.pattern, value))
}

/** The type in words: `an integer from 1 to 5000`. */
export function describeValue(type: ValueType): string {
  const spec = specOf(type)
  return spec.summary ?? valueKinds[spec.type]?.describe(spec) ?? spec.type
}

/** All values of a type, where they are few and known; else none. */
export function listValues(type: ValueType): string[] {
  const spec = specOf(type)
  return valueKinds[spec.type]?.list?.(spec) ?? []
}

/** May this value begin with `-` as an operand, with no `--` before it? Only types that know their values say so. */
export function hasOwnDash(value: string, type: ValueType): boolean {
  const spec = specOf(type)
  if (spec.type === 'any') return allOf(spec).some(choice => hasOwnDash(value, choice) && testValue(value, choice))
  return valueKinds[spec.type]?.ownDash === true
}

/** May a value of this type hold a line break? */
export function allowsLines(type: ValueType): boolean {
  const spec = specOf(type)
  return spec.lines === true || (spec.of !== undefined && allOf(spec).some(allowsLines))
}

/** The types inside a type. */
export function allOf(spec: ValueSpec): ValueSpec[] {
  return spec.of === undefined ? [] : Array.isArray(spec.of) ? spec.of.map(specOf) : [specOf(spec.of)]
}

/** What is wrong with a type's definition, in words; undefined when it is fine. */
export function findTypeFault(type: unknown, depth = 0): string | undefined {
  if (depth > 4) return 'types nested too deeply'
  if (typeof type !== 'string' && (typeof type !== 'object' || type === null || Array.isArray(type)))
    return 'a type is a name, or a mapping with `type`'
  const spec = (typeof type === 'string' ? {type} : type) as ValueSpec
  if (typeof spec.type !== 'string' || !Object.hasOwn(valueKinds, spec.type))
    return `there is no type ${JSON.stringify(spec.type)}: there are ${Object.keys(valueKinds).join(', ')}`
  const kind = valueKinds[spec.type] as ValueKind
  for (const [field, value] of Object.entries(spec)) {
    if (field === 'type') continue
    if (field !== 'secret' && field !== 'summary' && !kind.fields.includes(field as keyof ValueSpec))
      return `the type ${spec.type} takes no \`${field}\``
    const fault = fieldFaults[field as Exclude<keyof ValueSpec, 'type'>]?.(value)
    if (fault) return `\`${field}\`: ${fault}`
  }
  for (const inner of Array.isArray(spec.of) ? spec.of : spec.of === undefined ? [] : [spec.of]) {
    const fault = findTypeFault(inner, depth + 1)
    if (fault) return fault
    if (allOf({type: '', of: inner}).some(({secret, type}) => secret || type === 'list' || type === 'command'))
      return 'inside another type stands neither a list, a command nor a secret'
  }
  return kind.findFault?.(spec)
}

const texts = (value: unknown): string | undefined =>
  Array.isArray(value) && value.length > 0 && value.length <= 1000 && value.every(item => typeof item === 'string')
    ? undefined
    : 'a list of texts'
const text = (value: unknown): string | undefined => (typeof value === 'string' ? undefined : 'a text')
const number = (value: unknown): string | undefined => (Number.isSafeInteger(value) ? undefined : 'an integer')
const truth = (value: unknown): string | undefined => (typeof value === 'boolean' ? undefined : 'true or false')

const fieldFaults: Record<Exclude<keyof ValueSpec, 'type'>, (value: unknown) => string | undefined> = {
  values: texts,
  value: text,
  min: number,
  max: number,
  pattern: value => text(value) ?? findPatternFault(value as string),
  below: texts,
  hosts: texts,
  schemes: texts,
  within: texts,
  slash: truth,
  ranges: truth,
  forms: texts,
  tools: texts,
  dialect: text,
  statements: texts,
  functions: texts,
  maxLength: value =>
    Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65536 ? undefined : 'an integer from 1 to 65536',
  leading: value =>
    texts(value) ?? ((value as string[]).every(item => leadings.includes(item as Leading)) ? undefined : `of ${leadings.join(' ')}`),
  lines: truth,
  of: () => undefined,
  separator: text,
  summary: text,
  secret: truth,
}

function oneOf(spec: ValueSpec): ValueSpec {
  return allOf(spec)[0] ?? {type: 'none'}
}

function splitFirst(value: string, separator: string, count: number): string[] | undefined {
  const pieces: string[] = []
  let rest = value
  while (pieces.length < count - 1) {
    const at = rest.indexOf(separator)
    if (separator === '' || at < 0) return undefined
    pieces.push(rest.slice(0, at))
    rest = rest.slice(at + separator.length)
  }
  return [...pieces, rest]
}
