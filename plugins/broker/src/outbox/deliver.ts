/** Notices leave from the store (TM-B6): written with the change they tell of, sent until accepted, dead after 24 hours, loudly. */
import type {Parts} from '../parts.ts'
import type {OutboxRow} from '../stores/store.ts'

const giveUpHours = 24
const sendSeconds = 15
const leaseSeconds = 60
const batch = 32

/** Milliseconds until the next try: 1 s, doubling, at most 5 minutes. Pure. */
export function backOff(tries: number): number {
  return Math.min(300_000, 1000 * 2 ** Math.min(tries, 12))
}

/** One pass over what is due; gives how many rows it took. Of several brokers each row goes to one. */
export async function deliverDue(parts: Parts, signal: AbortSignal): Promise<number> {
  const rows = await parts.store.takeNotices(batch, leaseSeconds)
  await Promise.all(rows.map(row => deliver(parts, row, signal)))
  return rows.length
}

async function deliver(parts: Parts, row: OutboxRow, signal: AbortSignal): Promise<void> {
  const channel = parts.channels.get(row.channel)
  if (!channel) {
    await parts.store.settleNotice(row.id, {dead: 'no such channel'})
    return
  }
  try {
    await channel.send(row.notice, AbortSignal.any([signal, AbortSignal.timeout(sendSeconds * 1000)]))
    await parts.store.settleNotice(row.id, {delivered: parts.store.now().toISOString()})
  } catch (error) {
    const why = error instanceof Error ? error.message.slice(0, 200) : 'failed'
    const now = parts.store.now().getTime()
    if (now - Date.parse(row.createdAt) < giveUpHours * 3_600_000) {
      await parts.store.settleNotice(row.id, {retryAt: new Date(now + backOff(row.tries)).toISOString(), why})
      return
    }
    await parts.store.settleNotice(row.id, {dead: why})
    await parts.store.commit({events: [{type: 'notice.dead', by: 'broker', subject: row.notice.id, data: {channel: row.channel, type: row.notice.type, tries: row.tries}}]})
    parts.alarm('a notice could not be delivered for 24 hours', {channel: row.channel, notice: row.notice.id})
  }
}
