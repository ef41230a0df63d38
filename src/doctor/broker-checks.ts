/** What `prod doctor` looks at in the broker: whether it answers, its clock, the login there, and its own findings. */
import type {RequestOptions} from 'node:https'
import {api} from '@prod/sdk/api'
import {showWhen} from '@prod/sdk/cli/durations'
import type {BrokerClient} from '@prod/sdk/client'
import {type Broker, trust} from '@prod/sdk/session'
import {type Finding, findingOf} from './checks.ts'

/** A proof older than a minute does not count (RFC 9449), so a clock may not be off by half of it. */
const maxSkewSeconds = 30
const answerWithinMs = 5000

interface Answer {
  status: number
  date: string | undefined
  tookMs: number
}

/** Whether the broker answers, and whether its clock and ours agree. */
export async function checkReach(broker: Broker): Promise<Finding[]> {
  try {
    const {status, date, tookMs} = await ask(broker)
    if (status !== 200)
      return [{name: 'broker answers', ok: false, detail: `${broker.url} answered ${status}; it may be no broker`, next: 'prod config ls'}]
    return [{name: 'broker answers', ok: true, detail: `in ${Math.round(tookMs)} ms`}, clock(date, tookMs)]
  } catch (error) {
    const {unreachable} = await import('@prod/sdk/broker-errors')
    const finding = findingOf('broker answers', unreachable(broker, error))
    return [
      finding.next === 'prod doctor' ? {...finding, next: 'ask those who run the broker, or name another one with --broker'} : finding,
    ]
  }
}

function clock(date: string | undefined, tookMs: number): Finding {
  const theirs = Date.parse(date ?? '')
  if (Number.isNaN(theirs)) return {name: 'clock', ok: true, detail: 'the broker tells no time'}
  const skew = Math.round(Math.abs(Date.now() - tookMs / 2 - theirs - 500) / 1000) // the header is cut to seconds
  if (skew <= maxSkewSeconds) return {name: 'clock', ok: true, detail: `within ${Math.max(1, skew)} s of the broker's`}
  return {
    name: 'clock',
    ok: false,
    detail: `${skew} s off the broker's; logins and calls are refused`,
    next: 'set this machine by a time server',
  }
}

async function ask(broker: Broker): Promise<Answer> {
  const url = new URL(api.loginConfiguration.path, broker.url)
  const {request} = url.protocol === 'http:' ? await import('node:http') : await import('node:https')
  const from = performance.now()
  return new Promise((resolve, reject) => {
    const options: RequestOptions = {...trust(broker), agent: false, timeout: answerWithinMs}
    const sent = request(url, options, response => {
      response.resume()
      response.once('end', () => resolve({status: response.statusCode ?? 0, date: response.headers.date, tookMs: performance.now() - from}))
    })
    sent.once('timeout', () => sent.destroy(Object.assign(new Error('timed out'), {code: 'ETIMEDOUT'})))
    sent.once('error', reject)
    sent.end()
  })
}

/** Who is logged in and until when, then what the broker says of itself. */
export async function checkLogin(connect: () => Promise<BrokerClient>, now: Date): Promise<Finding[]> {
  const name = 'login'
  try {
    const client = await connect()
    const {principal, loggedInAt, expiresAt} = await client.call(api.whoami)
    const login: Finding = {
      name,
      ok: true,
      detail: `${principal.name} (${principal.sub}), logged in ${showWhen(loggedInAt, now)}, ends ${showWhen(expiresAt, now)}`,
    }
    const {checks} = await client.call(api.doctor)
    return [
      login,
      ...checks.map(({name: what, ok, detail}) => ({
        name: `broker: ${what}`,
        ok,
        detail,
        ...(ok ? {} : {next: 'tell those who run the broker'}),
      })),
    ]
  } catch (error) {
    return [findingOf(name, error, 'prod login')]
  }
}
