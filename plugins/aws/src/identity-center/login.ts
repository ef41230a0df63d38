/** A login at IAM Identity Center: renewed where it can be, else in the browser, by one process for all. */
import {hash} from 'node:crypto'
import {canAsk} from '@prod/sdk/cli/ask'
import {openBrowser} from '@prod/sdk/cli/browser'
import {withLock} from '@prod/sdk/cli/credential-lock'
import {say} from '@prod/sdk/cli/output'
import {ProdError} from '@prod/sdk/errors'
import {awsPaths} from '../config/paths.ts'
import type {Portal} from '../config/profile.ts'
import {callPortal, Refused} from './call.ts'
import type {Client, TokenAnswer} from './client.ts'
import {authorizeByCode} from './code.ts'
import {authorizeByDevice} from './device.ts'
import {isLive, type PortalToken, readToken, writeToken} from './token.ts'

const loginLimitMs = 10 * 60_000

/**
 * Sees to it that the token's file holds a token that serves; `refused`: the portal did not take the one that is there;
 * `mayLogIn`: a page may be opened for it. Processes
 * that need the same one wait for the first: one tab opens, not ten. Throws NOT_LOGGED_IN where there is nobody to log in,
 * LOGIN_FAILED, TARGET_UNREACHABLE.
 */
export async function signIn(portal: Portal, refused: boolean, mayLogIn = true): Promise<void> {
  const folder = awsPaths(process.env).tokens
  const before = readToken(folder, portal)
  if (before && !refused && isLive(before, Date.now())) return
  await withLock(`aws-sso-${hash('sha256', portal.tokenKey).slice(0, 16)}`, loginLimitMs + 60_000, async () => {
    const now = readToken(folder, portal)
    // another process has logged in meanwhile
    if (now && isLive(now, Date.now()) && (!refused || now.accessToken !== before?.accessToken)) return
    const next = (now && (await renew(portal, now))) ?? (await logIn(portal, mayLogIn))
    writeToken(folder, portal, next)
  })
}

/** By the refresh token. Undefined where there is none, or it serves no more. */
async function renew(portal: Portal, token: PortalToken): Promise<PortalToken | undefined> {
  const {refreshToken, clientId, clientSecret, registrationExpiresAt} = token
  if (!refreshToken || !clientId || !clientSecret) return undefined
  if (registrationExpiresAt !== undefined && Date.parse(registrationExpiresAt) < Date.now()) return undefined
  try {
    const answer = await callPortal<TokenAnswer>(`${portal.oidcEndpoint}/token`, {
      method: 'POST',
      body: {clientId, clientSecret, refreshToken, grantType: 'refresh_token'},
    })
    return tokenOf(portal, {clientId, clientSecret, registrationExpiresAt: registrationExpiresAt ?? token.expiresAt}, answer, refreshToken)
  } catch (error) {
    if (error instanceof Refused) return undefined
    throw error
  }
}

async function logIn(portal: Portal, mayLogIn: boolean): Promise<PortalToken> {
  if (!(mayLogIn && canAsk())) {
    throw new ProdError(
      'NOT_LOGGED_IN',
      `not logged in to IAM Identity Center ${portal.name}, and nobody is here to log in`,
      'prod roles --refresh, at a terminal',
    )
  }
  const show = (lines: string[], url: string): void => {
    say([...lines, url])
    openBrowser(url)
  }
  try {
    const hasBrowser = process.platform !== 'linux' || process.env.DISPLAY || process.env.WAYLAND_DISPLAY || process.env.BROWSER
    const {client, answer} = await (hasBrowser ? authorizeByCode : authorizeByDevice)(portal, show, loginLimitMs)
    return tokenOf(portal, client, answer)
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    throw new ProdError('LOGIN_FAILED', `IAM Identity Center ${portal.name} refused the login: ${error.kind}`, 'prod roles --refresh', {
      cause: error,
    })
  }
}

function tokenOf(
  {startUrl, region}: Portal,
  client: Client,
  {accessToken, expiresIn, refreshToken}: TokenAnswer,
  old?: string,
): PortalToken {
  const kept = refreshToken ?? old
  return {
    startUrl,
    region,
    accessToken,
    expiresAt: new Date(Date.now() + expiresIn * 1000).toISOString().replace(/\.\d+Z$/, 'Z'),
    ...client,
    ...(kept === undefined ? {} : {refreshToken: kept}),
  }
}
