/** The portal's token, in the file that the AWS CLI and every SDK share: one login serves them all. */
import {hash} from 'node:crypto'
import {join} from 'node:path'
import {neverWrite} from '@prod/sdk/cli/output'
import {readPrivate, writePrivate} from '@prod/sdk/cli/places'
import type {Portal} from '../config/profile.ts'

/** As it lies in `~/.aws/sso/cache`. Moments are ISO 8601. */
export interface PortalToken {
  startUrl: string
  region: string
  accessToken: string
  expiresAt: string
  clientId?: string
  clientSecret?: string
  registrationExpiresAt?: string
  refreshToken?: string
}

/** SHA-1 is what names the file: the place is agreed among AWS tools. */
const fileOf = (folder: string, {tokenKey}: Portal): string => join(folder, `${hash('sha1', tokenKey)}.json`)

/** The token of this portal, or undefined where there is none, or it is of another start URL. Throws CONFIG_INVALID. */
export function readToken(folder: string, portal: Portal): PortalToken | undefined {
  let token: PortalToken
  try {
    token = JSON.parse(readPrivate(fileOf(folder, portal)) ?? '') as PortalToken
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
  if (typeof token?.accessToken !== 'string' || typeof token.expiresAt !== 'string' || token.startUrl !== portal.startUrl) return undefined
  for (const secret of [token.accessToken, token.refreshToken, token.clientSecret]) if (secret) neverWrite(secret)
  return token
}

/** Keeps it (0600). */
export function writeToken(folder: string, portal: Portal, token: PortalToken): void {
  for (const secret of [token.accessToken, token.refreshToken, token.clientSecret]) if (secret) neverWrite(secret)
  writePrivate(fileOf(folder, portal), `${JSON.stringify(token)}\n`)
}

/** Whether it serves for a while yet: longer than the SDK wants, which would renew it itself. Pure. */
export function isLive({expiresAt}: PortalToken, now: number): boolean {
  return Date.parse(expiresAt) - now > 6 * 60_000
}
