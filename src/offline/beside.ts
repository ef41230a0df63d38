/** Hands in beside what a command does, where there is anything: nothing waits for it, and it says nothing. Light: every run loads it. */
import type {Broker, Session} from '@prod/sdk/session'
import {listSpools} from './spool-folder.ts'

/** Begins to, in the background. What does not get through goes along with a later command. */
export function handInBeside(broker: Broker, session: () => Promise<Session>): void {
  void (async () => {
    if (listSpools().length === 0) return
    const [{handInAll}, {createClient}] = await Promise.all([import('./hand-in.ts'), import('@prod/sdk/client')])
    await handInAll(createClient({broker, session}))
  })().catch(() => {})
}
