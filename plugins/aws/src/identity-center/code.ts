/** The authorization code flow with PKCE (RFC 7636) on a loopback address (RFC 8252 section 7.3). */
import {createHash, randomBytes} from 'node:crypto'
import {listen} from '@prod/sdk/cli/callback'
import type {Portal} from '../config/profile.ts'
import {callPortal} from './call.ts'
import {type Client, register, type TokenAnswer} from './client.ts'

/** Opens the login page and waits for the person to come back. Throws LOGIN_FAILED, Refused, TARGET_UNREACHABLE. */
export async function authorizeByCode(
  portal: Portal,
  show: (lines: string[], url: string) => void,
  limitMs: number,
): Promise<{client: Client; answer: TokenAnswer}> {
  const state = randomBytes(32).toString('base64url')
  const callback = await listen({state, path: '/oauth/callback', again: 'prod roles --refresh', limitMs})
  try {
    // a client registered for one address may use any port of it
    const redirectUri = callback.redirectUri
    const client = await register(portal, {
      grantTypes: ['authorization_code', 'refresh_token'],
      redirectUris: ['http://127.0.0.1/oauth/callback'],
    })
    const verifier = randomBytes(48).toString('base64url')
    const page = new URL(`${portal.oidcEndpoint}/authorize`)
    page.search = new URLSearchParams({
      response_type: 'code',
      client_id: client.clientId,
      redirect_uri: redirectUri,
      state,
      code_challenge_method: 'S256',
      scopes: portal.scopes.join(','),
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    }).toString()
    show([`opening the login page of ${portal.name} in the browser; if none opens, open it by hand:`], page.href)
    const {code} = await callback.answer
    const answer = await callPortal<TokenAnswer>(`${portal.oidcEndpoint}/token`, {
      method: 'POST',
      body: {
        clientId: client.clientId,
        clientSecret: client.clientSecret,
        code,
        codeVerifier: verifier,
        grantType: 'authorization_code',
        redirectUri,
      },
    })
    return {client, answer}
  } finally {
    callback.close()
  }
}
