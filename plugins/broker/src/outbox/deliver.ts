/** Notices leave from the store (TM-B6): written with the change they tell of, sent until accepted, dead after 24 hours, loudly. */
import {ProdError} from '@prod/sdk/errors'
import type {Parts} from '../parts.ts'
import type {OutboxRow, Store} from '../stores/store.ts'

const giveUpHours = 24
const sendSeconds = 15
/** longer than a send may take: a row whose broker died is taken again after it */
const leaseSeconds = 60
const mostAtOnce = 64

type DeliveryParts = Pick<Parts, 'store' | 'channels' | 'alarm'>

/** What is being sent now. A receiver that hangs holds up neither other notices nor whatever else a broker does by itself. */
const underWay = new WeakMap<Store, Set<Promise<void>>>()

/** Milliseconds until the next try: 1 s, doubling, at most 5 minutes. Pure. */
export function backOff(tries: number): number {
  return Math.min(300_000, 1000 * 2 ** Math.min(tries, 12))
}

/** Begins to send what is due and gives how many rows it took, without waiting for receivers. Of several brokers each row goes to one. */
export async function deliverDue(parts: DeliveryParts, signal: AbortSignal): Promise<number> {
  const sending = sendingOf(parts)
  const free = mostAtOnce - sending.size
  if (free <= 0) return 0
  const rows = await parts.store.takeNotices(free, leaseSeconds)
  for (const row of rows) {
    const one = deliver(parts, row, signal)
      .catch(error => {
        // the store is away: the row stays ours until its lease is over, then it is sent again under the same id
        if (!signal.aborted)
          parts.alarm('what became of a notice could not be written', {
            channel: row.channel,
            notice: row.notice.id,
            code: error instanceof ProdError ? error.code : 'INTERNAL',
          })
      })
      .finally(() => sending.delete(one))
    sending.add(one)
  }
  return rows.length
}

/** Resolves when nothing that {@link deliverDue} began is under way any more. */
export async function delivered(parts: DeliveryParts): Promise<void> {
  const sending = sendingOf(parts)
  while (sending.size > 0) await Promise.all(sending)
}

function sendingOf({store}: DeliveryParts): Set<Promise<void>> {
  const known = underWay.get(store) ?? new Set()
  underWay.set(store, known)
  return known
}

async function deliver(parts: DeliveryParts, row: OutboxRow, signal: AbortSignal): Promise<void> {
  const {store} = parts
  try {
    const channel = parts.channels.get(row.channel)
    if (!channel) throw new ProdError('CONFIG_INVALID', `no channel of this broker is named ${row.channel}`)
    await channel.send(row.notice, AbortSignal.any([signal, AbortSignal.timeout(sendSeconds * 1000)]))
  } catch (error) {
    const now = store.now()
    const why = error instanceof Error ? error.message.slice(0, 200) : 'failed'
    if (signal.aborted) return store.settleNotice(row.id, {retryAt: now.toISOString(), why: 'the broker stopped'})
    if (now.getTime() - Date.parse(row.createdAt) < giveUpHours * 3_600_000) {
      return store.settleNotice(row.id, {retryAt: new Date(now.getTime() + backOff(row.tries)).toISOString(), why})
    }
    // told first, then given up: a broker that dies in between tells it twice, never not at all
    await store.commit({
      events: [
        {
          type: 'notice.dead',
          by: 'broker',
          subject: row.notice.id,
          data: {channel: row.channel, type: row.notice.type, about: row.notice.subject, tries: row.tries},
        },
      ],
    })
    parts.alarm('a notice could not be delivered for 24 hours', {channel: row.channel, notice: row.notice.id, about: row.notice.subject})
    return store.settleNotice(row.id, {dead: why})
  }
  await store.settleNotice(row.id, {delivered: store.now().toISOString()})
}
