/** The kit as this machine holds it: opened only where the broker signed it, it is not past its end, and the login key is the one that it names. */
import {findPin} from '@prod/sdk/cli/broker-pins'
import {openSession} from '@prod/sdk/cli/credentials'
import {showClock} from '@prod/sdk/cli/durations'
import {findKit} from '@prod/sdk/cli/kit'
import {canonical, sha256} from '@prod/sdk/document'
import type {LoginKey} from '@prod/sdk/dpop'
import {ProdError} from '@prod/sdk/errors'
import {findKitTarget, type KitChannel, type KitClaims, type KitTarget, kitType} from '@prod/sdk/kit'
import {thumbprint} from '@prod/sdk/login-binding'
import type {Broker} from '@prod/sdk/session'
import {verifyJws} from '../channel/jws.ts'

/** A kit that is good now, with the key that signs for it. */
export interface OpenKit {
  jws: string
  claims: KitClaims
  channels: KitChannel[]
  key: LoginKey
}

/** before its issue by the broker's clock a kit is not good; clocks differ by so much */
const toleranceMs = 60_000
const mend = 'prod login, as soon as the broker answers'

/** The kit of the login at this broker. Throws KIT_INVALID and says why there is none, NOT_LOGGED_IN. */
export async function openKit(broker: Broker, now: Date = new Date()): Promise<OpenKit> {
  const refuse = (why: string, next = mend) => new ProdError('KIT_INVALID', why, next)
  const {key} = await openSession(broker)
  const kept = await findKit(broker.url)
  if (!kept) throw refuse(`there is no break-glass kit of ${broker.name} on this machine`)
  if (kept.kit === null) throw refuse(`${broker.name} gave no break-glass kit: ${kept.why}`, 'ask those who run the broker')
  const claims = readKit(broker, kept.kit)
  if (thumbprint(claims.jwk) !== key.thumbprint) throw refuse('the break-glass kit is that of another login')
  if (claims.broker !== broker.url) throw refuse(`the break-glass kit is one of ${claims.broker}`)
  if (now.getTime() < Date.parse(claims.issuedAt) - toleranceMs) throw refuse('the clock of this machine stands before the kit was issued')
  if (now.toISOString() >= claims.expiresAt) throw refuse(`the break-glass kit ended at ${showClock(claims.expiresAt, now)}`)
  const {channels} = kept
  const same =
    channels.length === claims.channels.length &&
    claims.channels.every(({name, notifier, sha256: due}, index) => {
      const one = channels[index] as KitChannel
      return one.name === name && one.notifier === notifier && sha256(canonical(one.config)) === due
    })
  if (!same || channels.length < 2) throw refuse('the alert channels beside the break-glass kit are not those that the broker signed')
  return {jws: kept.kit, claims, channels, key}
}

/** What a kit says, by the receipt key that was pinned at login. Throws KIT_INVALID. */
export function readKit(broker: Broker, jws: string): KitClaims {
  const pin = findPin(broker)
  try {
    if (pin) return JSON.parse(verifyJws(pin.receiptKey, jws, kitType)) as KitClaims
  } catch (cause) {
    throw new ProdError('KIT_INVALID', `the break-glass kit is not signed by ${broker.name}`, mend, {cause})
  }
  throw new ProdError('KIT_INVALID', `the keys of ${broker.name} are not known here`, mend)
}

/** The target that a name or an address means, one of many too (`NAME/WHICH`). Throws KIT_INVALID. Pure. */
export function targetIn(claims: KitClaims, name: string): KitTarget {
  const found = findKitTarget(claims, name)
  if (found) return found
  throw new ProdError(
    'KIT_INVALID',
    `the break-glass kit does not name ${name}; it names ${claims.targets.map(one => one.name).join(', ') || 'no target'}`,
    'prod break-glass status',
  )
}
