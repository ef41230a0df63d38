/** How often each role was taken, so that what is used most comes first. */
import {join} from 'node:path'
import {places, readPrivate, writePrivate} from '@prod/sdk/cli/places'

/** A use counts half after this time. */
const halfLifeMs = 14 * 24 * 3_600_000
const most = 200

type Uses = Record<string, {count: number; at: number}>

const path = (): string => join(places().state, 'aws-used.json')

function readUses(): Uses {
  try {
    return Object.assign(Object.create(null) as Uses, JSON.parse(readPrivate(path()) ?? '{}') as Uses)
  } catch {
    return {}
  }
}

const weight = ({count, at}: {count: number; at: number}, now: number): number => count * 0.5 ** ((now - at) / halfLifeMs)

/** By role: uses of late, as one number. Never throws. */
export function usesOf(now: number = Date.now()): Map<string, number> {
  return new Map(Object.entries(readUses()).map(([name, use]) => [name, weight(use, now)]))
}

/** Counts one use. Never throws: the order of a list is no reason to fail. */
export function countUse(name: string, now: number = Date.now()): void {
  try {
    const uses = readUses()
    const before = uses[name]
    uses[name] = {count: (before ? weight(before, now) : 0) + 1, at: now}
    const kept = Object.entries(uses).sort(([, a], [, b]) => weight(b, now) - weight(a, now))
    writePrivate(path(), JSON.stringify(Object.fromEntries(kept.slice(0, most))))
  } catch {
    // a folder that is not ours: `prod doctor` says so
  }
}
