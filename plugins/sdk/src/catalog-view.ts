import type {ToolClass} from './domain.ts'
import type {ForwardRule} from './forward.ts'
import type {Grammar} from './grammar/grammar.ts'
import type {Reach} from './least-role.ts'

/** What the caller may do with a thing: at once, after asking, or not at all. */
export type Usable = 'now' | 'request' | 'no'

/** The catalog as one caller sees it: for pickers, completion, `prod tools show`. Cached by the CLI. */
export interface CatalogView {
  bundle: string
  tools: {
    name: string
    summary: string
    service: string | null
    targets: string[]
    /** the typed grammar, so that completion and checks before sending need no call */
    grammar: Grammar
    commands: {path: string[]; class: ToolClass; usable: Usable}[]
  }[]
  targets: {
    name: string
    address: string
    environment: string
    summary: string
    /** it stands for many, of which one is used at a time */
    many?: true
    shell: Usable | 'breakGlass'
    /** whether its ports may be forwarded, and where to; absent from an older broker */
    forward?: Usable
    forwards?: ForwardRule[]
  }[]
  roles: {
    name: string
    summary: string
    provider: string
    class: ToolClass
    maxSeconds: number
    usable: Usable
    active: string | null
    /** patterns of the actions it allows, alone or `ACTION on ARN`; absent from an older broker, empty where the catalog says nothing */
    allows?: string[]
    /** the account, the resources and the regions that it keeps to; absent from an older broker */
    reach?: Reach
  }[]
}

/** Targets that were looked for among those that others of the catalog stand for. */
export interface FoundTargets {
  targets: {
    /** as `prod shell` and its like take it: `NAME/ID` */
    name: string
    /** there are several in it, which are found within this name: what they are, and which is taken where none is chosen */
    inside?: {what: string; otherwise: string}
    /** what it is called where it is */
    called: string
    address: string
    environment: string
    labels: Record<string, string>
  }[]
  /** where it could not be looked, and why */
  faults: {target: string; message: string}[]
  /** whether there are more than these */
  more: boolean
}
