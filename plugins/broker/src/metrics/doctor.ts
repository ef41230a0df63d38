import {api} from '@prod/sdk/api'
import {openEntry} from '@prod/sdk/log/envelope'
import type {FastifyInstance} from 'fastify'
import {freezeWords, showFreeze, storedFreeze} from '../freeze/state.ts'
import {handle} from '../http/handle.ts'
import type {Parts} from '../parts.ts'

const dayMilliseconds = 86_400_000
const drillDays = 90

/** What this broker can and cannot do where it runs; for `prod doctor`. */
export function doctorRoutes(app: FastifyInstance, parts: Parts): void {
  handle(app, parts, api.doctor, async () => {
    const checks: {name: string; ok: boolean; detail: string}[] = []
    for (const primitive of parts.primitives.values()) checks.push(...((await primitive.checks?.()) ?? []))
    const bundle = parts.bundle()
    checks.push({
      name: 'bundle',
      ok: true,
      detail: `${bundle.digest.slice(0, 12)} loaded at ${bundle.loadedAt.slice(0, 16).replace('T', ' ')} UTC, ${bundle.warnings.length === 1 ? '1 warning' : `${bundle.warnings.length} warnings`}, ${
        bundle.signed ? `version ${bundle.signed.version} signed by ${bundle.signed.by.join(', ')}` : 'from folders that nobody signed'
      }`,
    })
    const freeze = showFreeze((await storedFreeze(parts))?.value, parts.store.now())
    checks.push({name: 'freeze', ok: freeze === null, detail: freeze ? freezeWords(freeze) : 'nothing is frozen'})
    const notices = await parts.store.countNotices()
    checks.push({name: 'outbox', ok: notices.dead === 0, detail: `${notices.waiting} waiting, ${notices.dead} undeliverable`})
    checks.push({
      name: 'alert channels',
      ok: new Set(parts.config.alertChannels).size >= 2,
      detail: parts.config.alertChannels.join(', ') || 'none: break-glass is refused',
    })
    checks.push(await checkDrill(parts))
    checks.push({
      name: 'recording recipients',
      ok: parts.config.recordingRecipients.length > 0,
      detail: `${parts.config.recordingRecipients.length}`,
    })
    return {checks}
  })
}

/** Break-glass without the broker is practised every 90 days, or nobody knows whether it works (TM-O8). */
async function checkDrill(parts: Parts): Promise<{name: string; ok: boolean; detail: string}> {
  const name = 'break-glass drill'
  const offered = parts.config.breakGlass.kitHours > 0 && [...parts.bundle().catalog.targets.values()].some(({offline}) => offline)
  if (!offered) return {name, ok: true, detail: 'no target is reached without the broker'}
  const age = await drillAge(parts)
  if (age === null) return {name, ok: false, detail: 'never: prod break-glass drill'}
  const days = Math.floor(age / dayMilliseconds)
  return {
    name,
    ok: days < drillDays,
    detail: `${days} days ago${days < drillDays ? '' : `, longer than ${drillDays}: prod break-glass drill`}`,
  }
}

/** Milliseconds since the last drill that was handed in; null: there was none. */
export async function drillAge({store}: Pick<Parts, 'store'>): Promise<number | null> {
  const [last] = await store.entries({from: 0, limit: 1, newest: true, type: 'break-glass.drill'})
  return last ? Math.max(0, store.now().getTime() - Date.parse(openEntry(last).time)) : null
}
