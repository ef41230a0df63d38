/** Figures for people, what is imported for them, and the usage events of their CLIs. */
import {setImmediate} from 'node:timers/promises'
import {api, type InputOf, type MetricsReport} from '@prod/sdk/api'
import {ProdError} from '@prod/sdk/errors'
import type {FastifyInstance} from 'fastify'
import {handle} from '../http/handle.ts'
import type {Parts} from '../parts.ts'
import {mayReadAudit} from '../requests/view.ts'
import {countMint} from '../runs/limits.ts'
import {importRows} from './imports.ts'
import {catchUp, maxDays} from './ledger.ts'
import {reportSteps} from './report.ts'
import {acceptUsage} from './usage.ts'

const defaultDays = 30
/** The shortest period for whoever may not read the log: whole days, so that it is not about one person. */
const leastDays = 7
const dayMilliseconds = 86_400_000
/** A bit of work is no longer, or is one step. */
const mostMilliseconds = 10

/** `/v1/metrics…` and `/v1/usage`. The figures name nobody, so every person may read them; those of few people only who may read the log. */
export function metricsRoutes(app: FastifyInstance, parts: Parts): void {
  handle(app, parts, api.metrics, (asked, caller) => reportMetrics(parts, asked, mayReadAudit(parts, caller)))
  handle(app, parts, api.importMetrics, (input, caller) => importRows(parts, caller, input))
  handle(app, parts, api.usage, async ({batch, events}, caller) => {
    await countMint(parts, caller.principal, 'usage')
    return acceptUsage(parts, caller, events, batch)
  })
}

/** Long work in short bits, other work going on between them. */
async function inTurns<T>(steps: Generator<undefined, T, undefined>): Promise<T> {
  for (;;) {
    const from = performance.now()
    while (performance.now() - from < mostMilliseconds) {
      const {done, value} = steps.next()
      if (done) return value as T
    }
    await setImmediate()
  }
}

/**
 * The figures from `since` (ISO 8601; 30 days if left out, 400 at most) until now or `until`. `everybody`: groups of few people and short periods too; else
 * both are the begin of their day (UTC), 7 days apart at least, unless `metrics.minPeople` is 1. Throws BAD_REQUEST, DENIED where the period is shorter, or
 * fewer people than `metrics.minPeople` stand behind what is asked for.
 */
export async function reportMetrics(
  {store, config}: Pick<Parts, 'store' | 'config'>,
  asked: InputOf<typeof api.metrics> = {},
  everybody = false,
): Promise<MetricsReport> {
  const now = store.now()
  // what was written in this very millisecond counts
  const until = asked.until === undefined ? new Date(now.getTime() + 1) : new Date(asked.until)
  const since = asked.since === undefined ? new Date(until.getTime() - defaultDays * dayMilliseconds) : new Date(asked.since)
  const oldest = now.getTime() - maxDays * dayMilliseconds
  if (!(since < until && since.getTime() >= oldest && until.getTime() <= now.getTime() + 1))
    throw new ProdError(
      'BAD_REQUEST',
      `since and until are no moments of the last ${maxDays} days, one after the other`,
      'prod metrics --since 7d',
    )
  const {teams, minPeople} = config.metrics
  if (!everybody && minPeople > 1) {
    // a minute, or the difference of two periods that a minute tells apart, would be about one person
    for (const moment of [since, until]) moment.setUTCHours(0, 0, 0, 0)
    if (until.getTime() - since.getTime() < leastDays * dayMilliseconds)
      throw new ProdError(
        'DENIED',
        `figures of less than ${leastDays} whole days (UTC) are for those who may read the log`,
        `prod metrics --since ${leastDays}d`,
      )
  }
  const {facts} = await catchUp(store)
  const report = await inTurns(
    reportSteps(facts, {
      since,
      until,
      team: asked.team,
      service: asked.service,
      teams,
      minPeople: everybody ? 1 : minPeople,
      reviewHours: config.breakGlass.reviewDueHours,
    }),
  )
  if (report) return report
  throw new ProdError(
    'DENIED',
    `there are no figures of ${[asked.team, asked.service].filter(Boolean).join(' and ')}: it is no team or service here, or fewer than ${minPeople} people asked for anything in this time`,
    'prod metrics',
  )
}
