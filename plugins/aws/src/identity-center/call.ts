import {setTimeout as wait} from 'node:timers/promises'
import {ProdError} from '@prod/sdk/errors'

/** What the service said no with: `error` of OIDC (RFC 6749 section 5.2), or `__type` of the portal. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly status: number
  readonly kind: string
  constructor(status: number, kind: string) {
    super(`${status} ${kind}`)
    this.status = status
    this.kind = kind
  }
}

const limitMs = 20_000
const tries = 6
/** Doubles each time; a service that names a time is waited for so long, up to this */
const [firstPauseMs, longestPauseMs] = [250, 20_000]

/**
 * One JSON call to an endpoint of IAM Identity Center. Throttled (429) or failing (5xx) it is tried again, later each time; a
 * redirect is no answer (TM-Q6). Throws {@link Refused}, TARGET_UNREACHABLE.
 */
export async function callPortal<T>(url: string, init: {method?: 'POST'; body?: object; token?: string; pauseMs?: number}): Promise<T> {
  const {body, token, method = 'GET', pauseMs = firstPauseMs} = init
  for (let attempt = 1; ; attempt++) {
    let response: Response
    let text: string
    try {
      response = await fetch(url, {
        method,
        redirect: 'error',
        signal: AbortSignal.timeout(limitMs),
        headers: {
          accept: 'application/json',
          ...(body ? {'content-type': 'application/json'} : {}),
          ...(token === undefined ? {} : {'x-amz-sso_bearer_token': token}),
        },
        ...(body ? {body: JSON.stringify(body)} : {}),
      })
      text = await response.text()
    } catch (cause) {
      if (attempt < 3) {
        await wait(pauseMs * 2 ** attempt)
        continue
      }
      throw new ProdError('TARGET_UNREACHABLE', `${new URL(url).origin} cannot be reached`, 'the same command again', {cause})
    }
    const answer = parse(text)
    if (response.ok && answer) return answer as T
    const busy = response.status === 429 || response.status >= 500
    if (!busy || attempt === tries) {
      if (busy || response.ok)
        throw new ProdError('TARGET_UNREACHABLE', `${new URL(url).origin} answers ${response.status}`, 'try again in a minute')
      throw new Refused(response.status, kindOf(response, answer))
    }
    const named = Number(response.headers.get('retry-after')) * 1000
    await wait(Math.min(longestPauseMs, named > 0 ? named : pauseMs * 2 ** (attempt - 1) * (0.5 + Math.random())))
  }
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function kindOf(response: Response, answer: Record<string, unknown> | undefined): string {
  const kind = answer?.error ?? answer?.__type ?? response.headers.get('x-amzn-errortype') ?? 'unknown'
  return String(kind).replace(/^.*#/, '').replace(/:.*$/, '').slice(0, 80)
}
