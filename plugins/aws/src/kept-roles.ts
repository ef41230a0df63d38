/** A long list of roles as the AWS files last said, so that it is not put together anew each time. Names and accounts, nothing secret. */
import {statSync} from 'node:fs'
import {join} from 'node:path'
import {places, readPrivate, writePrivate} from '@prod/sdk/cli/places'
import type {LocalRole} from '@prod/sdk/role-source'
import type {AwsPaths} from './config/paths.ts'

/** What the list was made from: what tells one state of each file from another, and when the last of them changed. */
export interface States {
  text: string
  /** in milliseconds since 1970 */
  changedAt: number
}

/** A shorter list is as soon made as read. */
const fromRoles = 100
/** A file that changed just now may change once more within one tick of its clock. */
const settledMs = 2000
const version = 1

const path = (): string => join(places().cache, 'aws-roles.json')

/** Both files, and the folder of what portals offer: each listing is put there whole, in the place of another. */
export function statesOf({config, credentials}: AwsPaths): States {
  let changedAt = 0
  const state = (file: string): string => {
    try {
      const stat = statSync(file, {throwIfNoEntry: false})
      if (!stat) return `${file} -`
      changedAt = Math.max(changedAt, stat.ctimeMs)
      return `${file} ${stat.mtimeMs} ${stat.ctimeMs} ${stat.size} ${stat.dev} ${stat.ino}`
    } catch (error) {
      return `${file} ${(error as NodeJS.ErrnoException).code}`
    }
  }
  return {text: [version, ...[config, credentials, join(places().cache, 'aws')].map(state)].join('\n'), changedAt}
}

/** What was kept of the same states, by name; undefined where there is none. */
export function keptRoles({text}: States): LocalRole[] | undefined {
  try {
    const kept = JSON.parse(readPrivate(path(), {secret: true}) ?? 'null') as {states: string; roles: LocalRole[]} | null
    return kept?.states === text ? kept.roles : undefined
  } catch {
    // not ours, or not whole: it is made anew
    return undefined
  }
}

/** Keeps a long list. Never throws: a list that is not kept is made again. */
export function keepRoles({text, changedAt}: States, roles: readonly LocalRole[], now: number = Date.now()): void {
  if (roles.length < fromRoles || now - changedAt < settledMs) return
  try {
    writePrivate(path(), JSON.stringify({states: text, roles}))
  } catch {
    // a full disk or a folder that is not ours: `prod doctor` says so
  }
}
