/** What exists, from `catalog/{services,targets,roles,tools}/*.yaml`: schema-checked, cross-checked, frozen. */
import type {Limits, Needs, ToolClass} from '@prod/sdk'
import type {ForwardRule} from '@prod/sdk/forward'
import type {Grammar, RunLimit} from '@prod/sdk/grammar/grammar'
import type {Reach} from '@prod/sdk/least-role'

export interface ServiceEntry {
  name: string
  owner: string
  contacts: string[]
  channel: string | null
  tier: number
  /** what is theirs beside targets, tools and roles: whole accounts, and what of other names, with `*` and `?` */
  owns: {accounts: string[]; resources: string[]}
  /** what its owners narrow for all that belongs to it; merged into roles, tools and approvals at load (TM-L2) */
  limits: {maxSeconds: number | null; approvals: number | null; runs: RunLimit | null}
}

export interface TargetEntry {
  name: string
  /** of one that a target with a `*` in its address stands for: that target's name */
  of?: string
  /** `primitive:where` */
  address: string
  environment: string
  service: string | null
  summary: string
  labels: Record<string, string>
  /** what is read there needs more than one approval (TM-J3) */
  data: 'personal' | null
  /** OS account for shells; null: where `--dev` allows, the broker's own */
  shellAs: string | null
  /** where forwards may lead from it; none: nowhere */
  forwards: ForwardRule[]
  /** by whose credential it is reached; null: by none */
  role: string | null
  /** how people reach it by break-glass when the broker is gone; null: not at all */
  offline: {role: string} | null
}

export interface RoleEntry {
  name: string
  summary: string
  provider: string
  parameters: Record<string, unknown>
  class: ToolClass
  service: string | null
  maxSeconds: number
  approvals: number
  /** IAM action patterns, each alone or `ACTION on ARN` */
  allows: string[]
  /** how far its provider says that it reaches */
  reach: Reach
}

/** What a tool's definition has taken out of its output (`redact`). */
export interface RedactRules {
  /** of the grammar's pattern language; what matches anywhere in a line */
  patterns: string[]
  /** names of JSON fields at any depth, whatever their case: their values go */
  fields: string[]
  /** columns by the name in the first line, or by position from 1; no `separator`: runs of blanks */
  columns: {separator: string | null; names: string[]; positions: number[]} | null
}

export interface ToolEntry {
  name: string
  summary: string
  service: string | null
  /** `sha256`: the digests that are good; none: whatever is there when the bundle is loaded (TM-M4) */
  program: {path: string; sha256: readonly string[]}
  version: string | null
  /** names of targets */
  targets: string[]
  primitive: string
  runAs: string | null
  /** by whose credential its targets are reached; null: by each target's own */
  role: string | null
  env: Record<string, string>
  limits: Limits
  /** what it may reach of its machine; null: what its account may */
  needs: Needs | null
  /** the folder it starts in; null: an empty one of its own */
  workdir: string | null
  retention: 'none' | 'redacted' | 'full'
  /** days that stored output is kept at most; null: as the broker's configuration says */
  retentionDays: number | null
  /** what is taken out of its output besides secrets of known forms; null: nothing by rule */
  redact: RedactRules | null
  /** what it reads needs more than one approval (TM-J3) */
  data: 'personal' | null
  /** seconds a run is kept after its link was cut */
  detachSeconds: number
  grammar: Grammar
}

export interface Catalog {
  services: Map<string, ServiceEntry>
  targets: Map<string, TargetEntry>
  roles: Map<string, RoleEntry>
  tools: Map<string, ToolEntry>
  /** the machines that an address leads to, in words that all ways in to them share; undefined where its primitive knows none. Absent: none does */
  machinesOf?(address: string, program?: string): readonly string[] | undefined
}
