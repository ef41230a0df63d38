/** What exists, from `catalog/{services,targets,roles,tools}/*.yaml`: schema-checked, cross-checked, frozen. */
import type {Limits, ToolClass} from '@prod/sdk'
import type {Grammar, RunLimit} from '@prod/sdk/grammar/grammar'

export interface ServiceEntry {
  name: string
  owner: string
  contacts: string[]
  channel: string | null
  tier: number
  /** what its owners narrow for all that belongs to it; merged into roles, tools and approvals at load (TM-L2) */
  limits: {maxSeconds: number | null; approvals: number | null; runs: RunLimit | null}
}

export interface TargetEntry {
  name: string
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
  /** IAM action patterns */
  allows: string[]
}

export interface ToolEntry {
  name: string
  summary: string
  service: string | null
  program: {path: string; sha256: string | null}
  version: string | null
  /** names of targets */
  targets: string[]
  primitive: string
  runAs: string | null
  env: Record<string, string>
  limits: Limits
  retention: 'none' | 'redacted' | 'full'
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
}
