import type {ApprovalDocument, Exit} from './domain.ts'

/** What a check found before a run. `detail` is shown to the approver. */
export interface Verdict {
  ok: boolean
  detail: string
}

/** Looks at a run before (and after) it: dry run, health, change window. */
export interface Check {
  readonly id: string
  before(plan: ApprovalDocument): Promise<Verdict>
  after?(plan: ApprovalDocument, exit: Exit): Promise<void>
}
