/** The three forms of a port session, as their session sees them, §13. */
import type {Channel, Exit} from '@prod/sdk'
import type {View} from './view.ts'

/** What one form does with a session's bytes. */
export interface Form {
  take: View['take']
  output(bytes: Buffer): void
  connect(): Promise<Channel>
  /** the agent could not reach the port */
  refused(): void
  over(exit: Exit): void
  keepAlive?(): void
}

/** What a form may ask of its session. */
export interface Way {
  wake(): void
  hold(on: boolean): void
  /** resolves when the agent has it */
  sendFlag(number: number): Promise<void>
  end(why: string): Promise<Exit>
  /** so long, what is under way of a connection that was ended may still come */
  readonly settleMs: number
}
