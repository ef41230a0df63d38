/**
 * A shell when the broker is gone (TM-O6): what the broker does for a break-glass, done here, in the same order and as loud. Checked, confirmed,
 * alerted, recorded, then opened. Whatever fails before the last step, nothing is open.
 */
import type {Channel, Exit} from '@prod/sdk'
import {confirmTyped} from '@prod/sdk/cli/ask'
import {showClock} from '@prod/sdk/cli/durations'
import {paint, passBytes, say} from '@prod/sdk/cli/output'
import {ProdError} from '@prod/sdk/errors'
import type {KitTarget} from '@prod/sdk/kit'
import type {NoticeChannel} from '@prod/sdk/notifier'
import {openRecorder, type Recorder} from '@prod/sdk/recorder'
import {ownSize, takeTerminal} from '../channel/terminal.ts'
import {alertAll, openChannels} from './alerts.ts'
import {type OpenKit, targetIn} from './kit.ts'
import {offlineNotice} from './notice.ts'
import {type Spool, withSpool} from './spool.ts'
import {findWayIn, type WayIn} from './way-in.ts'

/** the person is not held for longer when a channel does not take that it is over */
const endSeconds = 10
/** Who stands before a dead receiver can type the command again: waiting longer helps nobody. */
const startSeconds = 10

/** Who breaks glass, where and why. */
export interface OfflineShell {
  config: {pjson: object}
  kit: OpenKit
  /** as it was typed */
  target: string
  reason: string
  incident: string
  term: string
}

/** How it ended. */
export interface OfflineEnd {
  session: string
  exit: Exit
  endedBy: string | null
}

/** Opens the shell and serves it to its end. Throws KIT_INVALID, INCIDENT_INVALID, CONFIRMATION_FAILED, ALERTS_NOT_ACCEPTED, TARGET_UNREACHABLE. */
export async function offlineShell(asked: OfflineShell): Promise<OfflineEnd> {
  const {config, kit, incident, term} = asked
  const {claims} = kit
  // a person breaks glass, never a job
  if (process.env.CI)
    throw new ProdError(
      'NO_TERMINAL',
      'break-glass without the broker is for a person at a terminal, and CI is set',
      'prod break-glass status',
    )
  const target = targetIn(claims, asked.target)
  if (!new RegExp(`^(?:${claims.incidentPattern})$`, 'u').test(incident))
    throw new ProdError('INCIDENT_INVALID', `the incident must look like ${claims.incidentPattern}`, '--incident INC-1234')
  say(
    [
      `BREAK-GLASS WITHOUT THE BROKER on ${target.name} (${target.environment})`,
      `Your own role ${target.role} is used. Everything you type and see is recorded, security is told, and somebody else will review it.`,
    ].map(line => paint('red', line)),
  )
  await confirmTyped(target.name)
  const channels = await openChannels(config.pjson, kit.channels)
  const way = await findWayIn(config, claims, target, term)
  try {
    return await withSpool(kit.jws, kit.key, spool => new Session(asked, target, channels, way, spool).serve())
  } finally {
    await way.end()
  }
}

class Session {
  readonly #asked: OfflineShell
  readonly #target: KitTarget
  readonly #channels: NoticeChannel[]
  readonly #way: WayIn
  readonly #spool: Spool
  readonly #stop = new AbortController()

  constructor(asked: OfflineShell, target: KitTarget, channels: NoticeChannel[], way: WayIn, spool: Spool) {
    this.#asked = asked
    this.#target = target
    this.#channels = channels
    this.#way = way
    this.#spool = spool
  }

  async serve(): Promise<OfflineEnd> {
    const {kit, reason, incident} = this.#asked
    const {id} = this.#spool
    const size = ownSize()
    await this.#spool.add({type: 'began', kit: kit.claims.id, drill: false, target: this.#target.name, reason, incident, ...size})
    const names = this.#channels.map(({name}) => name)
    say(`alerting ${names.join(' and ')}`)
    const accepted = await this.#tell('break-glass.started', Math.min(startSeconds, kit.claims.alertSeconds))
    if (accepted.length < names.length) {
      const failed = names.filter(name => !accepted.includes(name)).join(' and ')
      await this.#close({exit: {unknown: 'it did not open'}, endedBy: 'alerts not accepted'}, accepted)
      throw new ProdError('ALERTS_NOT_ACCEPTED', `the alert was not accepted by ${failed}, so nothing was opened`, 'prod break-glass drill')
    }
    await this.#spool.add({type: 'alerted', channels: accepted})
    const {recorder, channel} = await this.#open(size)
    say(
      `${id} on ${this.#target.name} (${this.#target.environment}); it ends at ${showClock(this.#until().toISOString(), new Date())} at the latest`,
    )
    const end = await this.#run(recorder, channel)
    const told = await this.#tell('break-glass.ended', endSeconds)
    const untold = names.filter(name => !told.includes(name)).join(' and ')
    if (untold !== '') say(`its end was not accepted by ${untold}: it stands in what is handed in`)
    await this.#close(end, told)
    return {session: id, ...end}
  }

  #until(): Date {
    return new Date(Date.now() + this.#asked.kit.claims.maxSeconds * 1000)
  }

  #tell(type: 'break-glass.started' | 'break-glass.goes-on' | 'break-glass.ended', seconds: number): Promise<string[]> {
    const {kit, reason, incident} = this.#asked
    const {id: session, head} = this.#spool
    const target = `${this.#target.name} (${this.#target.environment})`
    return alertAll(this.#channels, offlineNotice(kit.claims, type, {session, target, reason, incident, head}), seconds)
  }

  async #close(end: Omit<OfflineEnd, 'session'>, channels: string[]): Promise<void> {
    await this.#spool.add({type: 'closed', ...end, channels})
  }

  /** Recording first, then the terminal. Where either fails nothing stays open. */
  async #open(size: {columns: number; rows: number}): Promise<{recorder: Recorder; channel: Channel}> {
    const {kit} = this.#asked
    const {id, folder} = this.#spool
    const recorder = await openRecorder({
      id,
      folder,
      recipients: kit.claims.recipients,
      startedAt: new Date(),
      ...size,
      title: `${this.#target.name} by ${kit.claims.principal.name}, without the broker`,
      sealed: chunk => this.#spool.add({type: 'recorded', ...chunk}),
    })
    try {
      const channel = await this.#way.open(id, size, this.#stop.signal)
      await this.#spool.add({type: 'opened'}).catch(async error => {
        await channel.end('recording lost')
        throw error
      })
      return {recorder, channel}
    } catch (error) {
      await recorder.close().catch(() => {})
      await this.#close({exit: {unknown: 'it did not open'}, endedBy: 'not opened'}, await this.#tell('break-glass.ended', endSeconds))
      if (error instanceof ProdError) throw error
      throw new ProdError('TARGET_UNREACHABLE', `${this.#target.name} cannot be reached`, 'prod break-glass status', {cause: error})
    }
  }

  /** Joins the person's terminal to it, until it ends by itself, by its time, by a hang-up or with its recording. */
  async #run(recorder: Recorder, channel: Channel): Promise<Omit<OfflineEnd, 'session'>> {
    const {maxSeconds, remindSeconds} = this.#asked.kit.claims
    let endedBy: string | null = null
    let over = false
    const end = (why: string): void => {
      endedBy ??= why
      void channel.end(why)
    }
    recorder.lost.catch(() => end('recording lost'))
    const hungUp = (): void => end('hung up')
    for (const signal of ['SIGHUP', 'SIGTERM'] as const) process.on(signal, hungUp)
    const limit = setTimeout(end, maxSeconds * 1000, 'limit: time')
    const reminder = setInterval(() => {
      this.#tell('break-glass.goes-on', remindSeconds)
        // nothing comes after the end
        .then(channels => (over ? undefined : this.#spool.add({type: 'reminded', channels})))
        .catch(() => end('recording lost'))
    }, remindSeconds * 1000)
    const giveBack = takeTerminal(`BREAK-GLASS WITHOUT THE BROKER ${this.#target.name} (${this.#target.environment})`, {
      typed: bytes => {
        recorder.write('stdin', bytes).catch(() => {})
        channel.stdin.write(bytes)
      },
      resized: size => {
        recorder.write('resize', Buffer.from(JSON.stringify(size))).catch(() => {})
        channel.resize(size)
      },
    })
    channel.stdin.on('error', () => {})
    try {
      // on the screen only what is recorded
      for await (const bytes of channel.stdout) {
        await recorder.write('stdout', bytes as Uint8Array)
        await passBytes('stdout', bytes as Uint8Array)
      }
    } catch {
      end('recording lost')
    }
    const exit = await channel.ended
    over = true
    giveBack()
    clearTimeout(limit)
    clearInterval(reminder)
    for (const signal of ['SIGHUP', 'SIGTERM'] as const) process.off(signal, hungUp)
    await recorder.close().catch(() => {
      endedBy = 'recording lost'
    })
    return {exit, endedBy}
  }
}
