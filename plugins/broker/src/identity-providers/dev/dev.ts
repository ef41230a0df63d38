/**
 * The identity provider of a development broker: a real one (oidc-provider), on a loopback port of its own, in the broker's process.
 * It consents by itself when `login_hint` names a person; else a page asks who to be. The broker talks to it like to any other issuer.
 */
import {generateKeyPairSync, randomBytes} from 'node:crypto'
import {readFileSync} from 'node:fs'
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http'
import {join} from 'node:path'
import {ProdError} from '@prod/sdk/errors'
import Provider, {type JWK} from 'oidc-provider'
import {listen} from '../../http/listen.ts'
import {openFolder, openSecret, replaceFile} from '../../keys.ts'
import type {IdentityProvider} from '../identity-provider.ts'
import {openOidc} from '../oidc/oidc.ts'
import {openMemory} from './memory.ts'
import {type DevPerson, openPeople} from './people.ts'

export interface DevSettings {
  /** the broker's data folder: keys, memory and people.json lie there */
  dir: string
  clientId: string
  /** 0: the one it had before, else any free */
  issuerPort: number
  now?: () => Date
}

export interface DevProvider extends IdentityProvider {
  /** names for `prod login --as NAME` */
  people(): string[]
  close(): Promise<void>
}

const scopes = ['openid', 'offline_access', 'profile', 'groups']
const maxHops = 8
const policy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** Starts the provider and opens it. Throws PORT_IN_USE. */
export async function openDev({dir, clientId, issuerPort, now}: DevSettings): Promise<DevProvider> {
  openFolder(dir)
  const people = openPeople(dir)
  const secrets = readSecrets(dir)
  const memory = openMemory(join(dir, 'dev-provider.sqlite'))
  let answer: (request: IncomingMessage, response: ServerResponse) => void = (_request, response) => response.writeHead(503).end()
  const server = createServer({headersTimeout: 7000, requestTimeout: 8000, connectionsCheckingInterval: 1000}, (request, response) =>
    answer(request, response),
  )
  const port = await listenAgain(server, dir, issuerPort)
  const issuer = `http://127.0.0.1:${port}`
  answer = door(issuer, makeProvider(issuer, clientId, people, secrets, memory.adapter), people)
  const oidc = openOidc({
    development: true,
    issuer,
    clientId,
    clientSecret: null,
    scopes,
    groupsClaim: 'groups',
    personClaim: 'person',
    ...(now === undefined ? {} : {now}),
  })
  return {
    ...oidc,
    people: () => [...people().keys()],
    close: () =>
      new Promise(resolve => {
        server.close(() => {
          memory.close()
          resolve()
        })
        server.closeAllConnections()
      }),
  }
}

function makeProvider(
  issuer: string,
  clientId: string,
  people: () => Map<string, DevPerson>,
  secrets: Secrets,
  adapter: ReturnType<typeof openMemory>['adapter'],
): Provider {
  const provider = new Provider(issuer, {
    adapter,
    clients: [
      {
        client_id: clientId,
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        redirect_uris: ['http://127.0.0.1/', 'http://127.0.0.1/callback', 'http://[::1]/', 'http://[::1]/callback'], // any port: RFC 8252 section 7.3
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        require_auth_time: true,
        id_token_signed_response_alg: 'ES256',
      },
    ],
    jwks: {keys: [secrets.jwk]},
    cookies: {keys: [secrets.cookie]},
    scopes,
    claims: {openid: ['sub'], profile: ['name', 'person'], groups: ['groups']},
    conformIdTokenClaims: false,
    responseTypes: ['code'],
    pkce: {required: () => true},
    features: {devInteractions: {enabled: false}, rpInitiatedLogout: {enabled: false}},
    interactions: {url: (_ctx, interaction) => `/interaction/${interaction.uid}`},
    findAccount: (_ctx, sub) => {
      const found = [...people().values()].find(one => one.sub === sub)
      return found && {accountId: sub, claims: () => ({...found})}
    },
    issueRefreshToken: () => true,
    expiresWithSession: () => false,
    rotateRefreshToken: false,
    ttl: {AccessToken: 300, AuthorizationCode: 60, IdToken: 3600, RefreshToken: 13 * 3600, Grant: 13 * 3600, Interaction: 60, Session: 60},
    clientBasedCORS: () => false,
    renderError: (ctx, {error, error_description}) => {
      ctx.type = 'text/plain'
      ctx.body = `${error}: ${error_description ?? 'the login cannot go on'}\n`
    },
  })
  return provider
}

/** Host checked (TM-A4); the page; the way through for a named person; the rest is the provider's. */
function door(
  issuer: string,
  provider: Provider,
  people: () => Map<string, DevPerson>,
): (request: IncomingMessage, response: ServerResponse) => void {
  const {host} = new URL(issuer)
  const serve = provider.callback()
  // known to this process alone: marks the steps that the way through takes by itself
  const inside = randomBytes(16).toString('base64url')
  const act = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    // one written form: what a parser takes for another origin (`//host`, `http://host`) is no page of ours
    const url = /^\/(?![/\\])/.test(request.url ?? '') ? URL.parse(request.url as string, issuer) : null
    if (url?.origin !== issuer) return text(response, 404, 'not found\n')
    if (request.headers['x-inside'] === inside) {
      if (url.pathname.startsWith('/interaction/')) return consent(provider, people(), request, response)
      await serve(request, response)
      return
    }
    if (url.pathname.startsWith('/interaction/')) return text(response, 404, 'not found\n')
    if (url.pathname !== '/auth') {
      await serve(request, response)
      return
    }
    if (request.method !== 'GET') return text(response, 405, 'method not allowed\n')
    const hint = url.searchParams.get('login_hint')
    if (hint !== null && people().has(hint)) return goThrough(url, inside, response)
    page(response, url, [...people().values()], hint)
  }
  return (request, response) => {
    if (request.headers.host !== host) return text(response, 421, 'unknown host\n')
    act(request, response).catch(() => {
      if (!response.headersSent) text(response, 500, 'the login cannot go on\n')
    })
  }
}

/** Walks the provider's own steps with cookies that nobody else sees, until it sends the person back to the client. */
async function goThrough(start: URL, inside: string, response: ServerResponse): Promise<void> {
  const jar = new Map<string, string>()
  let url = start
  for (let hop = 0; hop < maxHops; hop++) {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const step = await fetch(url, {redirect: 'manual', headers: {'x-inside': inside, cookie}})
    for (const line of step.headers.getSetCookie()) {
      const [, name, value] = /^([^=;]+)=([^;]*)/.exec(line) ?? []
      if (name !== undefined && value !== undefined) jar.set(name, value)
    }
    const location = step.headers.get('location')
    if (location === null) return text(response, step.status, await step.text())
    await step.body?.cancel()
    const next = new URL(location, url)
    if (next.origin !== start.origin) {
      response.writeHead(303, {location: next.href, 'cache-control': 'no-store', 'referrer-policy': 'no-referrer'}).end()
      return
    }
    url = next
  }
  text(response, 500, 'the login cannot go on\n')
}

/** Says yes for the person that the login names. */
async function consent(
  provider: Provider,
  people: Map<string, DevPerson>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const {params} = await provider.interactionDetails(request, response)
  const person = people.get(String(params.login_hint))
  if (!person) return text(response, 400, 'there is nobody of that name\n')
  const grant = new provider.Grant({accountId: person.sub, clientId: String(params.client_id)})
  grant.addOIDCScope(scopes.join(' '))
  const grantId = await grant.save()
  await provider.interactionFinished(
    request,
    response,
    {login: {accountId: person.sub}, consent: {grantId}},
    {mergeWithLastSubmission: false},
  )
}

/** Who to be: links, no script. Choosing is the same request again, with the name in it. */
function page(response: ServerResponse, url: URL, people: DevPerson[], hint: string | null): void {
  const links = people.map(({name, groups}) => {
    const chosen = new URL(url)
    chosen.searchParams.set('login_hint', name)
    return `<li><a href="${html(chosen.pathname + chosen.search)}">${html(name)}</a> (${html(groups.join(', ') || 'no group')})</li>`
  })
  const unknown = hint === null ? '' : `<p>There is nobody called ${html(hint)} here.</p>`
  response.writeHead(hint === null ? 200 : 404, {'content-type': 'text/html; charset=utf-8', ...pageHeaders})
  response.end(`<!doctype html><html lang="en"><meta charset="utf-8"><title>Log in</title><h1>Who do you want to be?</h1>
<p>This is a development broker. Nobody checks who you are.</p>${unknown}<ul>${links.join('')}</ul></html>\n`)
}

const pageHeaders = {
  'content-security-policy': policy,
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
}

function text(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, {...pageHeaders, 'content-type': 'text/plain; charset=utf-8'}).end(body)
}

function html(value: string): string {
  return value.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}

interface Secrets {
  jwk: JWK
  cookie: string
}

function readSecrets(dir: string): Secrets {
  const folder = join(dir, 'keys')
  openFolder(folder)
  const make = (): Buffer => {
    const jwk = generateKeyPairSync('ec', {namedCurve: 'P-256'}).privateKey.export({format: 'jwk'})
    return Buffer.from(
      JSON.stringify({
        jwk: {...jwk, use: 'sig', alg: 'ES256', kid: randomBytes(8).toString('hex')},
        cookie: randomBytes(32).toString('base64url'),
      }),
    )
  }
  return JSON.parse(openSecret(join(folder, 'dev-provider.json'), make).toString('utf8')) as Secrets
}

/** The issuer's port is part of everybody's identity: kept over restarts where it can be. */
async function listenAgain(server: Server, dir: string, wanted: number): Promise<number> {
  const file = join(dir, 'dev-provider.port')
  if (wanted !== 0) return listen(server, {host: '127.0.0.1', port: wanted})
  const before = portIn(file)
  if (before > 0) {
    try {
      return await listen(server, {host: '127.0.0.1', port: before})
    } catch (error) {
      if (!(error instanceof ProdError && error.code === 'PORT_IN_USE')) throw error
    }
  }
  const port = await listen(server, {host: '127.0.0.1', port: 0})
  replaceFile(file, String(port))
  return port
}

function portIn(file: string): number {
  try {
    const port = Number(readFileSync(file, 'utf8'))
    return Number.isInteger(port) && port < 65_536 ? port : 0
  } catch {
    return 0
  }
}
