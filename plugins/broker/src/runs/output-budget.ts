/**
 * How much output one person may take from a tool in a day (TM-J1). A start reserves the most that its run may put out, in
 * its own commit; the end gives back what did not come. So runs side by side take no more than one after the other.
 */
import {canonical, sha256} from '@prod/sdk/document'
import type {Parts} from '../parts.ts'
import {layersOf} from '../policy/layers.ts'
import type {Plan} from '../requests/plan.ts'
import type {AuditEvent, Put} from '../stores/store.ts'
import {reached, type Starter, starterKey} from './limits.ts'

const dayMs = 86_400_000
/** what came within a quarter of an hour is kept as one number */
const slotMs = 900_000
const alarmShare = 0.8

interface OutputRecord {
  uses: {at: string; bytes: number /** of a run that goes on: bytes it may yet put out */; run?: string}[]
}

/** What a run holds of a budget until it ends. */
export interface Reservation {
  id: string
  most: number
  tool: string
}

/** Reserves output for a run. `maxBytes`: the most it may put out. Throws LIMIT_REACHED where nothing is left; a break-glass is counted too, and goes beyond. */
export async function reserveOutput(
  parts: Parts,
  plan: Plan,
  starter: Starter,
  run: string,
  breakGlass = false,
): Promise<{put: Put[]; maxBytes: number; reservations: Reservation[]; beyond: string[]}> {
  const now = parts.store.now().getTime()
  let maxBytes = plan.tool?.limits.outputBytes ?? 0
  const open: {stored: {version: number} | undefined; uses: OutputRecord['uses']; reservation: Reservation}[] = []
  const beyond: string[] = []
  if (plan.resource.kind !== 'command') return {put: [], maxBytes, reservations: [], beyond}
  const budgets = new Map<string, number>()
  for (const layer of layersOf(parts.bundle().catalog, plan.resource)) {
    if (layer.kind !== 'command') continue
    const most = layer.tool.grammar.commands[layer.structure.command]?.limit?.outputBytesPerDay
    if (most !== undefined) budgets.set(layer.tool.name, Math.min(most, budgets.get(layer.tool.name) ?? most))
  }
  for (const [tool, most] of budgets) {
    // all commands of a tool draw on one budget: what one may not read, another may not either
    const id = sha256(canonical(['output', tool, starterKey(starter)])).slice(0, 32)
    const stored = await parts.store.find<OutputRecord>('budget', id)
    const uses = alive(stored?.value, now)
    const used = sum(uses)
    if (used >= most) {
      const words = `${tool} gives one person at most ${most} bytes in a day`
      if (!breakGlass) throw reached(words, freeAt(uses, used - most + 1), now)
      beyond.push(`${words}: ${used} are used`)
    }
    if (!breakGlass) maxBytes = Math.min(maxBytes, most - used)
    open.push({stored, uses, reservation: {id, most, tool}})
  }
  const at = new Date(now).toISOString()
  return {
    maxBytes,
    reservations: open.map(({reservation}) => reservation),
    beyond,
    put: open.map(({stored, uses, reservation}) =>
      putUses(reservation.id, stored?.version ?? 0, [...uses, {at, bytes: maxBytes, run}], now),
    ),
  }
}

/**
 * The writes that give back what a run did not put out. `bytes` null: nobody knows, and all of it counts. `near`: what is told
 * where four fifths of a budget are used by now.
 */
export async function settleOutput(
  parts: Parts,
  {run, by, reservations}: {run: string; by: string; reservations: readonly Reservation[]},
  bytes: number | null,
): Promise<{put: Put[]; near: AuditEvent[]}> {
  const now = parts.store.now().getTime()
  const settled: {put: Put[]; near: AuditEvent[]} = {put: [], near: []}
  for (const {id, most, tool} of reservations) {
    const stored = await parts.store.find<OutputRecord>('budget', id)
    const before = alive(stored?.value, now)
    const mine = before.find(use => use.run === run)
    if (!stored || !mine) continue
    const others = before.filter(use => use !== mine)
    const uses = [...others, {at: new Date(now).toISOString(), bytes: bytes ?? mine.bytes}]
    settled.put.push(putUses(id, stored.version, uses, now))
    const told = others.filter(use => use.run === undefined)
    const used = sum(told) + (bytes ?? mine.bytes)
    if (sum(told) < most * alarmShare && used >= most * alarmShare)
      settled.near.push({type: 'limit.nearly-used', by: 'broker', subject: run, data: {tool, used, most}, personal: {person: by}})
  }
  return settled
}

function alive(record: OutputRecord | undefined, now: number): OutputRecord['uses'] {
  const since = new Date(now - dayMs).toISOString()
  return (record?.uses ?? []).filter(({at, run}) => at > since || run !== undefined)
}

function sum(uses: OutputRecord['uses']): number {
  return uses.reduce((total, {bytes}) => total + bytes, 0)
}

/** When so many bytes are a day old; what a run holds is free at the latest a day after it began. */
function freeAt(uses: OutputRecord['uses'], bytes: number): number {
  let left = bytes
  for (const use of [...uses].sort((a, b) => (a.at < b.at ? -1 : 1))) {
    left -= use.bytes
    if (left <= 0) return Date.parse(use.at) + dayMs
  }
  return Date.parse(uses.at(-1)?.at ?? '') + dayMs
}

function putUses(id: string, version: number, uses: OutputRecord['uses'], now: number): Put {
  const slots = new Map<number, OutputRecord['uses'][number]>()
  const open: OutputRecord['uses'] = []
  for (const use of uses) {
    if (use.run !== undefined) {
      open.push(use)
      continue
    }
    const slot = Math.floor(Date.parse(use.at) / slotMs)
    slots.set(slot, {at: use.at, bytes: use.bytes + (slots.get(slot)?.bytes ?? 0)})
  }
  return {
    kind: 'budget',
    id,
    version,
    value: {uses: [...slots.values(), ...open]} satisfies OutputRecord,
    index: {dueAt: new Date(now + 2 * dayMs).toISOString()},
  }
}
