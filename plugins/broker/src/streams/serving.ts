import type {Caller, Parts} from '../parts.ts'
import type {RequestRecord} from '../requests/state.ts'
import type {Stored} from '../stores/store.ts'
import type {Link} from './link.ts'
import type {LiveSet} from './live-set.ts'

/** What serving a stream needs: the link, who is calling (as fresh as their last proof), how to ask for a fresh proof. */
export interface Serving {
  parts: Parts
  set: LiveSet
  link: Link
  caller(): Caller
  /** Asks the client for a proof with a nonce of ours: due for `change` and above (TM-Q3). */
  challenge(): Promise<void>
  /** The stream is one of many that are counted where they belong, as connections of a forward are. */
  countedElsewhere(): void
  /** Opens the shell of an approved request. */
  openShell(stored: Stored<RequestRecord>): Promise<void>
  /** Opens the forward of an approved request. */
  openForward(stored: Stored<RequestRecord>): Promise<void>
  /** Answers the grant of an approved request. */
  openRole(stored: Stored<RequestRecord>): Promise<void>
  /** Takes up a live session, or a connection of a forward, again. */
  attachSession(id: string, have: {stdout: number; stderr: number}): Promise<void>
}
