/**
 * Refused calls in the log (TM-E1): the doors (http, streams) record each in one place. Of one person's refusals for one
 * reason a minute holds ten whole; what goes beyond is counted and told in one more record (TM-E13).
 */
import {codes, ProdError} from '@prod/sdk/errors'
import type {Caller, Parts} from '../parts.ts'
import type {AuditEvent, Store} from '../stores/store.ts'

/** What a record of a refusal says beside who, when, from where and why. */
export interface RefusalDetail {
  /** default `call.refused` */
  type?: string
  subject?: string
  data?: Record<string, unknown>
  personal?: Record<string, unknown>
}

const wholeRecords = 10
const windowMilliseconds = 60_000
const details = new WeakMap<ProdError, RefusalDetail>()
const told = new WeakSet<ProdError>()

/** Says what a refusal was about; the door that answers it puts that into the record. Gives the error back, to be thrown. */
export function about(error: ProdError, detail: RefusalDetail): ProdError {
  details.set(error, {...details.get(error), ...detail})
  return error
}

/** What was said of it so far. */
export function detailOf(error: ProdError): RefusalDetail | undefined {
  return details.get(error)
}

/** For an error whose cause has its own record already: the door writes no second one. */
export function recorded(error: ProdError): ProdError {
  told.add(error)
  return error
}

/** Outcomes that a waiting client is told of: the decision itself is what is in the log. */
const outcomes = new Set(['REQUEST_DENIED', 'REQUEST_EXPIRED', 'REQUEST_CANCELLED', 'REQUEST_PENDING', 'ENDED_BY_LIMIT', 'REVOKED'])

interface Window {
  until: number
  whole: number
  beyond: number
  last: {event: AuditEvent} | undefined
}
const windows = new WeakMap<Store, Map<string, Window>>()

/** Records that a call was refused, if it was: faults of ours and of the network are no refusals. Never throws. */
export async function tellRefusal(parts: Parts, caller: Caller, error: unknown, where: string): Promise<void> {
  if (!(error instanceof ProdError) || told.has(error) || outcomes.has(error.code)) return
  const {status} = codes[error.code]
  if (status >= 500 || status < 400 || caller.login === '') return
  told.add(error)
  const {type = 'call.refused', subject = where, data, personal} = details.get(error) ?? {}
  const by = caller.principal.person || `${caller.principal.iss}#${caller.principal.sub}`
  const event: AuditEvent = {
    type,
    by,
    subject,
    correlation: caller.correlation,
    data: {code: error.code, where, ...data},
    personal: {
      name: caller.principal.name,
      address: caller.address,
      ...(caller.label === undefined ? {} : {label: caller.label}),
      ...(type === 'request.refused' ? {groups: caller.groups} : {}),
      ...personal,
    },
  }
  const open = windows.get(parts.store) ?? new Map<string, Window>()
  windows.set(parts.store, open)
  const key = JSON.stringify([caller.principal.iss, caller.principal.sub, type, error.code])
  const window = open.get(key) ?? {until: Date.now() + windowMilliseconds, whole: 0, beyond: 0, last: undefined}
  open.set(key, window)
  if (window.whole < wholeRecords) {
    window.whole += 1
    const saved = await parts.store.commit({events: [event]}).catch(() => undefined)
    if (saved) return
  }
  window.beyond += 1
  window.last = {event}
}

/** Writes what was counted: in windows that are over, or with `all` in every one. Tried again at the next call where it fails. */
export async function tellFolded(store: Store, all = false): Promise<void> {
  const open = windows.get(store)
  if (!open) return
  const now = Date.now()
  for (const [key, window] of open) {
    if (!all && window.until > now) continue
    open.delete(key)
    if (window.beyond === 0 || !window.last) continue
    const {type, by, data, personal} = window.last.event
    const events = [
      {
        type,
        by,
        subject: 'repeated',
        data: {code: data?.code, where: data?.where, count: window.beyond},
        personal: {name: personal?.name, address: personal?.address},
      },
    ]
    try {
      await store.commit({events})
    } catch (error) {
      open.set(key, {...window, until: now + windowMilliseconds})
      throw error
    }
  }
}
