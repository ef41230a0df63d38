/** A new bundle in the shadow of the old one: what it would decide otherwise is in the log before it decides anything (TM-P3). */
import {openEntry} from '@prod/sdk/log/envelope'
import type {Store} from '../stores/store.ts'
import {compareBundles, findAsked, foldAsked, recordedDays} from './diff.ts'
import type {Bundle} from './policy.ts'

const mostCompared = 1000
const mostTold = 50

/** Asks a new bundle what was asked of the old ones lately, and writes what it decides otherwise into the log, before it decides anything (TM-P3). */
export async function compareWithLog(store: Pick<Store, 'now' | 'entries' | 'commit'>, next: Bundle, current: Bundle): Promise<void> {
  const since = new Date(store.now().getTime() - recordedDays * 86_400_000).toISOString()
  const kinds = ['request.created', 'request.refused']
  const rows = (await Promise.all(kinds.map(type => store.entries({from: 0, limit: mostCompared, newest: true, type})))).flat()
  const asked = foldAsked(
    rows
      .map(openEntry)
      .filter(({time}) => time >= since)
      .flatMap(entry => findAsked(entry) ?? []),
  )
  const changes = compareBundles(current, next, asked)
  await store.commit({
    events: [
      {
        type: 'bundle.compared',
        by: 'broker',
        subject: next.digest.slice(0, 16),
        data: {
          digest: next.digest,
          previous: current.digest,
          questions: asked.length,
          wider: changes.filter(({wider}) => wider).length,
          narrower: changes.filter(({wider}) => !wider).length,
        },
        personal: {changes: changes.slice(0, mostTold).map(({what, before, after, times}) => ({what, before, after, times}))},
      },
    ],
  })
}
