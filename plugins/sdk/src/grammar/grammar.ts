/**
 * The typed grammar of a tool, as data: what the catalog's YAML says (section "Tool" of docs/policy.md), JSON all through.
 * What is not named is refused. Nothing is joined or split; parse then print is identity.
 */
import type {ToolClass} from '../domain.ts'

/** Beginnings that a free value has only where its type says so (TM-H3, TM-H4). `scheme` is `word://`, `word::` or `C:\`. */
export type Leading = '-' | '+' | '@' | '|' | '!' | 'scheme'

/** A value type with bounds. Which fields a type takes is in values.ts, one entry per type. */
export interface ValueSpec {
  type: string
  /** enum: what is allowed */
  values?: string[]
  /** literal: the one text allowed */
  value?: string
  /** integer: the bounds; duration, size: bounds in seconds, in bytes; list, ports, address: how many at most */
  min?: number
  max?: number
  /** anchored by us, linear time, matched against one whole argument */
  pattern?: string
  /** path: directories below which it must lie after resolution without symlinks; url: paths below which it must lie */
  below?: string[]
  /** path: a directory may be written with one slash at its end */
  slash?: boolean
  /** url, host-name: exact names, `*.internal.example` for all names below one, `web-{1..99}.prod.example` for numbered ones */
  hosts?: string[]
  /** url: default `https` alone */
  schemes?: string[]
  /** address: blocks in which all that is named must lie, `10.0.0.0/8` */
  within?: string[]
  /** address: octets may be lists and ranges, `10.0.0.1-20`, as nmap reads them */
  ranges?: boolean
  /** time: the forms that the tool reads, see kinds/time.ts; default all but `duration` and `epoch` */
  forms?: string[]
  /** command: the tools whose commands may stand there */
  tools?: string[]
  /** sql: the dialect, the kinds of statements, and functions that are allowed beside the known harmless ones */
  dialect?: string
  statements?: string[]
  functions?: string[]
  maxLength?: number
  /** string, text, glob: beginnings that are allowed although tools give them a meaning */
  leading?: Leading[]
  /** text, sql, mongosh: may hold newlines */
  lines?: boolean
  /** list: the type of each item; joined, any: the types of the pieces, of the choices */
  of?: ValueType | ValueType[]
  /** list (default `,`), joined */
  separator?: string
  /** what it is, in place of our own words: `a language such as de_DE.UTF-8` */
  summary?: string
  /** the value is a secret: kept from policy and replaced before anything is shown or stored */
  secret?: boolean
}

/** A value type: a named one (`unit-name`, `integer`, `duration`), or one with bounds. */
export type ValueType = string | ValueSpec

/** How an option's value follows it: `-n 5`; `--lines=5`; `-n5`; `-n=5`. */
export type Attach = 'separate' | 'equals' | 'attached' | 'short-equals'

export interface OptionGrammar {
  /** `flag` takes no value; else the value's type */
  value: 'flag' | ValueType
  /** other spellings of the same option: `-n`; `-NUM` stands for a number with a dash, `-5` */
  aliases?: string[]
  /** each applies to the spellings it fits, `equals` to long and `attached` to short ones; default `separate` and `equals` */
  attach?: Attach[]
  /** the value may be left out, `--color[=WHEN]`: then it is never a word of its own */
  optional?: boolean
  /** up to so many values, one word each, up to the next option: `--ids a b c` */
  many?: number
  /** a flag that may be turned off: `--pager` and `--no-pager` */
  negatable?: boolean
  /** a flag that may be followed by its value: `--all=true`, `--all=false` */
  truth?: boolean
  /** may be given more than once, or so many times at most: default false */
  repeat?: boolean | number
  required?: boolean
  /** names of options that must not come together with this one */
  excludes?: string[]
  /** names of options without which this one makes no sense */
  requires?: string[]
  /** its name as an attribute in policy, where the usual one is taken */
  attribute?: string
  summary?: string
}

export interface OperandGrammar {
  name: string
  type: ValueType
  /** default 1 */
  min?: number
  /** default 1, or `min` */
  max?: number
  /** it stands after `--`, and the operands without this mark before it: `git diff REV -- PATH` */
  afterDashes?: boolean
  /** once it is given, no option follows: `ssh [OPTION…] HOST [OPTION…] COMMAND`; with `optionsStand: anywhere` */
  optionsEnd?: boolean
  /** this operand names what a run locks: one run at a time per value */
  lock?: boolean
  /** its name as an attribute in policy, where the usual one is taken */
  attribute?: string
  summary?: string
}

/** How often something may start within `per` (`10m`; 1h where it is silent). What has started counts, whatever became of it. */
export interface RunLimit {
  per?: string
  /** on one target, and for one lock value there */
  perTarget?: number
  perPerson?: number
  /** in the environment of the target */
  perEnvironment?: number
  /** on what belongs to the service of the tool or of the target */
  perService?: number
  /** by everybody, everywhere */
  total?: number
}

/** How a command runs on many targets. */
export interface RolloutGrammar {
  /** at most so many targets */
  maxTargets?: number
  /** at most this share of the targets that the tool runs on, one at least */
  maxPercent?: number
  /** so many at a time: 1 where it is silent, 10 for `read` */
  batch?: number
  /** between two batches: none where it is silent */
  pause?: string
  /** begin no more after one that did not end with 0: true where it is silent, false for `read` */
  stopOnError?: boolean
}

export interface CommandGrammar {
  /** subcommand words after the tool; [] for a tool without */
  path: string[]
  /** tells apart several forms of one path (`grep PATTERN FILE`, `grep -e PATTERN FILE`); they are tried in order */
  name?: string
  summary?: string
  class: ToolClass
  /**
   * keyed by the option as typed: `--no-pager`, `-n`, `-name`, `+short`, `(`, a bare word such as `dev`, or `-NUM` for `-5`.
   * A bare value is short for `{value}`.
   */
  options?: Record<string, 'flag' | ValueType | OptionGrammar>
  operands?: OperandGrammar[]
  /** of each list at least one option must be given */
  requireOne?: string[][]
  /** two options of type `time` that may lie at most `max` (`24h`) apart; `to` left out is now. Judged without a clock */
  spans?: {from: string; to?: string; max: string}[]
  /** `refused` (default), `allowed` once before operands (between them where options stand anywhere), `required` before operands */
  dashes?: 'refused' | 'allowed' | 'required'
  /** where options may stand: `before` the operands (default), `after` them, or `anywhere` */
  optionsStand?: 'before' | 'anywhere' | 'after'
  /** short flags may be bundled, `-ab`: default false */
  bundles?: boolean
  stdin?: boolean | {maxBytes: number}
  /** arguments that the broker adds itself, right after the path */
  adds?: string[]
  approvals?: number
  /** how often it may start; `outputBytesPerDay`: what one person may take from the tool in a day, all its commands together */
  limit?: RunLimit & {outputBytesPerDay?: number}
  /** how it may run on many targets at once; where this is silent a command of class `read` alone may */
  rollout?: RolloutGrammar
  examples?: string[]
}

/** A whole tool's grammar. */
export interface Grammar {
  tool: string
  /** options of every command; they may also stand between the tool and its subcommand */
  options?: Record<string, 'flag' | ValueType | OptionGrammar>
  /** arguments that the broker adds itself, right after the tool's name */
  adds?: string[]
  /** short flags of the tool itself may be bundled where they stand before the subcommand: default false */
  bundles?: boolean
  commands: CommandGrammar[]
}

/** The grammar of a tool, by its name: for commands that stand behind another (`timeout 5 df -h`). */
export type FindGrammar = (tool: string) => Grammar | undefined

/** What argv says, once parsed. `print` gives the same argv again. */
export interface Structure {
  tool: string
  /** index into `Grammar.commands` */
  command: number
  path: string[]
  class: ToolClass
  /** in the order given, each with its spelling, so that print is exact */
  parts: Part[]
  /** option name (canonical) or operand name → values in the order given; a flag's value is the empty text */
  arguments: Record<string, string[]>
  /** values of operands marked `lock`, those of the inner command too */
  locks: string[]
  /** the command that this one runs: what its operand of type `command` says, read by that tool's own grammar */
  inner?: Structure
}

export type Part =
  | {kind: 'path'; text: string}
  | {
      kind: 'option'
      name: string
      spelling: string
      value: string | null
      attach: Attach | 'none'
      /** it goes on with the word of the part before it: the `b` of `-ab` */
      bundled?: true
    }
  /** a further value of the option before it (`many`) */
  | {kind: 'value'; name: string; value: string}
  | {kind: 'dashes'}
  | {kind: 'operand'; name: string; value: string}
  /** the words of `Structure.inner` stand here */
  | {kind: 'command'; name: string}

/** Why argv is refused: `position` is the index in argv of the first bad argument (argv.length when something is missing). */
export interface Refusal {
  position: number
  message: string
  /** what would be allowed there, for people */
  allowed: string[]
}
