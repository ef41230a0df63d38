/** A person's login on this machine: opened from the credential store, renewed by exactly one process at a time. */
import {api, type Tokens, type WhoAmI} from '../api.ts'
import {type BrokerClient, createClient} from '../client.ts'
import {loginKey, type PrivateJwk} from '../dpop.ts'
import {ProdError} from '../errors.ts'
import type {Broker, Session} from '../session.ts'
import {chooseBroker, readConfig} from './config.ts'
import {withCredentialLock} from './credential-lock.ts'
import {type CredentialStore, type Credentials, openCredentialStore} from './credential-store.ts'
import {neverWrite} from './output.ts'
import {dropWhoami, keepWhoami} from './whoami-cache.ts'

/** The broker that is meant (flag, `PROD_BROKER`, configuration) with a client whose session opens at the first call. Throws USAGE, INSECURE_URL. */
export async function connectBroker({broker: named}: {broker?: string} = {}): Promise<BrokerClient & {session: () => Promise<Session>}> {
  const broker = chooseBroker(readConfig(), named)
  let opened: Promise<Session> | undefined
  const session = (): Promise<Session> => (opened ??= openSession(broker))
  return {...createClient({broker, session}), session}
}

/** The login at this broker. Throws NOT_LOGGED_IN, KEYCHAIN_UNAVAILABLE, CONFIG_INVALID. */
export async function openSession(broker: Broker): Promise<Session> {
  const store = openCredentialStore()
  const first = await store.find(broker.url)
  if (!first) throw notLoggedIn(broker)
  const key = loginKey(first.privateJwk)
  let now = take(first)
  let underWay: Promise<string> | undefined

  /** One renewal at a time, here and over all processes. What another process has renewed meanwhile is taken over. */
  const renew = (stale: string): Promise<string> => {
    underWay ??= withCredentialLock(async () => {
      const kept = await store.find(broker.url)
      if (!kept || loginKey(kept.privateJwk).thumbprint !== key.thumbprint) throw notLoggedIn(broker)
      now = take(kept.accessToken !== stale && kept.tokenEndsAt > Date.now() ? kept : await refresh(broker, store, kept))
      return now.accessToken
    }).finally(() => (underWay = undefined))
    return underWay
  }

  const session: Session = {
    broker,
    key,
    get principal() {
      return now.principal
    },
    get groups() {
      return now.groups
    },
    get login() {
      return now.login
    },
    get loggedInAt() {
      return now.loggedInAt
    },
    get renewAt() {
      return now.renewAt
    },
    get tokenEndsAt() {
      return now.tokenEndsAt
    },
    async token() {
      if (Date.now() < now.renewAt) return now.accessToken
      try {
        const token = await renew(now.accessToken)
        // beside the command: nothing waits for it
        void import('./kit.ts').then(({renewKit}) => renewKit(createClient({broker, session})))
        return token
      } catch (error) {
        // due is not over: while the broker is out of reach the old one serves to its end
        if (error instanceof ProdError && error.code === 'BROKER_UNREACHABLE' && Date.now() < now.tokenEndsAt) return now.accessToken
        throw error
      }
    },
    renew,
  }
  return session
}

/** Under the lock. Saved before it is used: a process that dies in between gets the same successor for a minute. */
async function refresh(broker: Broker, store: CredentialStore, kept: Credentials): Promise<Credentials> {
  const askedAt = Date.now()
  let tokens: Tokens
  try {
    tokens = await createClient({broker, key: loginKey(kept.privateJwk)}).call(api.refresh, {refreshToken: kept.refreshToken})
  } catch (error) {
    const refused =
      error instanceof ProdError && (error.code === 'TOKEN_INVALID' || error.code === 'LOGIN_EXPIRED' || error.code === 'NOT_LOGGED_IN')
    if (!refused) throw error
    throw new ProdError('LOGIN_EXPIRED', `the login at ${broker.name} has ended`, `prod login --broker ${broker.url}`, {cause: error})
  }
  const next = credentialsOf(broker, kept.privateJwk, tokens, askedAt)
  await store.save(next)
  dropWhoami() // groups may have changed, and of grants and a freeze the renewal says nothing
  return next
}

/** What is kept of the broker's answer. `askedAt`: before the call, so that a slow answer makes no token look younger. Pure. */
export function credentialsOf(broker: Broker, privateJwk: PrivateJwk, tokens: Tokens, askedAt: number): Credentials {
  const lifeMs = tokens.expiresInSeconds * 1000
  return {
    version: 1,
    broker: broker.url,
    privateJwk,
    accessToken: tokens.accessToken,
    refreshToken: tokens.refreshToken,
    renewAt: askedAt + lifeMs - Math.min(60_000, lifeMs / 5),
    tokenEndsAt: askedAt + lifeMs,
    principal: tokens.principal,
    groups: tokens.groups,
    loggedInAt: tokens.loggedInAt,
    login: tokens.login,
  }
}

/** Asks the broker who is calling, and keeps the answer for the fast path. */
export async function askWhoami(client: BrokerClient): Promise<WhoAmI> {
  const who = await client.call(api.whoami)
  keepWhoami(who, client.broker.url)
  return who
}

function take(kept: Credentials): Credentials {
  for (const secret of [kept.accessToken, kept.refreshToken, kept.privateJwk.d]) neverWrite(secret)
  return kept
}

function notLoggedIn({name, url}: Broker): ProdError {
  return new ProdError('NOT_LOGGED_IN', `not logged in to ${name}`, `prod login --broker ${url}`)
}
