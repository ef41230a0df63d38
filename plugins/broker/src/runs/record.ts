import type {Approval, Run} from '@prod/sdk'
import {showName} from '@prod/sdk/text'
import type {Put} from '../stores/store.ts'
import type {Reservation} from './output-budget.ts'

/** Who erased something, when, and under which erasure. */
export interface ErasedMark {
  erasure: string
  at: string
  by: string
}

/** What is told to who asks for content that is gone. */
export function erasedWords(mark: true | ErasedMark): string {
  return mark === true ? 'is gone: its time is over' : `was erased on ${mark.at.slice(0, 10)} by ${showName(mark.by)} (${mark.erasure})`
}

const dayMilliseconds = 86_400_000

/** A run as the store keeps it. Its row names the broker it lives on, so that others could pass `attach` on. */
export interface RunRecord extends Run {
  instance: string
  /** what it holds until it ends; absent: it is of an older broker */
  locks?: string[]
  approvals: Approval[]
  environment: string
  correlation: string
  /** of the stored output: chunks under DIR/outputs/ID, 0 where retention is none */
  outputChunks: number
  truncated: boolean
  limit: string | null
  /** what it may put out, taken from daily limits until it ends */
  reservations?: Reservation[]
  /** how often something was taken out of its output before anybody saw it */
  redactions?: number
  /** days that its stored output is kept, as said when it began */
  keepDays?: number
  /** its stored output has been deleted: its time was over (`true`), or two people erased it */
  erased?: true | ErasedMark
}

/** A run as the store writes it. */
export function putRun(run: RunRecord, version: number): Put {
  // due: when the time of its stored output is over
  const kept = run.endedAt !== null && run.outputChunks > 0
  return {
    kind: 'run',
    id: run.id,
    version,
    value: run,
    index: {state: run.state, owner: `${run.principal.iss}#${run.principal.sub}`, ...(kept ? {dueAt: keptUntil(run)} : {})},
  }
}

/** The end of the time of a run's stored output: ISO 8601. */
export function keptUntil(run: RunRecord): string {
  return new Date(Date.parse(run.endedAt as string) + (run.keepDays ?? 0) * dayMilliseconds).toISOString()
}

/** What people see of a run; one of an older broker has no word of break-glass. */
export function showRun(record: RunRecord): Run {
  const {
    id,
    state,
    request,
    principal,
    tool,
    argv,
    target,
    class: toolClass,
    reason,
    incident = null,
    breakGlass = false,
    review = null,
    alerted = false,
    startedAt,
    endedAt,
    exit,
    endedBy,
    stdout,
    stderr,
  } = record
  return {
    id,
    state,
    request,
    principal,
    tool,
    argv,
    target,
    class: toolClass,
    reason,
    incident,
    breakGlass,
    review,
    alerted,
    startedAt,
    endedAt,
    exit,
    endedBy,
    stdout,
    stderr,
  }
}
