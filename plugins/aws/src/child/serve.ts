/** A child with its endpoint, from beginning to end. Light: the fast path loads it. */
import type {Denial} from '@prod/sdk/cli/after-failure'
import {type ChildSettings, isFresh, lifeLeft, type ProcessCredentials} from '../credentials/kept.ts'
import {openEndpoint, type Provide} from './endpoint.ts'
import {childEnvironment} from './environment.ts'
import {runChild} from './run.ts'

/** What a child gets, and how more of it is had. */
export interface Serving {
  name: string
  /** a denial in the stderr of a program that failed is explained; absent: yes */
  explain?: boolean
  /** is told by what such a program was refused, where that was recognised */
  denied?: (denial: Denial) => void
  credentials: ProcessCredentials
  /** when they were had, in milliseconds of this machine's clock */
  from: number
  child: ChildSettings
  /** fetches others ahead of the end; `mayLogIn`: a page in the browser may be opened for it */
  renew(mayLogIn: boolean): Promise<ProcessCredentials>
}

/** Runs a command that asks for its credentials as often as it likes; answers its status. Throws TOOL_UNAVAILABLE. */
export async function serveChild(command: readonly string[], serving: Serving, env: NodeJS.ProcessEnv = process.env): Promise<number> {
  const endpoint = await openEndpoint(provider(serving))
  try {
    return await runChild(command, childEnvironment(env, serving.name, serving.child, endpoint), serving.explain ?? true, serving.denied)
  } finally {
    endpoint.close()
  }
}

/** Runs a command with the credentials in plain variables; answers its status. What it begins with is all it gets. Throws TOOL_UNAVAILABLE. */
export function runPlain(
  command: readonly string[],
  {name, credentials, child, explain, denied}: Pick<Serving, 'name' | 'credentials' | 'child' | 'explain' | 'denied'>,
  env: NodeJS.ProcessEnv = process.env,
): Promise<number> {
  return runChild(command, childEnvironment(env, name, child, {credentials}), explain ?? true, denied)
}

/**
 * Answers what is there while it is fresh; then one renewal for all who ask. Where that fails what is there serves to its end: a
 * long command outlives a short outage. A login that came to nothing is not asked for again: a command that runs over night opens one
 * page, not a hundred.
 */
export function provider(
  {credentials, from, renew}: Pick<Serving, 'credentials' | 'from' | 'renew'>,
  now: () => number = Date.now,
): Provide {
  let current = {credentials, from}
  let underWay: Promise<ProcessCredentials> | undefined
  let mayLogIn = true
  const renewed = (): Promise<ProcessCredentials> => {
    underWay ??= renew(mayLogIn)
      .then(
        next => {
          current = {credentials: next, from: now()}
          mayLogIn = true
          return next
        },
        (error: unknown) => {
          if (/^(LOGIN_FAILED|NOT_LOGGED_IN|LOGIN_EXPIRED)$/.test((error as {code?: string}).code ?? '')) mayLogIn = false
          throw error
        },
      )
      .finally(() => (underWay = undefined))
    return underWay
  }
  return async () => {
    if (isFresh(current, now())) return current.credentials
    try {
      return await renewed()
    } catch (error) {
      if (lifeLeft(current.credentials, now()) > 0) return current.credentials
      throw error
    }
  }
}
