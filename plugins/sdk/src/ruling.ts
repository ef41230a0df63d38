/** What a broker says of its own refusals: the rule, the part of it that decided, and what would change it. */
import type {Usable} from './catalog-view.ts'

/** A part of a rule: of its scope, or one term of its condition, as Cedar writes it. */
export interface RulePart {
  part: string
  holds: boolean
  /** what the person could do about it; null: nothing of their own */
  change: string | null
}

/** A rule that decided, or one that would have permitted it but for some parts. */
export interface RuleView {
  rule: string
  effect: 'permit' | 'forbid'
  /** of a permit those that fail; of a forbid those that held, and the exceptions that did not */
  parts: RulePart[]
}

/** What became of a use, or what would. */
export interface Ruling {
  /** `run_…`, `req_…`; null: a question, nothing was asked for */
  id: string | null
  summary: string
  /** policy's answer for the caller now; null where it is somebody else's, or cannot be asked any more */
  decision: 'allow' | 'request' | 'deny' | null
  /** what happened, in a sentence */
  message: string
  rules: RuleView[]
  /** the next command */
  hint: string | null
}

/** A role of the catalog that allows an action. */
export interface HelpfulRole {
  name: string
  usable: Usable
  class: string
  active: string | null
  approvals: number
  /** people seen lately whom policy lets approve it, else names of groups */
  approvers: string[]
  /** half of the requests of the last 30 days were approved within this; null: none was */
  medianSeconds: number | null
  /** the resources on which alone it allows the action; absent: any */
  only?: string[]
}

/** Whom to ask where no role helps. */
export interface OwnerView {
  service: string
  owner: string
  contacts: string[]
  channel: string | null
}

/** Who can help with an action that was denied: the roles that allow it, the least first, and the owners of what it is about. */
export interface Help {
  roles: HelpfulRole[]
  /** services of the catalog that the resource names */
  owners: OwnerView[]
}
