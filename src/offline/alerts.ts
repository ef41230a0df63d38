/** Alerts that the CLI itself sends (TM-O2, O6): to each channel of the kit, and each must accept before anything opens. */
import {setTimeout as wait} from 'node:timers/promises'
import {ProdError} from '@prod/sdk/errors'
import type {KitChannel} from '@prod/sdk/kit'
import type {Notice, NoticeChannel} from '@prod/sdk/notifier'
import type {Plugin} from '@prod/sdk/plugin'

const pauseMs = 1000
const tryMs = 10_000

/** The channels of a kit, by the notifiers that package.json names. Throws KIT_INVALID, CONFIG_INVALID. */
export async function openChannels(pjson: object, channels: readonly KitChannel[]): Promise<NoticeChannel[]> {
  const {oclif} = pjson as {oclif?: {notifiers?: string[]}}
  const plugins = await Promise.all((oclif?.notifiers ?? []).map(name => import(name) as Promise<Plugin>))
  return channels.map(({name, notifier, config}) => {
    const found = plugins.find(plugin => plugin.notifier?.id === notifier)?.notifier
    if (!found)
      throw new ProdError('KIT_INVALID', `this prod cannot send by ${notifier}, as the channel ${name} of the kit wants`, 'prod plugins')
    return found.channel(name, config)
  })
}

/**
 * Sends one alert to each channel until it has accepted, for so many seconds at most; the names of those that did. `signal` stops it, with its
 * reason thrown.
 */
export async function alertAll(
  channels: readonly NoticeChannel[],
  notice: Notice,
  seconds: number,
  signal?: AbortSignal,
): Promise<string[]> {
  const late = AbortSignal.any([AbortSignal.timeout(seconds * 1000), ...(signal ? [signal] : [])])
  const accepted = await Promise.all(channels.map(channel => untilAccepted(channel, notice, late)))
  signal?.throwIfAborted()
  return channels.flatMap(({name}, index) => (accepted[index] ? [name] : []))
}

async function untilAccepted(channel: NoticeChannel, notice: Notice, late: AbortSignal): Promise<boolean> {
  while (!late.aborted) {
    const attempt = AbortSignal.any([late, AbortSignal.timeout(tryMs)])
    const sent = channel.send(notice, attempt).then(
      () => true,
      () => false,
    )
    if (await Promise.race([sent, aborted(attempt)])) return true
    await wait(pauseMs, undefined, {signal: late}).catch(() => {})
  }
  return false
}

function aborted(signal: AbortSignal): Promise<false> {
  return new Promise(resolve => {
    if (signal.aborted) resolve(false)
    signal.addEventListener('abort', () => resolve(false), {once: true})
  })
}
