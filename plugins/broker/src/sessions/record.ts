import type {Review, Session} from '@prod/sdk'
import type {Parts} from '../parts.ts'
import type {ErasedMark} from '../runs/record.ts'
import type {Put} from '../stores/store.ts'

/** A session as the store keeps it. */
export interface SessionRecord extends Session {
  instance: string
  correlation: string
  /** of a shell */
  columns?: number
  rows?: number
  /** what it put out, once it is over; sessions of older brokers do not say */
  stdoutBytes?: number
  /** its recording has been deleted: its time was over (`true`), or two people erased it */
  erased?: true | ErasedMark
}

/** A session as the store writes it. Due: when an open one must end, since when a closed one's recording waits for the end of its time. */
export function putSession(session: SessionRecord, version: number): Put {
  const dueAt = session.state !== 'closed' ? session.expiresAt : session.erased ? undefined : (session.closedAt ?? session.expiresAt)
  return {
    kind: 'session',
    id: session.id,
    version,
    value: session,
    index: {state: session.state, owner: `${session.principal.iss}#${session.principal.sub}`, ...(dueAt === undefined ? {} : {dueAt})},
  }
}

/** A review as the store writes it. */
export function putReview(review: Review, version: number): Put {
  return {
    kind: 'review',
    id: review.id,
    version,
    value: review,
    index: {
      state: review.state,
      owner: `${review.principal.iss}#${review.principal.sub}`,
      ...(review.state === 'open' ? {dueAt: review.dueAt} : {}),
    },
  }
}

/** What people see of a session. */
export function showSession({
  instance: _,
  correlation: __,
  columns: ___,
  rows: ____,
  erased: _____,
  stdoutBytes: ______,
  ...session
}: SessionRecord): Session {
  return {kind: 'shell', ...session}
}

const pageEntries = 1000

/** SHA-256 of each sealed chunk of a recording, in order, as the log has them: of a session, or of a break-glass run. */
export async function listChunks({store}: Pick<Parts, 'store'>, id: string): Promise<string[]> {
  const type = id.startsWith('run_') ? 'run.recorded' : 'session.recorded'
  const hashes: string[] = []
  for (let from = 0; ; ) {
    const page = await store.entries({from, limit: pageEntries, type, subject: id})
    for (const {envelope} of page) hashes.push((JSON.parse(envelope) as {data: {sha256: string}}).data.sha256)
    const last = page.at(-1)
    if (!last || page.length < pageEntries) return hashes
    from = last.index + 1
  }
}
