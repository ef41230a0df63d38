import {api} from '@prod/sdk/api'
import type {FastifyInstance} from 'fastify'
import {freezeWords, showFreeze, storedFreeze} from '../freeze/state.ts'
import {handle} from '../http/handle.ts'
import type {Parts} from '../parts.ts'

/** What this broker can and cannot do where it runs; for `prod doctor`. */
export function doctorRoutes(app: FastifyInstance, parts: Parts): void {
  handle(app, parts, api.doctor, async () => {
    const checks: {name: string; ok: boolean; detail: string}[] = []
    for (const primitive of parts.primitives.values()) checks.push(...((await primitive.checks?.()) ?? []))
    const bundle = parts.bundle()
    checks.push({
      name: 'bundle',
      ok: true,
      detail: `${bundle.digest.slice(0, 12)} loaded at ${bundle.loadedAt}, ${bundle.warnings.length} warnings, ${
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
    checks.push({
      name: 'recording recipients',
      ok: parts.config.recordingRecipients.length > 0,
      detail: `${parts.config.recordingRecipients.length}`,
    })
    return {checks}
  })
}
