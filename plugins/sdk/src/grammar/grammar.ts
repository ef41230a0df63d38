/**
 * The typed grammar of a tool, as data: what the catalog's YAML says (section "Tool" of docs/policy.md), JSON all through.
 * What is not named is refused. Nothing is joined or split; parse then print is identity.
 */
import type {ToolClass} from '../domain.ts'

/** A value type: a named one (`unit-name`, `integer`, `duration`), or one with bounds. */
export type ValueType =
  | string
  | {
      type: string
      /** enumeration */
      values?: string[]
      /** integer */
      min?: number
      max?: number
      /** anchored by us, linear time, matched against one whole argument */
      pattern?: string
      /** path: directories below which it must lie after resolution without symlinks */
      below?: string[]
      /** url, host */
      hosts?: string[]
      maxLength?: number
      /** the value is a secret: refused in argv, or replaced before anything is stored */
      secret?: boolean
    }

export interface OptionGrammar {
  /** `flag` takes no value; else the value's type */
  value: 'flag' | ValueType
  /** other spellings of the same option: `-n` */
  aliases?: string[]
  /** how the value may be attached: default `['separate', 'equals']` for long, `['separate']` for short options */
  attach?: ('separate' | 'equals' | 'attached')[]
  /** may be given more than once: default false */
  repeat?: boolean
  required?: boolean
  /** names of options that must not come together with this one */
  excludes?: string[]
  summary?: string
}

export interface OperandGrammar {
  name: string
  type: ValueType
  /** default 1 */
  min?: number
  /** default 1 */
  max?: number
  /** this operand names what a run locks: one run at a time per value */
  lock?: boolean
  summary?: string
}

export interface CommandGrammar {
  /** subcommand words after the tool; [] for a tool without */
  path: string[]
  summary?: string
  class: ToolClass
  /** keyed by the option as typed: `--no-pager`, `-n`. A bare value is short for `{value}`. */
  options?: Record<string, 'flag' | ValueType | OptionGrammar>
  operands?: OperandGrammar[]
  /** `refused` (default), `allowed` anywhere once before operands, `required` before operands */
  dashes?: 'refused' | 'allowed' | 'required'
  /** where options may stand: default `before` the operands; `anywhere` */
  optionsStand?: 'before' | 'anywhere'
  /** short flags may be bundled, `-ab`: default false */
  bundles?: boolean
  stdin?: boolean | {maxBytes: number}
  /** arguments that the broker adds itself, right after the path */
  adds?: string[]
  approvals?: number
  /** at most `perTarget` runs on one target (and one lock value) within `per` (`10m`) */
  limit?: {perTarget?: number; perPerson?: number; per: string}
  examples?: string[]
}

/** A whole tool's grammar. */
export interface Grammar {
  tool: string
  /** options that may stand between the tool and its subcommand */
  options?: Record<string, 'flag' | ValueType | OptionGrammar>
  commands: CommandGrammar[]
}

/** What argv says, once parsed. `print` gives the same argv again. */
export interface Structure {
  tool: string
  /** index into `Grammar.commands` */
  command: number
  path: string[]
  class: ToolClass
  /** in the order given, each with its spelling, so that print is exact */
  parts: Part[]
  /** option name (canonical) or operand name → values: what policy sees */
  arguments: Record<string, string[]>
  /** values of operands marked `lock` */
  locks: string[]
}

export type Part =
  | {kind: 'path'; text: string}
  | {kind: 'option'; name: string; spelling: string; value: string | null; attach: 'separate' | 'equals' | 'attached' | 'none' | 'bundled'}
  | {kind: 'dashes'}
  | {kind: 'operand'; name: string; value: string}

/** Why argv is refused: `position` is the index in argv of the first bad argument (argv.length when something is missing). */
export interface Refusal {
  position: number
  message: string
  /** what would be allowed there, for people */
  allowed: string[]
}
