/**
 * The fleet-wide stop (TM-F5). It is one record of the store; every start leans on the version that it read, so that a start
 * which read before the freeze was written fails to be written after it.
 */
import type {Freeze, Principal, ToolClass} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {showLine, showName} from '@prod/sdk/text'
import type {Parts} from '../parts.ts'
import type {Expect, Put, Stored} from '../stores/store.ts'

/** The record: who froze, and the first of the two who lift. */
export interface FreezeRecord {
  on: boolean
  /** reads too */
  all: boolean
  by: Principal
  since: string
  reason: string
  lift: {by: Principal; at: string; until: string; reason: string} | null
}

/** The id of the record, of kind `meta`. */
export const freezeId = 'freeze'
const [kind, id] = ['meta', freezeId] as const

/** The record as it is now; undefined: nobody has ever frozen. */
export async function storedFreeze(parts: Pick<Parts, 'store'>): Promise<Stored<FreezeRecord> | undefined> {
  return parts.store.find<FreezeRecord>(kind, id)
}

/** The record as the store writes it. */
export function putFreeze(value: FreezeRecord, version: number): Put {
  return {kind, id, version, value, index: {state: value.on ? 'on' : 'off'}}
}

/** What people see of it; null where nothing is frozen. */
export function showFreeze(record: FreezeRecord | undefined, now: Date): Freeze | null {
  if (!record?.on) return null
  const lift = record.lift && record.lift.until > now.toISOString() ? record.lift : null
  const {all, since, reason} = record
  return {
    all,
    since,
    reason,
    by: record.by.name,
    lift: lift && {by: lift.by.name, at: lift.at, until: lift.until, reason: lift.reason},
  }
}

/** In one line, for refusals and for who breaks glass through it. */
export function freezeWords({by, since, reason}: Pick<Freeze, 'by' | 'since' | 'reason'>): string {
  return `production is frozen by ${showName(by)} since ${since}: ${showLine(reason)}`
}

/** Whether a freeze stops what has this class. */
function stops(record: FreezeRecord | undefined, toolClass: ToolClass): record is FreezeRecord {
  return record?.on === true && (record.all || toolClass !== 'read')
}

/**
 * Throws FROZEN where this class may not start now; else gives what must still hold when the start is written. Break-glass
 * goes through: `through` says so then.
 */
export async function refuseFrozen(
  parts: Pick<Parts, 'store'>,
  toolClass: ToolClass,
  breakGlass = false,
): Promise<{expect: Expect[]; through: string | null}> {
  const stored = await storedFreeze(parts)
  if (!stops(stored?.value, toolClass)) return {expect: [{kind, id, version: stored?.version ?? 0}], through: null}
  const words = freezeWords({...stored.value, by: stored.value.by.name})
  if (breakGlass) return {expect: [], through: words}
  throw new ProdError(
    'FROZEN',
    `${words}; nothing ${stored.value.all ? '' : 'but reads '}starts until two people lift it`,
    'prod freeze --show',
  )
}
