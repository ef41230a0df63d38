import type {Approval, Run} from '@prod/sdk'
import type {Put} from '../stores/store.ts'

/** A run as the store keeps it. Its row names the broker it lives on, so that others could pass `attach` on. */
export interface RunRecord extends Run {
  instance: string
  lock: string | null
  approvals: Approval[]
  environment: string
  correlation: string
  /** of the stored output: chunks under DIR/outputs/ID, 0 where retention is none */
  outputChunks: number
  truncated: boolean
  limit: string | null
}

/** A run as the store writes it. */
export function putRun(run: RunRecord, version: number): Put {
  return {kind: 'run', id: run.id, version, value: run, index: {state: run.state, owner: `${run.principal.iss}#${run.principal.sub}`}}
}

/** What people see of a run. */
export function showRun(record: RunRecord): Run {
  const {instance: _, lock: __, approvals: ___, environment: ____, correlation: _____, outputChunks: ______, truncated: _______, limit: ________, ...run} = record
  return run
}
