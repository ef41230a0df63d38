/**
 * A break-glass without the broker comes home (TM-O6): its spool is taken over page by page, checked entry by entry. What was altered is refused,
 * loudly; what the kit's own key has signed is kept, whatever else is wrong with it, and what is wrong is told. Safe to repeat.
 */
import {createHash, createPublicKey} from 'node:crypto'
import {mkdir, readFile, writeFile} from 'node:fs/promises'
import {join} from 'node:path'
import type {HandedIn} from '@prod/sdk/api'
import {ProdError} from '@prod/sdk/errors'
import {type KitClaims, kitType} from '@prod/sdk/kit'
import {chunkName} from '@prod/sdk/recorder'
import {hashEntry, openEntryAfter, type SpoolEntry} from '@prod/sdk/spool'
import {compactVerify} from 'jose'
import {about} from '../audit/refusals.ts'
import type {Caller, Parts} from '../parts.ts'
import {signAs} from '../runs/receipt.ts'
import {type HandInRecord, isDrill, takeEntries} from './handed-in.ts'

/** no hour of typing is larger, and no disk is filled by one */
const maxBytesOfOne = 2 * 1024 ** 3

/** One page of a spool. */
interface Page {
  kit: string
  session: string
  from: number
  entries: string[]
  chunks: string[]
  last: boolean
}

/** Takes over some entries. Throws SIGNATURE_INVALID where the kit, an entry or a chunk is not what was written; TOO_LARGE. */
export async function handIn(parts: Parts, caller: Caller, page: Page): Promise<HandedIn> {
  const {session, from, last} = page
  try {
    const kit = await openKit(parts, page.kit)
    const stored = await parts.store.find<HandInRecord>('handin', session)
    const before = stored?.value ?? fresh(session, kit.id)
    if (before.kit !== kit.id) throw altered(`${session} was handed in with another kit`)
    // said already, or out of turn: the sender goes on from what is wanted
    if (before.receipt !== null || before.next !== from) return answerOf(before)
    const {entries, head} = openPage(kit, before, page)
    await keepChunks(parts, before, entries, page.chunks)
    const change = await takeEntries(parts, caller, kit, before, entries, last)
    const record: HandInRecord = {...change.record, head}
    if (last) record.receipt = await signAs(parts.keys, 'prod-handed-in+jws', JSON.stringify({session, next: record.next, head}))
    const {ok} = await parts.store.commit({
      put: [{kind: 'handin', id: session, version: stored?.version ?? 0, value: record}, ...change.put],
      events: change.events,
      notices: change.notices,
    })
    if (!ok) return answerOf((await parts.store.find<HandInRecord>('handin', session))?.value ?? before)
    const faults = record.faults.slice(before.faults.length)
    if (faults.length > 0) parts.alarm('a break-glass without the broker is not as its kit allows', {session, faults})
    return answerOf(record)
  } catch (error) {
    if (!(error instanceof ProdError) || error.code !== 'SIGNATURE_INVALID') throw error
    parts.alarm('the spool of a break-glass without the broker was altered', {session, error: error.message})
    throw about(error, {type: 'break-glass.hand-in-refused', subject: session, data: {from, why: error.message}})
  }
}

const fresh = (session: string, kit: string): HandInRecord => ({
  session,
  kit,
  next: 0,
  head: null,
  began: null,
  last: null,
  chunks: 0,
  bytes: 0,
  review: null,
  faults: [],
  receipt: null,
})

const altered = (message: string, cause?: unknown) => new ProdError('SIGNATURE_INVALID', message, 'tell security', {cause})

const answerOf = ({session, next, review, faults, receipt}: HandInRecord): HandedIn => ({session, next, review, faults, receipt})

async function openKit({keys}: Parts, jws: string): Promise<KitClaims> {
  try {
    const key = createPublicKey(keys.receipt.privateKey)
    const {payload, protectedHeader} = await compactVerify(jws, key, {algorithms: ['EdDSA']})
    if (protectedHeader.typ !== kitType) throw new TypeError('not a kit')
    return JSON.parse(new TextDecoder().decode(payload)) as KitClaims
  } catch (cause) {
    throw altered('the kit is not one that this broker signed', cause)
  }
}

/** The entries of a page, each checked against the one before. Pure. */
function openPage(kit: KitClaims, before: HandInRecord, {session, entries: lines}: Page): {entries: SpoolEntry[]; head: string | null} {
  let {next, head, last} = before
  const entries: SpoolEntry[] = []
  for (const line of lines) {
    if (last?.event.type === 'closed') throw altered(`${session} goes on after its end`)
    const entry = openEntryAfter(kit.jwk, {session, next, head}, line)
    if (entry.event.type === 'began' && entry.event.kit !== kit.id) throw altered(`${session} began with another kit`)
    next += 1
    head = hashEntry(line)
    last = entry
    entries.push(entry)
  }
  return {entries, head}
}

/** What the entries seal, checked and put on the disk; of a drill it is checked alone. */
async function keepChunks(parts: Parts, before: HandInRecord, entries: SpoolEntry[], chunks: string[]): Promise<void> {
  const {session} = before
  const sealed = entries.flatMap(({event}) => (event.type === 'recorded' ? [event] : []))
  if (sealed.length !== chunks.length) throw altered(`${session} has ${sealed.length} chunks here, and ${chunks.length} came`)
  const files = chunks.map(text => Buffer.from(text, 'base64'))
  for (const [index, {chunk, sha256, bytes}] of sealed.entries()) {
    const file = files[index] as Buffer
    if (chunk !== before.chunks + index || bytes !== file.byteLength || sha256 !== createHash('sha256').update(file).digest('hex'))
      throw altered(`chunk ${chunk} of ${session} is not the one that was recorded`)
  }
  if (before.bytes + files.reduce((sum, {byteLength}) => sum + byteLength, 0) > maxBytesOfOne)
    throw new ProdError('TOO_LARGE', `${session} is larger than 2 GiB`, 'hand its folder to security as it is')
  // the id is the sender's own: never one that is a session already
  const known = await parts.store.find<{offline?: unknown}>('session', session)
  if (known && known.value.offline === undefined) throw altered(`${session} is another session of this broker`)
  const began = before.began ?? entries[0]
  if (sealed.length === 0 || !began || isDrill(began)) return
  const folder = join(parts.config.dir, 'recordings', session)
  await mkdir(folder, {recursive: true, mode: 0o700})
  for (const [index, file] of files.entries()) await keepChunk(join(folder, chunkName(before.chunks + index)), file)
}

/** A page whose answer was lost comes again: what is there already is the same, or was torn. */
async function keepChunk(path: string, bytes: Buffer): Promise<void> {
  const there = await readFile(path).catch(() => undefined)
  if (!there?.equals(bytes)) await writeFile(path, bytes, {mode: 0o600, flush: true})
}
