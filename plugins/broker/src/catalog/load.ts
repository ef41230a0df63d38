/** From files to the catalog: schema-checked, cross-checked, numbers merged by the stricter value, frozen. */
import type {GrantProvider, Limits, Needs, Primitive, ToolClass} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {findRuleFault} from '@prod/sdk/forward'
import {cedarTypeName} from '@prod/sdk/grammar/cedar'
import {checkGrammar, findGrammarFaults} from '@prod/sdk/grammar/check'
import {findExampleFaults} from '@prod/sdk/grammar/examples'
import type {CommandGrammar, Grammar} from '@prod/sdk/grammar/grammar'
import {findPatternFault, matchesPattern} from '@prod/sdk/grammar/pattern'
import {prepareGrammar} from '@prod/sdk/grammar/prepare'
import {joinBehind} from './behind.ts'
import type {Catalog, RedactRules, RoleEntry, ServiceEntry, TargetEntry, ToolEntry} from './catalog.ts'
import {checkForm} from './check-form.ts'
import type {Finding} from './finding.ts'
import {limitsOf} from './limits.ts'
import {findMissingRole, findRoleFault, isReachedByOwn} from './reached.ts'
import type {BundleFile} from './read.ts'
import {roleSchema, serviceSchema, targetSchema, toolSchema} from './schemas.ts'
import {parseYaml, showPath, type YamlFile} from './yaml.ts'

/** What a run may use where the catalog is silent (TM-H11). */
export const defaultLimits: Limits = {
  wallSeconds: 600,
  cpuSeconds: 600,
  memoryBytes: 1024 ** 3,
  processes: 64,
  fileBytes: 64 * 1024 ** 2,
  outputBytes: 1024 ** 3,
}

/** The parts that names in the catalog are checked against. A missing map: those names are taken as they are (offline checks). */
export interface KnownParts {
  primitives?: ReadonlyMap<string, Primitive> | undefined
  providers?: ReadonlyMap<string, GrantProvider> | undefined
}

type ToolFile = Pick<ToolEntry, 'name' | 'summary'> & {
  service?: string
  program: string | {path: string; sha256?: string | string[]}
  version?: string
  run: {primitive: string; target?: string; targets?: string[]; as?: string; role?: string}
  class?: ToolClass
  approvals?: number
  limit?: CommandGrammar['limit']
  rollout?: CommandGrammar['rollout']
  env?: Record<string, string>
  limits?: Partial<Limits>
  needs?: Partial<Needs>
  workdir?: string
  retention?: ToolEntry['retention']
  retentionDays?: number
  redact?: Partial<Omit<RedactRules, 'columns'>> & {columns?: Partial<NonNullable<RedactRules['columns']>>}
  data?: 'personal'
  detachSeconds?: number
  options?: Grammar['options']
  adds?: string[]
  bundles?: boolean
  commands: (Omit<CommandGrammar, 'class'> & {class?: ToolClass})[]
}
type Partly<T, K extends keyof T> = Pick<T, K> & Partial<Omit<T, K>>

/** Reads all catalog files. With findings, the catalog holds what could be read, for further checks. */
export async function loadCatalog(files: readonly BundleFile[], known: KnownParts, findings: Finding[]): Promise<Catalog> {
  const read = <F extends {name: string}>(folder: string, schema: object): Map<string, {file: YamlFile; data: F}> => {
    const entries = new Map<string, {file: YamlFile; data: F}>()
    for (const one of files.filter(({name}) => name.startsWith(`catalog/${folder}/`))) {
      const file = parseYaml(one, findings)
      const data = file && checkForm<F>(file, schema, findings)
      if (!file || !data) continue
      const other = entries.get(data.name)
      if (other)
        findings.push({file: file.file, path: 'name', ...file.at(['name']), message: `${data.name} is also named in ${other.file.file}`})
      else entries.set(data.name, {file, data})
    }
    return entries
  }
  const services = read<Partly<ServiceEntry, 'name' | 'owner'>>('services', serviceSchema)
  const targets = read<
    Partly<TargetEntry & {service: string; shellAs: string; role: string; offline: {role: string}}, 'name' | 'address' | 'environment'>
  >('targets', targetSchema)
  const roles = read<Partly<RoleEntry & {service: string}, 'name' | 'summary' | 'provider' | 'parameters' | 'maxSeconds'>>(
    'roles',
    roleSchema,
  )
  const tools = read<ToolFile>('tools', toolSchema)

  const refuse = (file: YamlFile, path: (string | number)[], message: string, mend?: string): void => {
    findings.push({file: file.file, path: showPath(path), ...file.at(path), message, ...(mend ? {mend} : {})})
  }
  const names = (map: ReadonlyMap<string, unknown>): string => `known: ${[...map.keys()].sort().slice(0, 20).join(', ') || 'none'}`
  for (const {file, data} of [...targets.values(), ...roles.values(), ...tools.values()]) {
    if (data.service !== undefined && !services.has(data.service))
      refuse(file, ['service'], `there is no service ${data.service}`, names(services))
  }

  const machinesOf = (address: string, program?: string): readonly string[] | undefined => {
    const colon = address.indexOf(':')
    const primitive = known.primitives?.get(address.slice(0, colon))
    try {
      const machines = primitive?.machine?.(primitive.parse(address.slice(colon + 1)), program)
      return typeof machines === 'string' ? [machines] : machines
    } catch {
      return undefined // one of many whose name is none: it is refused where it is used
    }
  }
  const catalog: Catalog = {services: new Map(), targets: new Map(), roles: new Map(), tools: new Map(), machinesOf}
  for (const {data} of services.values()) {
    const limits = {maxSeconds: data.limits?.maxSeconds ?? null, approvals: data.limits?.approvals ?? null, runs: data.limits?.runs ?? null}
    catalog.services.set(data.name, {
      name: data.name,
      owner: data.owner,
      contacts: data.contacts ?? [],
      channel: data.channel ?? null,
      tier: data.tier ?? 3,
      owns: {accounts: data.owns?.accounts ?? [], resources: data.owns?.resources ?? []},
      limits,
    })
  }

  for (const {file, data} of targets.values()) {
    const {name, address, environment} = data
    if (name === 'all') refuse(file, ['name'], 'all is what people write for every target', 'give it another name')
    const primitive = known.primitives?.get(address.slice(0, address.indexOf(':')))
    if (known.primitives && !primitive) refuse(file, ['address'], `no primitive answers to ${address}`, names(known.primitives))
    const fault = primitive && faultOf(() => primitive.parse(address.slice(address.indexOf(':') + 1)))
    if (fault) refuse(file, ['address'], fault.message, fault.hint)
    if (data.forwards && primitive && !primitive.uses.includes('forward'))
      refuse(file, ['forwards'], `${primitive.id} forwards no ports`, 'take it out')
    if (data.offline && primitive && !fault && !isReachedByOwn(primitive, address))
      refuse(
        file,
        ['offline'],
        'no shell there is had by a credential of the person’s own, so there is no way to it without the broker',
        'take it out',
      )
    for (const [index, rule] of (data.forwards ?? []).entries()) {
      const wrong = findRuleFault(rule)
      if (wrong) refuse(file, ['forwards', index, wrong.field], wrong.message, wrong.mend)
    }
    catalog.targets.set(name, {
      name,
      address,
      environment,
      service: data.service ?? null,
      summary: data.summary ?? address,
      labels: data.labels ?? {},
      data: data.data ?? null,
      shellAs: data.shellAs ?? null,
      forwards: data.forwards ?? [],
      role: data.role ?? null,
      offline: data.offline ?? null,
    })
  }

  for (const {file, data} of roles.values()) {
    const provider = known.providers?.get(data.provider)
    if (known.providers && !provider) refuse(file, ['provider'], `there is no grant provider ${data.provider}`, names(known.providers))
    if (provider?.usesAllows && Object.hasOwn(data.parameters, 'actions'))
      refuse(file, ['parameters', 'actions'], 'what a role allows stands in allows', 'allows: ["s3:Get*"]')
    // within what it confers, so within what is approved
    const parameters = provider?.usesAllows && data.allows ? {...data.parameters, actions: data.allows} : data.parameters
    const fault = provider && faultOf(() => provider.parse(parameters))
    if (fault) refuse(file, ['parameters'], fault.message, fault.hint)
    const limits = limitsOf(catalog, [data.service])
    const toolClass = data.class ?? 'change'
    catalog.roles.set(data.name, {
      name: data.name,
      summary: data.summary,
      provider: data.provider,
      parameters,
      class: toolClass,
      service: data.service ?? null,
      maxSeconds: Math.min(data.maxSeconds, limits.maxSeconds),
      approvals: Math.max(data.approvals ?? 1, toolClass === 'admin' ? 2 : 1, limits.approvals),
      allows: data.allows ?? [],
      reach: (fault ? undefined : provider?.reach?.(provider.parse(parameters))) ?? {},
    })
  }

  for (const {file, data} of targets.values()) {
    const fault = data.role === undefined ? undefined : findRoleFault(catalog, data.role, known.providers)
    if (fault) refuse(file, ['role'], fault.message, fault.mend)
  }

  const spaces = new Map<string, string>()
  for (const {file, data} of tools.values()) {
    const on = data.run.targets ?? [data.run.target as string]
    for (const [index, name] of on.entries()) {
      const path = data.run.targets ? ['run', 'targets', index] : ['run', 'target']
      const target: TargetEntry | undefined = catalog.targets.get(name)
      if (!target) refuse(file, path, `there is no target ${name}`, names(targets))
      else if (!target.address.startsWith(`${data.run.primitive}:`))
        refuse(file, path, `${name} is ${target.address}, not reached by ${data.run.primitive}`)
    }
    const tool = toolEntry(data, on, catalog, known, (path, message, mend) => refuse(file, path, message, mend))
    const roleFault = tool.role === null ? undefined : findRoleFault(catalog, tool.role, known.providers)
    if (roleFault) refuse(file, ['run', 'role'], roleFault.message, roleFault.mend)
    for (const name of on) {
      const target = catalog.targets.get(name)
      const missing = target && findMissingRole(tool, target, known.primitives)
      if (missing) refuse(file, ['run'], missing, 'role: NAME of catalog/roles, in the target or in run')
    }
    // one spelling for each: neither case nor a sign that Cedar's names lack may tell two tools apart
    const space = tool.grammar.commands.length > 0 ? cedarTypeName(tool.grammar, 0).split('::')[0]?.toLowerCase() : undefined
    const twin = space === undefined ? undefined : spaces.get(space)
    if (twin !== undefined) refuse(file, ['name'], `policy could not tell ${data.name} from ${twin}`, 'give it another name')
    else if (space !== undefined) spaces.set(space, data.name)
    catalog.tools.set(data.name, tool)
  }
  joinBehind(catalog.tools, (name, path, message, mend) => refuse((tools.get(name) as {file: YamlFile}).file, path, message, mend))
  for (const tool of catalog.tools.values()) {
    await prepareGrammar(tool.grammar)
    for (const {path, message} of findExampleFaults(tool.grammar, name => catalog.tools.get(name)?.grammar))
      refuse((tools.get(tool.name) as {file: YamlFile}).file, path, message)
  }
  return deepFreeze(catalog)
}

function toolEntry(
  data: ToolFile,
  targets: string[],
  catalog: Catalog,
  known: KnownParts,
  refuse: (path: (string | number)[], message: string, mend?: string) => void,
): ToolEntry {
  const limits = limitsOf(catalog, [data.service, ...targets.map(name => catalog.targets.get(name)?.service)])
  const own = limitsOf(catalog, [data.service])
  const defaults = {
    ...(data.approvals ? {approvals: data.approvals} : {}),
    ...(data.limit ? {limit: data.limit} : {}),
    ...(data.rollout ? {rollout: data.rollout} : {}),
  }
  const commands = data.commands.map((command): CommandGrammar => ({class: data.class ?? 'change', ...defaults, ...command}))
  const written = {
    ...(data.options ? {options: data.options} : {}),
    ...(data.adds ? {adds: data.adds} : {}),
    ...(data.bundles === undefined ? {} : {bundles: data.bundles}),
    commands,
  }
  const faults = findGrammarFaults(written, data.name)
  for (const {path, message, mend} of faults) refuse([...path], message, mend)
  const grammar: Grammar = faults.length > 0 ? {tool: data.name, commands: []} : checkGrammar(written, data.name)
  for (const [index, {approvals, class: toolClass}] of grammar.commands.entries()) {
    if (approvals === 0)
      refuse(['commands', index, 'approvals'], 'at least one person approves', 'a policy that permits the run needs none')
    Object.assign(grammar.commands[index] as CommandGrammar, {
      approvals: Math.max(approvals ?? 1, toolClass === 'admin' ? 2 : 1, own.approvals),
    })
  }

  // who cannot be held to it must not seem to be
  for (const field of ['needs', 'workdir'] as const) {
    if (data[field] !== undefined && known.primitives && !known.primitives.get(data.run.primitive)?.confines)
      refuse([field], `${data.run.primitive} holds no program to it`, 'take it out, or run the tool on host')
  }
  for (const [index, pattern] of (data.redact?.patterns ?? []).entries()) {
    const fault = findPatternFault(pattern) ?? (matchesPattern(pattern, '') ? 'the pattern matches nothing at all' : undefined)
    if (fault) refuse(['redact', 'patterns', index], fault)
  }
  if (data.redact?.columns && !data.redact.columns.names && !data.redact.columns.positions)
    refuse(['redact', 'columns'], 'names no columns', 'names: [email], or positions: [3]')
  const wanted = {...defaultLimits, ...data.limits}
  return {
    name: data.name,
    summary: data.summary,
    service: data.service ?? null,
    program:
      typeof data.program === 'string'
        ? {path: data.program, sha256: []}
        : {path: data.program.path, sha256: [data.program.sha256 ?? []].flat()},
    version: data.version ?? null,
    targets,
    primitive: data.run.primitive,
    runAs: data.run.as ?? null,
    role: data.run.role ?? null,
    env: data.env ?? {},
    limits: {...wanted, wallSeconds: Math.min(wanted.wallSeconds, limits.maxSeconds)},
    needs: data.needs ? {network: false, processes: false, reads: [], writes: [], ...data.needs} : null,
    workdir: data.workdir ?? null,
    retention: data.retention ?? 'none',
    retentionDays: data.retentionDays ?? null,
    redact: redactRules(data.redact),
    data: data.data ?? null,
    detachSeconds: data.detachSeconds ?? 60,
    grammar,
  }
}

function redactRules(given: ToolFile['redact']): RedactRules | null {
  if (!given) return null
  const {patterns = [], fields = [], columns} = given
  return {patterns, fields, columns: columns ? {separator: null, names: [], positions: [], ...columns} : null}
}

function faultOf(check: () => unknown): {message: string; hint?: string} | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    if (error instanceof ProdError) return error
    throw error
  }
}

function deepFreeze<T>(value: T): T {
  if (value instanceof Map) for (const one of value.values()) deepFreeze(one)
  else if (typeof value === 'object' && value !== null) for (const one of Object.values(value)) deepFreeze(one)
  return Object.freeze(value)
}
