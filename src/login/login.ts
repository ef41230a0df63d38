/** One login: a new key, the provider's word for it, the broker's tokens. The broker exchanges the code; we never see the provider's tokens. */
import {createHash, randomBytes} from 'node:crypto'
import {api, type LoginConfiguration, type Tokens, type WhoAmI} from '@prod/sdk/api'
import {checkPin, pinBroker} from '@prod/sdk/cli/broker-pins'
import {listen} from '@prod/sdk/cli/callback'
import {readConfig, writeConfig} from '@prod/sdk/cli/config'
import {withCredentialLock} from '@prod/sdk/cli/credential-lock'
import {openCredentialStore} from '@prod/sdk/cli/credential-store'
import {askWhoami, credentialsOf, openSession} from '@prod/sdk/cli/credentials'
import {createClient} from '@prod/sdk/client'
import {createLoginKey} from '@prod/sdk/dpop'
import {ProdError} from '@prod/sdk/errors'
import {bindingNonce} from '@prod/sdk/login-binding'
import {type Broker, isLoopback} from '@prod/sdk/session'
import {handInBeside} from '../offline/beside.ts'

/** How one login is to be. */
export interface LoginOptions {
  broker: Broker
  /** what the broker is called from now on; else as it was, or as it calls itself */
  name?: string
  /** the provider asks for the person again, however lately it did */
  fresh: boolean
  /** a development provider's person, who consents by itself */
  as?: string
  /** shows the address to a person and opens it */
  show: (url: string) => void
  /** told at first contact who the broker says it is */
  met: (configuration: LoginConfiguration) => void
  limitMs?: number
}

const random = (): string => randomBytes(32).toString('base64url')

/**
 * Logs in and keeps what came of it. Throws LOGIN_FAILED, SERVER_IDENTITY_CHANGED, INSECURE_URL, KEYCHAIN_UNAVAILABLE, BROKER_UNREACHABLE.
 */
export async function login({
  broker,
  name: wanted,
  fresh,
  as,
  show,
  met,
  limitMs = 300_000,
}: LoginOptions): Promise<{who: WhoAmI; name: string}> {
  const store = openCredentialStore()
  // asked before a person is sent to the provider: a locked keychain would waste their way
  await store.find(broker.url)
  const configuration = await createClient({broker}).call(api.loginConfiguration)
  if (checkPin(broker, configuration).first) met(configuration)
  if (as !== undefined && !configuration.development)
    throw new ProdError('USAGE', '--as exists for a development broker alone', 'prod login')

  const {key, privateJwk} = createLoginKey()
  const [salt, verifier, state] = [random(), random(), random()]
  const callback = await listen({state, issuer: configuration.issuer, issRequired: configuration.issRequired === true, limitMs})
  try {
    const url = authorizationUrl(configuration, {
      redirectUri: callback.redirectUri,
      state,
      nonce: bindingNonce(key.thumbprint, salt),
      challenge: createHash('sha256').update(verifier).digest('base64url'),
      fresh,
      ...(as === undefined ? {} : {as}),
    })
    if (as === undefined) show(url)
    else await (await import('./follow.ts')).follow(url, callback.redirectUri)
    const {code, iss} = await callback.answer

    const askedAt = Date.now()
    const {redirectUri} = callback
    const tokens: Tokens = await createClient({broker, key}).call(api.login, {
      code,
      verifier,
      salt,
      redirectUri,
      ...(iss === undefined ? {} : {iss}),
    })
    await withCredentialLock(() => store.save(credentialsOf(broker, privateJwk, tokens, askedAt)))
    pinBroker(broker, configuration, new Date())
  } finally {
    callback.close()
  }
  const name = remember(broker, wanted, configuration.name)
  const client = createClient({broker, session: await openSession(broker)})
  const {fetchKit} = await import('@prod/sdk/cli/kit')
  // a login is worth having without a kit; one that was there belongs to another key
  const [who] = await Promise.all([askWhoami(client), fetchKit(client).catch(() => {})])
  handInBeside(broker, () => openSession(broker))
  return {who, name}
}

/** Puts the broker into the configuration; the first one is the one that is meant where none is named. */
function remember({url, caFile}: Broker, wanted: string | undefined, said: string): string {
  const config = readConfig()
  const brokers = {...config.brokers}
  const known = Object.keys(brokers).find(name => brokers[name]?.url === url)
  const slug = said
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+|-+$/g, '')
    .slice(0, 64)
  const free =
    slug !== '' && !Object.hasOwn(brokers, slug) ? slug : new URL(url).host.replace(/[^a-z0-9._-]+/g, '-').replace(/^-+|-+$/g, '')
  const name = wanted ?? known ?? free
  if (known !== undefined && known !== name) delete brokers[known]
  brokers[name] = {url, ...(caFile === undefined ? {} : {caFile})}
  const meant = config.broker === undefined || config.broker === known ? name : config.broker
  writeConfig({...config, brokers, broker: meant})
  return name
}

interface Authorization {
  redirectUri: string
  state: string
  nonce: string
  challenge: string
  fresh: boolean
  as?: string
}

/** OpenID Connect Core section 3.1.2.1 with RFC 7636 (S256). What the endpoint's own query says stays. Throws INSECURE_URL. */
function authorizationUrl({authorizationEndpoint, clientId, scopes, development}: LoginConfiguration, asked: Authorization): string {
  const url = new URL(authorizationEndpoint)
  if (url.protocol !== 'https:' && !(development && url.protocol === 'http:' && isLoopback(url))) {
    throw new ProdError('INSECURE_URL', `the provider at ${url.origin} is not reached by https`, 'ask who runs the broker')
  }
  const parameters = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: asked.redirectUri,
    scope: scopes.join(' '),
    state: asked.state,
    nonce: asked.nonce,
    code_challenge: asked.challenge,
    code_challenge_method: 'S256',
    ...(asked.fresh ? {prompt: 'login', max_age: '0'} : {}),
    ...(asked.as === undefined ? {} : {login_hint: asked.as}),
  }
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
  return url.href
}
