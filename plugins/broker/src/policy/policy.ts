/** Who may: the port of the policy engine, and the one question everybody asks (TM-K1). */
import type {PolicyAction, Principal, ToolClass, UseAction} from '@prod/sdk'
import type {Usable} from '@prod/sdk/catalog-view'
import type {Structure} from '@prod/sdk/grammar/grammar'
import type {RuleView} from '@prod/sdk/ruling'
import type {Catalog, RoleEntry, TargetEntry, ToolEntry} from '../catalog/catalog.ts'

/** What is acted upon. A command comes with its parsed structure, so that policy sees what runs. */
export type Resource =
  | {kind: 'command'; tool: ToolEntry; structure: Structure; target: TargetEntry}
  | {kind: 'target'; target: TargetEntry}
  | {kind: 'role'; role: RoleEntry}
  | {kind: 'log'}
  /** all of production: what a freeze is about */
  | {kind: 'fleet'}

export interface Question {
  principal: Pick<Principal, 'iss' | 'sub' | 'person' | 'name'>
  /** canonical group names: the provider's, and those of active grants */
  groups: string[]
  action: PolicyAction
  resource: Resource
  context: {
    /** for request, approve, breakGlass: which use it is about */
    use?: 'run' | 'shell' | 'forward' | 'assume' | 'role'
    class?: ToolClass
    address?: string
    incident?: boolean
    reused?: boolean
  }
}

/**
 * `allow`; `forbidden`: a forbid matched or evaluation had an error (no request possible); `default`: nothing permits.
 * `rules`: ids of what decided (file and policy id). `errors`: evaluation errors, each an alarm (TM-L3).
 */
export interface Answer {
  decision: 'allow' | 'forbidden' | 'default'
  rules: string[]
  errors: string[]
}

/** One loaded bundle: catalog and policy together, swapped whole. */
export interface Bundle {
  /** sha256 over all files of catalog and policy, names and bytes */
  readonly digest: string
  readonly catalog: Catalog
  readonly loadedAt: string
  /** null: read from plain folders */
  readonly signed: {version: number; madeAt: string; by: string[]} | null
  readonly warnings: string[]
  ask(question: Question): Answer
  /** Group names that some permit on `approve` names for this resource: shown when no known person may. */
  approverGroups(resource: Resource): string[]
  /** Of a use that is denied: the rules that decided (`decided`) or lacked least to permit it, and which part of them did. For explanations alone. */
  why(asked: Omit<Question, 'action'>, use: UseAction, decided: readonly string[]): RuleView[]
  /** What the caller could do with some arguments of a command on some of its targets: for lists; a run asks again. */
  couldUse(asked: Omit<Question, 'action' | 'resource'> & {tool: ToolEntry; command: number}): Usable
  /** Whether a person may know that it is there (TM-K3): some permit could let them do something with it, in some circumstances, or they read the log. */
  sees(asked: Pick<Question, 'principal' | 'groups'> & Thing): boolean
}

/** One thing of the catalog. */
export type Thing =
  | {tool: ToolEntry; target?: never; role?: never}
  | {target: TargetEntry; tool?: never; role?: never}
  | {role: RoleEntry; tool?: never; target?: never}

/** What a use needs, put together from `use` and `request` (DESIGN section 7): the one decision function. */
export type UseDecision =
  | {decision: 'allow'; rules: string[]}
  | {decision: 'request'; approvals: number; rules: string[]}
  | {decision: 'deny'; rules: string[]; errors: string[]; why: 'forbidden' | 'default'}
