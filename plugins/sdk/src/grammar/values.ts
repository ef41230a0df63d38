/**
 * The value types: one entry each, and the only place to touch for a new one. An entry says which fields of
 * {@link ValueSpec} it takes, what its values are, how to say so, and what policy sees.
 */
import {findDurationSeconds} from './duration.ts'
import type {Leading, ValueSpec, ValueType} from './grammar.ts'
import {findPatternFault, matchesPattern} from './pattern.ts'

/** What policy sees of a value. */
export type CedarType = 'String' | 'Long' | 'Bool' | 'Set<String>'

export interface ValueKind {
  /** the fields it takes beside `type` and `secret`; any other is refused */
  fields: readonly (keyof ValueSpec)[]
  /** one value, told from a whole argument or a piece of one; `afterDashes`: a leading `-` is harmless there */
  test(value: string, spec: ValueSpec, afterDashes: boolean): boolean
  /** after "it is": `an integer from 1 to 5000` */
  describe(spec: ValueSpec): string
  cedar: 'String' | 'Long' | 'Set<String>'
  /** what policy sees, where it is not the text itself */
  cedarValue?(value: string, spec: ValueSpec): number | string[]
  /** a fault of the definition, or undefined */
  findFault?(spec: ValueSpec): string | undefined
  /** all values, where they are few and known: for completion, and to tell operands apart */
  list?(spec: ValueSpec): string[]
  /** it may begin with `-` as an operand without `--`: for types that know their few values */
  ownDash?: true
}

/** The table. A new type is a new entry here. */
export const valueKinds: Readonly<Record<string, ValueKind>> = {
  string: {
    fields: ['pattern', 'maxLength', 'leading'],
    cedar: 'String',
    test: (value, spec, afterDashes) => !hidden.test(value) && begins(value, spec, afterDashes),
    describe: spec => `a text of up to ${spec.maxLength ?? 256} characters${suchAs(spec)}`,
    findFault: findLeadingFault,
  },
  // free text, byte for byte: tabs, any script, shell syntax; newlines where `lines` says so
  text: {
    fields: ['pattern', 'maxLength', 'leading', 'lines'],
    cedar: 'String',
    test: (value, spec, afterDashes) => (spec.lines || !value.includes('\n')) && begins(value, spec, afterDashes),
    describe: spec => `any text of up to ${spec.maxLength ?? 4096} characters${spec.lines ? '' : ', one line'}${suchAs(spec)}`,
    findFault: findLeadingFault,
  },
  name: {
    fields: ['pattern', 'maxLength'],
    cedar: 'String',
    test: value => /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(value),
    describe: spec => `a name of letters, digits, \`.\`, \`_\` and \`-\`${suchAs(spec)}`,
  },
  enum: {
    fields: ['values'],
    cedar: 'String',
    test: (value, spec) => spec.values?.includes(value) === true,
    describe: spec => `one of ${(spec.values ?? []).join(', ')}`,
    findFault: spec =>
      spec.values && spec.values.length > 0 && new Set(spec.values).size === spec.values.length && spec.values.every(isWord)
        ? undefined
        : 'an enum has `values`, each once and each a plain text',
    list: spec => spec.values ?? [],
    ownDash: true,
  },
  literal: {
    fields: ['value'],
    cedar: 'String',
    test: (value, spec) => value === spec.value,
    describe: spec => `exactly ${spec.value ?? ''}`,
    findFault: spec => (spec.value !== undefined && isWord(spec.value) ? undefined : 'a literal has a `value`, a plain text'),
    list: spec => (spec.value === undefined ? [] : [spec.value]),
    ownDash: true,
  },
  integer: {
    fields: ['min', 'max'],
    cedar: 'Long',
    test: (value, spec) => {
      if (!/^(?:0|-?[1-9][0-9]{0,15})$/.test(value)) return false
      const number = Number(value)
      return Number.isSafeInteger(number) && number >= (spec.min ?? 0) && number <= (spec.max ?? Number.MAX_SAFE_INTEGER)
    },
    describe: ({min = 0, max}) => (max === undefined ? `an integer from ${min}` : `an integer from ${min} to ${max}`),
    cedarValue: Number,
    findFault: ({min = 0, max = Number.MAX_SAFE_INTEGER}) =>
      Number.isSafeInteger(min) && Number.isSafeInteger(max) && min <= max
        ? undefined
        : '`min` and `max` are integers, and `min` is the smaller',
    ownDash: true,
  },
  duration: {
    fields: ['min', 'max'],
    cedar: 'Long',
    test: (value, spec) => {
      const seconds = findDurationSeconds(value)
      return seconds !== undefined && seconds >= (spec.min ?? 0) && seconds <= (spec.max ?? Number.MAX_SAFE_INTEGER)
    },
    describe: ({min, max}) =>
      `a duration such as 90s, 10m, 1h30m or 2d${min === undefined ? '' : `, at least ${min}s`}${max === undefined ? '' : `, at most ${max}s`}`,
    cedarValue: value => findDurationSeconds(value) ?? 0,
    findFault: ({min = 0, max = Number.MAX_SAFE_INTEGER}) =>
      min >= 0 && min <= max ? undefined : '`min` and `max` are seconds, and `min` is the smaller',
  },
  // systemd.unit(5): one whole name, no glob
  'unit-name': {
    fields: ['pattern', 'maxLength'],
    cedar: 'String',
    test: value => /^[A-Za-z0-9_][A-Za-z0-9:_.@\\-]*$/.test(value),
    describe: spec => `the name of a unit, such as nginx or nginx.service${suchAs(spec)}`,
  },
  'host-name': {
    fields: ['pattern', 'hosts'],
    cedar: 'String',
    test: (value, spec) => isHostName(value) && (spec.hosts === undefined || isOnHosts(value, spec.hosts)),
    describe: spec => (spec.hosts ? `the host ${orList(spec.hosts)}` : `the name of a host${suchAs(spec)}`),
    findFault: spec => findHostsFault(spec.hosts),
  },
  // the textual part; the broker resolves it without symlinks before the run (TM-H14; `pathOperands`)
  path: {
    fields: ['pattern', 'below', 'maxLength'],
    cedar: 'String',
    test: (value, spec) => isPath(value) && isBelow(value, spec.below),
    describe: spec =>
      `an absolute path${spec.below ? ` below ${orList(spec.below)}` : ''}, without \`..\` or doubled slashes${suchAs(spec)}`,
    findFault: spec => {
      if (!spec.below || spec.below.length === 0) return 'a path has `below`: the directories it must lie in'
      const bad = spec.below.find(directory => !isPath(directory) || /^\/(?:proc|sys|dev)(?:\/|$)/.test(directory))
      return bad === undefined
        ? undefined
        : `\`below\` names absolute directories outside /proc, /sys and /dev, without a slash at the end: not ${bad}`
    },
  },
  'relative-path': {
    fields: ['pattern', 'maxLength'],
    cedar: 'String',
    test: value => !/^[-+@|!~:]/.test(value) && isPath(`/${value}`),
    describe: spec => `a relative path, without \`..\`${suchAs(spec)}`,
  },
  url: {
    fields: ['pattern', 'hosts', 'schemes', 'below', 'maxLength'],
    cedar: 'String',
    test: isUrl,
    describe: spec =>
      `a URL ${orList((spec.schemes ?? ['https']).flatMap(scheme => (spec.hosts ?? []).map(host => `${scheme}://${host}${spec.below ? orList(spec.below) : '/…'}`)))}`,
    findFault: spec => {
      if (!spec.hosts || spec.hosts.length === 0) return 'a url has `hosts`: the hosts it may name'
      if (spec.schemes?.some(scheme => !/^[a-z][a-z0-9+.-]*$/.test(scheme) || scheme === 'file')) return '`schemes` are names such as https'
      if (spec.below?.some(path => path !== '/' && !isPath(path))) return '`below` are absolute paths without a slash at the end'
      return findHostsFault(spec.hosts.map(host => host.replace(/:[0-9]{1,5}$/, '')))
    },
  },
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
  },
  any: {
    fields: ['of'],
    cedar: 'String',
    test: (value, spec, afterDashes) => allOf(spec).some(type => testValue(value, type, afterDashes)),
    describe: spec => allOf(spec).map(describeValue).join('; or '),
    findFault: spec => (allOf(spec).length < 2 ? 'any is `of` two or more types' : undefined),
    list: spec => allOf(spec).flatMap(listValues),
  },
}

const beginnings: Record<Leading, RegExp> = {
  '-': /^-/,
  '+': /^\+/,
  '@': /^@/,
  '|': /^\|/,
  '!': /^!/,
  scheme: /^(?:[A-Za-z][A-Za-z0-9+.-]*:[/:]|[A-Za-z]:\\|file(?:b)?:)/,
}
/** Every name of {@link Leading}. */
export const leadings = Object.keys(beginnings) as Leading[]

const hidden = /[[\p{C}\p{Z}\p{DI}\u2800\ufffc]--[ ]]/v

/** The long form of a type: `unit-name` is `{type: 'unit-name'}`. */
export function specOf(type: ValueType): ValueSpec {
  return typeof type === 'string' ? {type} : type
}

/** Is this one whole argument a value of the type? Bounds that every type shares are checked here. Never throws on a checked type. */
export function testValue(value: string, type: ValueType, afterDashes = false): boolean {
  const spec = specOf(type)
  const kind = valueKinds[spec.type]
  if (!kind || (value === '' && !listValues(spec).includes(''))) return false
  if (value.length > (spec.maxLength ?? (spec.type === 'text' || spec.type === 'path' || spec.type === 'url' || spec.of ? 4096 : 256)))
    return false
  return kind.test(value, spec, afterDashes) && (spec.pattern === undefined || matchesPattern(spec.pattern, value))
}

/** The type in words: `an integer from 1 to 5000`. */
export function describeValue(type: ValueType): string {
  const spec = specOf(type)
  return valueKinds[spec.type]?.describe(spec) ?? spec.type
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
    if (field !== 'secret' && !kind.fields.includes(field as keyof ValueSpec)) return `the type ${spec.type} takes no \`${field}\``
    const fault = fieldFaults[field as Exclude<keyof ValueSpec, 'type'>]?.(value)
    if (fault) return `\`${field}\`: ${fault}`
  }
  for (const inner of Array.isArray(spec.of) ? spec.of : spec.of === undefined ? [] : [spec.of]) {
    const fault = findTypeFault(inner, depth + 1)
    if (fault) return fault
    if (allOf({type: '', of: inner}).some(({secret, type}) => secret || type === 'list'))
      return 'inside another type stands neither a list nor a secret'
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
  maxLength: value =>
    Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 65536 ? undefined : 'an integer from 1 to 65536',
  leading: value =>
    texts(value) ?? ((value as string[]).every(item => leadings.includes(item as Leading)) ? undefined : `of ${leadings.join(' ')}`),
  lines: truth,
  of: () => undefined,
  separator: text,
  secret: truth,
}

function begins(value: string, spec: ValueSpec, afterDashes: boolean): boolean {
  if (value === '--') return false
  return leadings.every(leading => spec.leading?.includes(leading) || (afterDashes && leading === '-') || !beginnings[leading].test(value))
}

function findLeadingFault(spec: ValueSpec): string | undefined {
  return spec.leading && new Set(spec.leading).size !== spec.leading.length ? '`leading` names each beginning once' : undefined
}

function isHostName(value: string): boolean {
  if (value.length > 253 || !/[a-z]/.test(value.slice(value.lastIndexOf('.') + 1))) return false
  return value.split('.').every(label => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label))
}

function isOnHosts(host: string, hosts: string[]): boolean {
  if (!isHostName(host.replace(/:[0-9]{1,5}$/, ''))) return false
  return hosts.some(allowed =>
    allowed.startsWith('*.') ? host.endsWith(allowed.slice(1)) && host.length > allowed.length - 1 : host === allowed,
  )
}

function findHostsFault(hosts: string[] | undefined): string | undefined {
  const bad = hosts?.find(host => !isHostName(host.startsWith('*.') ? host.slice(2) : host))
  return bad === undefined ? undefined : `\`hosts\` are names in lower case, or *.NAME: not ${bad}`
}

function isPath(value: string): boolean {
  return (
    value.startsWith('/') &&
    value.length > 1 &&
    !hidden.test(value) &&
    value
      .slice(1)
      .split('/')
      .every(part => part !== '' && part !== '.' && part !== '..')
  )
}

function isBelow(path: string, directories: string[] | undefined): boolean {
  return (
    directories === undefined || directories.some(directory => directory === '/' || path === directory || path.startsWith(`${directory}/`))
  )
}

/** RFC 3986, narrowed: no user part, no fragment, no dot segments however written, nothing that a tool expands by itself. */
function isUrl(value: string, spec: ValueSpec): boolean {
  const [whole, scheme, host, path] =
    /^([a-z][a-z0-9+.-]*):\/\/([a-z0-9.-]+(?::[0-9]{1,5})?)(\/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?$/.exec(
      value,
    ) ?? []
  if (whole !== value || !scheme || !host || !path) return false
  if (/%(?![0-9A-Fa-f]{2})|%(?:00|0[ad]|2e|2f|5c)/i.test(value) || path.split('/').some(part => part === '.' || part === '..')) return false
  return (spec.schemes ?? ['https']).includes(scheme) && isOnHosts(host, spec.hosts ?? []) && isBelow(path, spec.below)
}

function isWord(value: string): boolean {
  return typeof value === 'string' && !hidden.test(value) && value.length <= 4096 && value !== '--'
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

function suchAs(spec: ValueSpec): string {
  return spec.pattern === undefined ? '' : `, matching ${spec.pattern}`
}

function orList(items: string[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} or ${items.at(-1)}`
}
