/** Figures for people, and the usage events of their CLIs. */
import type {Review} from '@prod/sdk'
import {api, type MetricsReport} from '@prod/sdk/api'
import {ProdError} from '@prod/sdk/errors'
import type {FastifyInstance} from 'fastify'
import {handle} from '../http/handle.ts'
import type {Parts} from '../parts.ts'
import {computeMetrics, leadMilliseconds, metricTypes} from './compute.ts'
import {indexSince, readEvents} from './read.ts'
import {acceptUsage} from './usage.ts'

const defaultDays = 30
const maxDays = 400
const dayMilliseconds = 86_400_000

/** `/v1/metrics` and `/v1/usage`. The figures name nobody, so every person may read them. */
export function metricsRoutes(app: FastifyInstance, parts: Parts): void {
  handle(app, parts, api.metrics, ({since}) => reportMetrics(parts, since))
  handle(app, parts, api.usage, ({events}, caller) => acceptUsage(parts, caller, events))
}

/** The figures from `since` (ISO 8601; 30 days if left out, 400 at most) until now. Throws BAD_REQUEST. */
export async function reportMetrics({store}: Pick<Parts, 'store'>, text?: string): Promise<MetricsReport> {
  const now = store.now()
  const since = text === undefined ? new Date(now.getTime() - defaultDays * dayMilliseconds) : new Date(text)
  const span = now.getTime() - since.getTime()
  if (!(span > 0 && span <= maxDays * dayMilliseconds))
    throw new ProdError('BAD_REQUEST', `since is no moment of the last ${maxDays} days`, 'prod metrics --since 7d')
  const end = await store.logSize()
  const from = await indexSince(store, new Date(since.getTime() - leadMilliseconds).toISOString())
  const events = await Array.fromAsync(readEvents(store, metricTypes, from, end))
  const openReviews = (await store.list<Review>({kind: 'review', state: 'open'})).map(one => one.value)
  const until = new Date(now.getTime() + 1) // what was written in this very millisecond counts
  return computeMetrics({since, until, events, openReviews})
}
