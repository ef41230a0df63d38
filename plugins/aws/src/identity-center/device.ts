/** The device flow (RFC 8628), where there is no browser on this machine: the person types a code elsewhere. */
import {setTimeout as wait} from 'node:timers/promises'
import {ProdError} from '@prod/sdk/errors'
import type {Portal} from '../config/profile.ts'
import {callPortal, Refused} from './call.ts'
import {type Client, register, type TokenAnswer} from './client.ts'

const grantType = 'urn:ietf:params:oauth:grant-type:device_code'

interface Authorization {
  deviceCode: string
  userCode: string
  verificationUri: string
  verificationUriComplete?: string
  expiresIn: number
  interval?: number
}

/** Shows an address and a code, and asks until the person has confirmed it there. Throws {@link Refused}, LOGIN_FAILED, TARGET_UNREACHABLE. */
export async function authorizeByDevice(
  portal: Portal,
  show: (lines: string[], url: string) => void,
  limitMs: number,
): Promise<{client: Client; answer: TokenAnswer}> {
  const client = await register(portal, {grantTypes: [grantType, 'refresh_token']})
  const {clientId, clientSecret} = client
  const device = await callPortal<Authorization>(`${portal.oidcEndpoint}/device_authorization`, {
    method: 'POST',
    body: {clientId, clientSecret, startUrl: portal.startUrl},
  })
  const page = device.verificationUriComplete ?? device.verificationUri
  if (URL.parse(page)?.protocol !== 'https:' && !URL.parse(page)?.hostname.startsWith('127.')) {
    throw new ProdError('LOGIN_FAILED', `IAM Identity Center ${portal.name} sends you to a page that is not https`, 'ask who runs it')
  }
  show([`log in to ${portal.name} at this page, on any machine, and compare the code: ${device.userCode}`], page)
  const endsAt = Date.now() + Math.min(limitMs, device.expiresIn * 1000)
  let pauseMs = (device.interval ?? 5) * 1000
  while (Date.now() + pauseMs < endsAt) {
    await wait(pauseMs)
    try {
      const answer = await callPortal<TokenAnswer>(`${portal.oidcEndpoint}/token`, {
        method: 'POST',
        body: {clientId, clientSecret, deviceCode: device.deviceCode, grantType},
      })
      return {client, answer}
    } catch (error) {
      if (!(error instanceof Refused) || !/^(authorization_pending|slow_down)$/.test(error.kind)) throw error
      if (error.kind === 'slow_down') pauseMs += 5000
    }
  }
  throw new ProdError('LOGIN_FAILED', `nobody confirmed the code ${device.userCode} in time`, 'prod roles --refresh')
}
