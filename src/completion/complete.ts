import type {CachedCatalog} from '@prod/sdk/cli/catalog-cache'
import type {completions} from '@prod/sdk/grammar/complete'
import {type FlagShape, toolIndex} from '../exec-argv.ts'
import {afterBreak, splitLine} from './words.ts'

interface Flag extends FlagShape {
  hidden?: boolean
  multiple?: boolean
  options?: string[]
}

interface Command {
  hidden?: boolean
  flags?: Record<string, Flag>
  args?: Record<string, {options?: string[]; multiple?: boolean}>
}

/** `oclif.manifest.json`: commands by id, words of the id joined with `:`. */
export interface Manifest {
  commands: Record<string, Command>
}

/** Where candidates come from. `catalog` is whatever the file held; `broker` is PROD_BROKER. */
export interface Sources {
  packages: readonly Manifest[]
  catalog: unknown
  /** names of the roles on this machine, as `prod roles` last saw them: whatever that file held */
  roles?: unknown
  broker: string | undefined
  /** what a tool's grammar lets follow; heavy, so it is given where {@link typesTool} says that a tool is typed */
  ofTool?: typeof completions | undefined
}

/** The one line that is said where nothing fits and no file does either; no candidate ever is it. */
export const noFiles = '!'

/** Whether what is typed is a line of `exec`, in which a tool's own words may follow. */
export function typesTool(words: readonly string[]): boolean {
  return cursor(words).before[0] === 'exec'
}

/** What a shell is answered: {@link candidates}, or {@link noFiles} where a value of the catalog or of few was to stand. */
export function completion(words: readonly string[], sources: Sources): string[] {
  const found = candidates(words, sources)
  if (found.length > 0) return found
  const {before, typed} = cursor(words)
  // all that could have been begun here
  return offers(before, typed.startsWith('-') ? typed : '', sources).some(word => !word.startsWith('-')) ? [noFiles] : []
}

function cursor([shell, ...rest]: readonly string[]): {before: string[]; typed: string} {
  const line = shell === 'bash' ? splitLine(rest[0] ?? '') : rest
  return {before: line.slice(1, -1), typed: line.at(-1) ?? ''}
}

/**
 * What may stand at the cursor. `words[0]` is the shell; for bash the command line up to the cursor follows as one text,
 * for zsh and fish its words. Only plain words are offered: a shell inserts them as they are, and some come from a broker.
 */
export function candidates(words: readonly string[], sources: Sources): string[] {
  const {before, typed} = cursor(words)
  const found = [...new Set(offers(before, typed, sources))].filter(word => word.startsWith(typed) && /^[\w@%+=:,./-]+$/.test(word))
  return words[0] === 'bash' ? found.map(word => afterBreak(word, typed)) : found
}

/** Everything that could stand after `before`, already typed words behind `prod`. */
function offers(before: readonly string[], typed: string, {packages, catalog, broker, roles, ofTool}: Sources): string[] {
  const commands = new Map(packages.flatMap(({commands}) => Object.entries(commands)).filter(([, {hidden}]) => !hidden))
  const words = before[0] === 'help' ? before.slice(1) : before
  const depth = words.findLastIndex((_, index) => commands.has(words.slice(0, index + 1).join(':'))) + 1
  const path = words.slice(0, depth).join(':')
  const rest = words.slice(depth)

  const nested = rest.length === 0 || depth === 0 ? nextWords([...commands.keys()], words.join(':')) : []
  const command = commands.get(path)
  if (!command) return nested
  if (path === 'assume') return [...nested, ...offersOfAssume(command, rest, typed, roles)]
  const view = usable(catalog, broker)
  if (path === 'exec') return [...nested, ...offersOfExec(command, rest, typed, view, ofTool)]
  // what is decided or cancelled waits; what is looked at may be over
  const known = view && /^request:(approve|deny|cancel)$/.test(path) ? {...view, requests: view.pending ?? []} : view
  return [...nested, ...offersOfCommand(command, rest, typed, known)]
}

/** The words that follow `path` in ids. */
function nextWords(ids: readonly string[], path: string): string[] {
  const start = path ? `${path}:` : ''
  return ids.filter(id => id.startsWith(start)).map(id => id.slice(start.length).split(':')[0] ?? '')
}

/** What follows `--` is another program's: the shell offers files. */
function offersOfAssume(command: Command, rest: readonly string[], typed: string, roles: unknown): string[] {
  if (rest.includes('--')) return []
  const names = Array.isArray(roles) ? roles.filter(name => typeof name === 'string') : []
  const first = rest.every(word => word.startsWith('-')) && !typed.startsWith('-')
  return [...offersOfCommand(command, rest, typed, undefined), ...(first ? names : [])]
}

function offersOfExec(
  command: Command,
  rest: readonly string[],
  typed: string,
  catalog: CachedCatalog | undefined,
  ofTool: Sources['ofTool'],
): string[] {
  const dashes = rest.indexOf('--')
  const index = toolIndex(rest, command.flags ?? {})
  const at = index === -1 ? dashes + 1 : index
  if (at >= rest.length)
    return index === -1 ? named('tool', catalog) : offersOfCommand({...command, args: {tool: {}}}, rest, typed, catalog)
  const tool = catalog?.view.tools.find(({name}) => name === rest[at])
  return tool && ofTool
    ? ofTool(tool.grammar, [...rest.slice(at), typed], name => catalog?.view.tools.find(one => one.name === name)?.grammar)
    : []
}

function offersOfCommand(command: Command, rest: readonly string[], typed: string, catalog: CachedCatalog | undefined): string[] {
  const flags = command.flags ?? {}
  const dashed = rest.includes('--')
  const [start, value] = typed.startsWith('--') && typed.includes('=') ? [typed.slice(0, typed.indexOf('=') + 1), true] : ['', false]
  if (value && !dashed) return ofFlag(findFlag(flags, start.slice(0, -1)), catalog).map(word => start + word)

  const waiting = dashed ? undefined : findFlag(flags, rest.at(-1) ?? '')
  if (waiting?.[1].type === 'option' && !isValue(rest, flags)) return ofFlag(waiting, catalog)
  if (typed.startsWith('-') && !dashed) return flagNames(flags, rest)

  const args = Object.entries(command.args ?? {})
  const given = positionals(rest, flags).length
  const [name, arg] = args[given] ?? (args.at(-1)?.[1].multiple ? args.at(-1) : undefined) ?? []
  if (!name) return []
  return arg?.options ?? named(name, catalog)
}

/** Whether the last word is itself the value of the flag before it. */
function isValue(rest: readonly string[], flags: Record<string, Flag>): boolean {
  return toolIndex([...rest.slice(0, -1), 'x'], flags) === rest.length
}

function positionals(rest: readonly string[], flags: Record<string, Flag>): string[] {
  const found: string[] = []
  let left = rest
  for (;;) {
    const index = toolIndex(left, flags)
    if (index === -1) return [...found, ...left.slice(left.indexOf('--') + 1)]
    if (index >= left.length) return found
    found.push(left[index] ?? '')
    left = left.slice(index + 1)
  }
}

function findFlag(flags: Record<string, Flag>, word: string): [string, Flag] | undefined {
  return Object.entries(flags).find(
    ([name, {char, aliases = [], charAliases = []}]) =>
      word === `--${name}` ||
      [char, ...charAliases].some(short => short && word === `-${short}`) ||
      aliases.some(alias => word === `--${alias}`),
  )
}

function flagNames(flags: Record<string, Flag>, rest: readonly string[]): string[] {
  const given = new Set(rest.map(word => findFlag(flags, word.split('=')[0] ?? '')?.[0]))
  return [
    '--help',
    ...Object.entries(flags).flatMap(([name, {hidden, multiple}]) => (hidden || (given.has(name) && !multiple) ? [] : [`--${name}`])),
  ]
}

function ofFlag(flag: [string, Flag] | undefined, catalog: CachedCatalog | undefined): string[] {
  return flag ? (flag[1].options ?? named(flag[0], catalog)) : []
}

/**
 * The catalog's values for an argument or flag, by its name: the vocabulary is one for all commands. An empty word is among them, which is never
 * offered: what stands here is no file, whether the values are known or not.
 */
function named(name: string, catalog: CachedCatalog | undefined): string[] {
  const names = (list: {name: string}[] | undefined): string[] => (list ?? []).map(one => one.name)
  const lists: Record<string, () => string[]> = {
    tool: () => names(catalog?.view.tools),
    target: () => names(catalog?.view.targets),
    on: () => names(catalog?.view.targets),
    role: () => names(catalog?.view.roles),
    request: () => catalog?.requests ?? [],
    id: () => catalog?.requests ?? [],
    session: () => [],
    review: () => [],
    grant: () => [],
    // ports, which no file is
    listen: () => [],
    stdio: () => [],
  }
  const list = Object.hasOwn(lists, name) ? lists[name] : undefined
  return list ? [...list(), ''] : []
}

/** The cached catalog, if the file holds one and it is of the broker in use. */
function usable(catalog: unknown, broker: string | undefined): CachedCatalog | undefined {
  const {view, named} = (catalog ?? {}) as Partial<CachedCatalog>
  const whole = [view?.tools, view?.targets, view?.roles].every(Array.isArray)
  return whole && named === broker ? (catalog as CachedCatalog) : undefined
}
