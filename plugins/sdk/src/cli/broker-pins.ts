/** Who a broker was at first contact (TM-Q8): its receipt key is remembered, and a change of it is never passed over in silence. */
import {join} from 'node:path'
import type {LoginConfiguration} from '../api.ts'
import {ProdError} from '../errors.ts'
import {followsFrom} from '../log/hand-over.ts'
import type {Broker} from '../session.ts'
import {places, readPrivate, writePrivate} from './places.ts'

/** What is remembered of one broker. */
export interface BrokerPin {
  name: string
  /** JWK (Ed25519) that signs receipts and end frames */
  receiptKey: Record<string, string>
  /** C2SP verifier key of its log: that of the first contact, or one that it was handed over to since */
  logKey: string
  /** how the log came to that key, where it had others before */
  handOvers?: string[]
  issuer: string
  development: boolean
  /** ISO 8601 UTC: the first contact */
  since: string
}

function path(): string {
  return join(places().state, 'brokers.json')
}

function readAll(): Record<string, BrokerPin> {
  try {
    return JSON.parse(readPrivate(path()) ?? '{}') as Record<string, BrokerPin>
  } catch (cause) {
    if (cause instanceof ProdError) throw cause
    throw new ProdError('CONFIG_INVALID', `${path()} is damaged`, `rm ${path()}, then prod login`, {cause})
  }
}

/** What is remembered of this broker; undefined before the first login. Throws CONFIG_INVALID. */
export function findPin({url}: Broker): BrokerPin | undefined {
  const all = readAll()
  return Object.hasOwn(all, url) ? all[url] : undefined
}

/**
 * Compares what a broker says of itself with what it said at first contact. Throws SERVER_IDENTITY_CHANGED where its receipt key is another,
 * or its log's key is another that no hand-over leads to; INSECURE_URL where it is reached without TLS and is no development broker, LOGIN_FAILED where it names another origin.
 */
export function checkPin(broker: Broker, said: LoginConfiguration): {first: boolean} {
  if (broker.url.startsWith('http:') && !said.development) {
    throw new ProdError(
      'INSECURE_URL',
      `${broker.url} is no development broker and is reached without TLS`,
      'prod login --broker https://prod.example',
    )
  }
  if (said.origin !== broker.url) {
    throw new ProdError('LOGIN_FAILED', `the broker at ${broker.url} says that it is ${said.origin}`, `prod login --broker ${said.origin}`)
  }
  const pin = findPin(broker)
  if (!pin) return {first: true}
  if (
    pin.receiptKey.x !== said.receiptKey.x ||
    pin.receiptKey.crv !== said.receiptKey.crv ||
    !followsFrom(pin.logKey, said.logKey, said.handOvers ?? [])
  ) {
    throw new ProdError(
      'SERVER_IDENTITY_CHANGED',
      `the keys of ${broker.url} are not those of the first contact on ${pin.since.slice(0, 10)}: somebody else may be answering`,
      `ask who runs it; if its keys were changed on purpose: prod logout --forget --broker ${broker.url}, then prod login`,
    )
  }
  return {first: false}
}

/** Remembers a broker at first contact. What is remembered already stays, but for a log key that was handed over to ({@link checkPin} comes first). */
export function pinBroker({url}: Broker, said: LoginConfiguration, now: Date): void {
  const {name, receiptKey, logKey, handOvers, issuer, development} = said
  const all = readAll()
  const known = Object.hasOwn(all, url) ? all[url] : undefined
  if (known && (known.logKey === logKey || !followsFrom(known.logKey, logKey, handOvers ?? []))) return
  const pin: BrokerPin = known ?? {name, receiptKey, logKey, issuer, development, since: now.toISOString()}
  writePrivate(path(), `${JSON.stringify({...all, [url]: {...pin, logKey, ...(handOvers ? {handOvers} : {})}})}\n`)
}

/** Forgets who a broker was: the next login is a first contact. */
export function forgetPin({url}: Broker): void {
  const {[url]: gone, ...rest} = readAll()
  if (gone) writePrivate(path(), `${JSON.stringify(rest)}\n`)
}
