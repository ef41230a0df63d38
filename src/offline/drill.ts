/** A drill (TM-O8): all that a break-glass without the broker needs, once through, and nobody has to act on it. */
import {createHash} from 'node:crypto'
import type {Channel, Exit} from '@prod/sdk'
import {confirmTyped} from '@prod/sdk/cli/ask'
import {showClock} from '@prod/sdk/cli/durations'
import {ProdError} from '@prod/sdk/errors'
import type {NoticeChannel} from '@prod/sdk/notifier'
import {openRecorder, type Recorder} from '@prod/sdk/recorder'
import {hashEntry, openEntryAfter} from '@prod/sdk/spool'
import {alertAll, openChannels} from './alerts.ts'
import {type OpenKit, targetIn} from './kit.ts'
import {offlineNotice} from './notice.ts'
import {readSpool, type Spool, withSpool} from './spool.ts'
import {findWayIn, type WayIn} from './way-in.ts'

/** As for a shell without the broker. */
const alertSeconds = 10
const answerMs = 60_000
const size = {columns: 80, rows: 24}

/** One step, and what was seen. */
export interface DrillStep {
  step: 'kit' | 'alerts' | 'credential' | 'shell' | 'recording'
  detail: string
}

/** Walks it but for the hand-in. With a target its shell is opened and left again, so the typed name is asked for. Throws as the real thing. */
export async function drill(
  {config, kit, target: name}: {config: {pjson: object}; kit: OpenKit; target: string | undefined},
  tell: (step: DrillStep) => void,
): Promise<{session: string}> {
  const {claims} = kit
  tell({
    step: 'kit',
    detail: `${claims.id} until ${showClock(claims.expiresAt, new Date())}: ${claims.targets.map(one => one.name).join(', ')}`,
  })
  const target = name === undefined ? undefined : targetIn(claims, name)
  if (target) await confirmTyped(target.name)
  const channels = await openChannels(config.pjson, kit.channels)
  const way = target && (await findWayIn(config, claims, target, 'dumb'))
  if (target) tell({step: 'credential', detail: `${target.role}, through your own login`})
  try {
    return await withSpool(kit.jws, kit.key, async spool => {
      const what = {target: target?.name ?? null, reason: 'a drill', incident: ''}
      await spool.add({type: 'began', kit: claims.id, drill: true, ...what, ...size})
      const accepted = await alertEach(kit, channels, spool, target?.name ?? 'no target')
      tell({step: 'alerts', detail: `accepted by ${accepted.join(' and ')}`})
      const recorder = await openRecorder({
        id: spool.id,
        folder: spool.folder,
        recipients: claims.recipients,
        startedAt: new Date(),
        ...size,
        title: 'a drill',
        sealed: chunk => spool.add({type: 'recorded', ...chunk}),
      })
      const exit = way ? await visit(way, spool, recorder) : {status: 0}
      if (target) tell({step: 'shell', detail: `${target.name} answered and was left again`})
      await recorder.write('stdout', Buffer.from('a drill\n'))
      const chunks = await recorder.close()
      await spool.add({type: 'closed', exit, endedBy: null, channels: accepted})
      await checkWhole(kit, spool)
      tell({
        step: 'recording',
        detail: `${chunks.length} chunks sealed for ${claims.recipients.length} ${claims.recipients.length === 1 ? 'recipient' : 'recipients'}, each in the chain`,
      })
      return {session: spool.id}
    })
  } finally {
    await way?.end()
  }
}

async function alertEach({claims}: OpenKit, channels: NoticeChannel[], spool: Spool, target: string): Promise<string[]> {
  const {id: session, head} = spool
  const notice = offlineNotice(claims, 'break-glass.drill', {session, target, reason: 'a drill', incident: 'DRILL', head})
  const accepted = await alertAll(channels, notice, Math.min(alertSeconds, claims.alertSeconds))
  const failed = channels.map(({name}) => name).filter(one => !accepted.includes(one))
  if (failed.length > 0) {
    await spool.add({type: 'closed', exit: {unknown: 'it did not open'}, endedBy: 'alerts not accepted', channels: accepted})
    throw new ProdError(
      'ALERTS_NOT_ACCEPTED',
      `the drill was not accepted by ${failed.join(' and ')}: a break-glass would not open`,
      'tell those who run the channels',
    )
  }
  await spool.add({type: 'alerted', channels: accepted})
  return accepted
}

/** Opens the shell, waits until it shows something, and leaves it. */
async function visit(way: WayIn, spool: Spool, recorder: Recorder): Promise<Exit> {
  const late = AbortSignal.timeout(answerMs)
  let channel: Channel | undefined
  try {
    channel = await way.open(spool.id, size, late)
    await spool.add({type: 'opened'})
    channel.stdin.on('error', () => {})
    const stop = channel
    late.addEventListener('abort', () => void stop.end('limit: time'))
    let shown = false
    for await (const bytes of channel.stdout) {
      await recorder.write('stdout', bytes as Uint8Array)
      if (!shown) channel.stdin.write('exit\r')
      shown = true
    }
    const exit = await channel.ended
    if (!shown || late.aborted)
      throw new ProdError('TARGET_UNREACHABLE', 'the shell opened and did not answer in a minute', 'prod break-glass drill')
    return exit
  } catch (error) {
    await channel?.end('drill failed')
    await recorder.close().catch(() => {})
    await spool.add({type: 'closed', exit: {unknown: 'the drill failed'}, endedBy: 'drill failed', channels: []})
    throw error
  }
}

/** Reads back what was written, as the broker will. Throws SIGNATURE_INVALID. */
async function checkWhole({claims}: OpenKit, {id}: Spool): Promise<void> {
  const {entries, chunk} = readSpool(id)
  let head: string | null = null
  for (const [next, line] of entries.entries()) {
    const {event} = openEntryAfter(claims.jwk, {session: id, next, head}, line)
    head = hashEntry(line)
    if (event.type !== 'recorded') continue
    const sha256 = createHash('sha256')
      .update(await chunk(event.chunk))
      .digest('hex')
    if (sha256 !== event.sha256)
      throw new ProdError('SIGNATURE_INVALID', `chunk ${event.chunk} is not the one that was recorded`, 'prod doctor')
  }
}
