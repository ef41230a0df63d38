/** The plugin contract of an explainer: a technology's refusals as data. The engine that reads them is explain/explain.ts. */

/** What a refusal can come from, and the two ends of not knowing. docs/explain.md says each in a sentence. */
export const categories = [
  'role_assume_denied',
  'action_not_allowed',
  'explicit_deny_identity',
  'scp_deny',
  'rcp_deny',
  'permissions_boundary',
  'session_policy',
  'resource_policy',
  'vpc_endpoint_policy',
  'kms_key',
  'credentials_expired',
  'credentials_missing',
  'credentials_invalid',
  'mfa_required',
  'clock_skew',
  'sso_session_expired',
  'target_unreachable',
  'k8s_rbac',
  'k8s_unauthenticated',
  'gcp_iam',
  'gcp_unauthenticated',
  'db_auth',
  'network_denied',
  'throttled',
  'not_a_denial',
  'unknown_denial',
] as const

export type Category = (typeof categories)[number]

/** What a message can name. */
export type Field = 'principal' | 'action' | 'resource' | 'role'

/** A command to type next. Safe to paste: nothing of the message is in it that a shell could read as more than a word. */
export interface NextCommand {
  command: string
  why: string
}

/** Why access failed, in one technology's words. Fields are null when the text has none: never invented. `prod explain --json` prints it. */
export interface Explanation {
  category: Category
  /** who was refused, as the text writes it */
  principal: string | null
  /** IAM action, Google permission, `verb resource[/subresource]` of Kubernetes; failing that the operation of an API */
  action: string | null
  /** what it was refused on, as the text writes it, without quotes */
  resource: string | null
  /** the role that the caller tried to get */
  role: string | null
  /** the text carries an encoded authorization message */
  encoded: boolean
  /** 0-1: 0.9 and more is a statement that says so, under 0.6 a guess from a bare code */
  confidence: number
  summary: string
  next: NextCommand[]
  /** the words it rests on; null where nothing was recognised */
  evidence: string | null
}

/**
 * One form that a tool prints. `match` is a pattern (explain/pattern.ts): words to find, letter case and line folds aside, with `{field}`
 * where a field stands, `{name}` for any other word, `{a|b}` for either.
 */
export interface Rule {
  readonly category: Category
  readonly match: string | readonly string[]
  /** 0-1; of all rules that match, the highest explains the text, and of equals the one that stands first in it */
  readonly confidence: number
  /** fields put together from what the pattern captured: `{action: '{verb} {kind}'}` */
  readonly fields?: Readonly<Partial<Record<Field, string>>>
  /** the text must hold one of these as well, in small letters */
  readonly near?: readonly string[]
  /** … and none of these */
  readonly unless?: readonly string[]
  /** the words count only where they are no part of a name: `denied`, not `access-denied.html` */
  readonly alone?: boolean
  /** what happened, where it is known better than the category says; with `{who}`, `{what}` and `{on}` */
  readonly says?: string
}

/** Where a field stands in this technology's messages, whatever the reason is. Earlier ones are surer. */
export interface Reading {
  readonly match: string
  readonly fields?: Readonly<Partial<Record<Field, string>>>
  /** only for these categories */
  readonly of?: readonly Category[]
  readonly near?: readonly string[]
}

/** A technology's messages. Data alone: pure, light, and read in linear time by the one engine. */
export interface Explainer {
  readonly id: string
  readonly rules: readonly Rule[]
  readonly readings?: readonly Reading[]
}
