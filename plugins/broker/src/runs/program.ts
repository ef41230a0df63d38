/** The program of a tool: where it is, which version of it is good (TM-M4), and which paths of argv it is given (TM-H14). */
import type {NamedPath} from '@prod/sdk'
import {canonical, sha256} from '@prod/sdk/document'
import {ProdError} from '@prod/sdk/errors'
import type {Structure} from '@prod/sdk/grammar/grammar'
import {layersOf, pathOperands} from '@prod/sdk/grammar/operands'
import type {Catalog, TargetEntry, ToolEntry} from '../catalog/catalog.ts'
import type {Parts} from '../parts.ts'
import type {AuditEvent, Store, Stored} from '../stores/store.ts'

/** A catalog address as its primitive and the primitive's own target. Throws TARGET_INVALID where no plugin answers for it. */
export function reach(parts: Pick<Parts, 'primitives'>, target: Pick<TargetEntry, 'address'>) {
  const colon = target.address.indexOf(':')
  const primitive = parts.primitives.get(target.address.slice(0, colon))
  if (!primitive) throw new ProdError('TARGET_INVALID', `no plugin of this broker reaches ${target.address}`, 'prod plugins')
  return {primitive, where: primitive.parse(target.address.slice(colon + 1))}
}

/** What is known of one tool's program on one target. */
interface Pin {
  /** the bundle under which it was looked at */
  bundle: string
  /** what it was then; null: the definition names what is good */
  sha256: string | null
  /** what it is now, which is not good: the tool is off; null: it is on */
  off: string | null
}

type PinParts = Pick<Parts, 'primitives' | 'store' | 'bundle' | 'alarm' | 'config'>

/** Pins as they were last read or written, for each store: a use of a tool that is on reads none. */
const known = new WeakMap<Store, Map<string, Stored<Pin> | undefined>>()

/**
 * The program of a tool as it is now. What the catalog names must match; what it leaves open was looked at when the bundle was
 * loaded and must be the same since, outside development. A tool whose program is another is off until it is the old one again or
 * a bundle says otherwise: told once. Null where the target cannot say. Throws TOOL_UNAVAILABLE.
 */
export async function inspectProgram(
  parts: PinParts,
  tool: ToolEntry,
  target: TargetEntry,
): Promise<{path: string; sha256: string | null}> {
  const {primitive, where} = reach(parts, target)
  const {path, sha256: named} = tool.program
  if (!primitive.inspect) return {path, sha256: null}
  const found = await primitive.inspect(where, {path})
  // a developer's own programs change as they are written
  if (named.length === 0 && parts.config.development) return found
  const good = named.length > 0 ? named : [await pinned(parts, tool, target, found.sha256)]
  const isGood = good.includes(found.sha256)
  await note(parts, tool, target, isGood ? null : found.sha256)
  if (isGood) return found
  throw new ProdError(
    'TOOL_UNAVAILABLE',
    `${tool.name} is off: ${path} is not the program that ${named.length > 0 ? 'its definition names' : 'was there when the policy was loaded'} (sha256 ${found.sha256})`,
    `prod tools show ${tool.name}`,
  )
}

/** Looks at the programs of all tools: so an upgrade is told before anybody meets it, and what is there counts from the bundle's first hour on. */
export async function inspectAll(parts: PinParts): Promise<void> {
  const {tools, targets} = parts.bundle().catalog
  for (const tool of tools.values()) {
    if (parts.config.development && tool.program.sha256.length === 0) continue
    for (const name of tool.targets) {
      const target = targets.get(name)
      // what is not installed, or not reached now, is told to who uses it
      if (target) await inspectProgram(parts, tool, target).catch(ignoreUnavailable)
    }
  }
}

function ignoreUnavailable(error: unknown): void {
  if (!(error instanceof ProdError)) throw error
}

/** What the program was when the bundle was loaded; looked at for the first time, it is what it is now. */
async function pinned(parts: PinParts, tool: ToolEntry, target: TargetEntry, now: string): Promise<string> {
  const id = pinId(tool, target)
  const bundle = parts.bundle().digest
  for (;;) {
    const pin = await findPin(parts, id)
    if (pin?.value.bundle === bundle && pin.value.sha256 !== null) return pin.value.sha256
    const value: Pin = {bundle, sha256: now, off: pin?.value.off ?? null}
    const data = {
      tool: tool.name,
      target: target.name,
      path: tool.program.path,
      version: tool.version,
      sha256: now,
      previous: pin?.value.sha256 ?? null,
    }
    if (await writePin(parts, id, pin, value, {type: 'program.pinned', by: 'broker', subject: tool.name, data})) return now
  }
}

/** Writes down, and tells once, that a tool is off (`found`: what its program is instead) or on again. */
async function note(parts: PinParts, tool: ToolEntry, target: TargetEntry, found: string | null): Promise<void> {
  const id = pinId(tool, target)
  for (;;) {
    const pin = await findPin(parts, id)
    if ((pin?.value.off ?? null) === found) return
    const value: Pin = {bundle: parts.bundle().digest, sha256: null, ...pin?.value, off: found}
    const data = {tool: tool.name, target: target.name, path: tool.program.path, version: tool.version, sha256: found ?? value.sha256}
    const event = {type: found === null ? 'tool.enabled' : 'tool.disabled', by: 'broker', subject: tool.name, data}
    if (!(await writePin(parts, id, pin, value, event))) continue
    if (found !== null) parts.alarm('the program of a tool was exchanged; the tool is off', data)
    return
  }
}

function pinId({name, program}: ToolEntry, {address}: TargetEntry): string {
  return `pin-${sha256(canonical([address, name, program.path])).slice(0, 32)}`
}

async function findPin({store}: PinParts, id: string): Promise<Stored<Pin> | undefined> {
  const pins = known.get(store) ?? new Map<string, Stored<Pin> | undefined>()
  known.set(store, pins)
  if (!pins.has(id)) pins.set(id, await store.find<Pin>('meta', id))
  return pins.get(id)
}

async function writePin({store}: PinParts, id: string, read: Stored<Pin> | undefined, value: Pin, event: AuditEvent): Promise<boolean> {
  const saved = await store.commit({put: [{kind: 'meta', id, version: read?.version ?? 0, value}], events: [event]})
  // written, or written by somebody else: to be read anew
  known.get(store)?.delete(id)
  return saved.ok
}

/** The paths in argv that the grammar knows, those of commands behind others too. */
export function namedPaths(catalog: Catalog, tool: ToolEntry, structure: Structure): NamedPath[] {
  return layersOf(structure).flatMap(layer => {
    const grammar = layer.tool === tool.name ? tool.grammar : catalog.tools.get(layer.tool)?.grammar
    if (!grammar) return []
    return pathOperands(layer, grammar).map(({value, folder}) => ({path: value.replace(/(?<=.)\/$/, ''), folder}))
  })
}
