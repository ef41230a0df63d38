/** A new bundle in the shadow of the old one: what it would decide otherwise is in the log before it decides anything (TM-P3). */
import {setImmediate} from 'node:timers/promises'
import {openEntry} from '@prod/sdk/log/envelope'
import type {Store} from '../stores/store.ts'
import {type Asked, byWidth, type Change, compareBundles, findAsked, foldAsked, recordedDays} from './diff.ts'
import type {Bundle} from './policy.ts'

type Log = Pick<Store, 'now' | 'entries' | 'logSize' | 'commit'>

/** different questions that are asked, each once: more are told of as left out */
const mostQuestions = 10_000
const mostTold = 50
const pageEntries = 1000
/** asked in a row, before other work goes on */
const atOnce = 100

/** Asks a new bundle what was asked of the old ones lately, and writes what it decides otherwise into the log, before it decides anything (TM-P3). */
export async function compareWithLog(store: Log, next: Bundle, current: Bundle): Promise<void> {
  const {asked, complete} = await askedLately(store)
  const changes: Change[] = []
  for (let at = 0; at < asked.length; at += atOnce) {
    changes.push(...compareBundles(current, next, asked.slice(at, at + atOnce)))
    await setImmediate()
  }
  changes.sort(byWidth)
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
          ...(complete ? {} : {complete}),
        },
        personal: {changes: changes.slice(0, mostTold).map(({what, before, after, times}) => ({what, before, after, times}))},
      },
    ],
  })
}

/** Every question of the last days, from the day on where they begin in the log. */
async function askedLately(store: Log): Promise<{asked: Asked[]; complete: boolean}> {
  const since = new Date(store.now().getTime() - recordedDays * 86_400_000).toISOString()
  const first = await findFirst(store, since)
  let asked: Asked[] = []
  for (const type of ['request.created', 'request.refused'])
    for (let from = first; ; ) {
      const entries = (await store.entries({from, limit: pageEntries, type})).map(openEntry)
      asked = foldAsked([...asked, ...entries.filter(({time}) => time >= since).flatMap(findAsked)])
      if (entries.length < pageEntries || asked.length > mostQuestions) break
      from = (entries.at(-1)?.index ?? from) + 1
    }
  return {asked: asked.slice(0, mostQuestions), complete: asked.length <= mostQuestions}
}

/** The first entry that is not older; entries are in the order of their time. */
async function findFirst(store: Log, since: string): Promise<number> {
  let [low, high] = [0, await store.logSize()]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const [entry] = await store.entries({from: middle, limit: 1})
    if (entry === undefined || openEntry(entry).time >= since) high = middle
    else low = middle + 1
  }
  return low
}
