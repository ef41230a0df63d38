/** Hands in what happened without the broker: page by page, from where the broker is; forgotten here only against its receipt. */
import {api, type HandedIn} from '@prod/sdk/api'
import {findPin} from '@prod/sdk/cli/broker-pins'
import type {BrokerClient} from '@prod/sdk/client'
import {ProdError} from '@prod/sdk/errors'
import type {KitClaims} from '@prod/sdk/kit'
import {hashEntry, type SpoolEntry} from '@prod/sdk/spool'
import {verifyJws} from '../channel/jws.ts'
import {type LeftSpool, readSpool, removeSpool, whileLeft} from './spool.ts'
import {listSpools} from './spool-folder.ts'

type Calls = Pick<BrokerClient, 'broker' | 'call'>

/** a call may be 1 MiB */
const pageBytes = 600_000
const pageEntries = 1500

/** What waits for this broker: nothing that another one signed the kit of. */
export function spoolsFor(broker: string): string[] {
  return listSpools().filter(id => payloadOf<KitClaims>(readSpool(id).kit)?.broker === broker)
}

/** Hands in all that waits and is not being written. Throws what the broker said of the first that it refused, after the others. */
export async function handInAll(client: Calls): Promise<HandedIn[]> {
  const done: HandedIn[] = []
  let refused: unknown
  for (const id of spoolsFor(client.broker.url)) {
    try {
      const handed = await whileLeft(id, spool => handIn(client, spool))
      if (handed) done.push(handed)
    } catch (error) {
      refused ??= error
    }
  }
  if (refused !== undefined) throw refused
  return done
}

async function handIn(client: Calls, spool: LeftSpool): Promise<HandedIn> {
  const {id: session, kit, entries} = spool
  for (let from = 0; ; ) {
    const page = await pageOf(spool, from)
    const last = from + page.entries.length === entries.length
    const answer = await client.call(api.handIn, {kit, session, from, ...page, last})
    if (answer.receipt !== null) {
      checkReceipt(client, spool, answer.receipt)
      await removeSpool(session)
      return answer
    }
    if (answer.next === from || answer.next > entries.length)
      throw new ProdError('SIGNATURE_INVALID', `the broker has more of ${session} than this machine`, 'tell security')
    from = answer.next
  }
}

/** As many entries as one call takes, with what they seal. A chunk that is missing is sent as empty: the broker is to know. */
async function pageOf(spool: LeftSpool, from: number): Promise<{entries: string[]; chunks: string[]}> {
  const entries: string[] = []
  const chunks: string[] = []
  let bytes = 0
  for (const line of spool.entries.slice(from, from + pageEntries)) {
    const event = payloadOf<SpoolEntry>(line)?.event
    const chunk = event?.type === 'recorded' ? (await spool.chunk(event.chunk).catch(() => Buffer.of())).toString('base64') : undefined
    bytes += line.length + (chunk?.length ?? 0)
    if (entries.length > 0 && bytes > pageBytes) break
    entries.push(line)
    if (chunk !== undefined) chunks.push(chunk)
  }
  return {entries, chunks}
}

function checkReceipt({broker}: Calls, {id, entries}: LeftSpool, receipt: string): void {
  const pin = findPin(broker)
  const said =
    pin && (JSON.parse(verifyJws(pin.receiptKey, receipt, 'prod-handed-in+jws')) as {session: string; next: number; head: string | null})
  if (said?.session !== id || said.next !== entries.length || said.head !== hashEntry(entries.at(-1) ?? ''))
    throw new ProdError(
      'SIGNATURE_INVALID',
      `the broker’s receipt of ${id} is for something else; nothing is forgotten here`,
      'tell security',
    )
}

/** What a JWS says, unchecked: for finding one's way alone. */
function payloadOf<T>(jws: string): T | undefined {
  try {
    return JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString()) as T
  } catch {
    return undefined
  }
}
