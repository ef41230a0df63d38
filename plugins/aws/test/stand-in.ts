/**
 * What AWS is for these tests, on a free port of this machine: STS, the portal and the OIDC service of IAM Identity Center, the sign-in
 * service of the console. Written from the API references, apart from the client. It knows what it gave out, and whom it refuses.
 */
import {createHash, randomBytes} from 'node:crypto'
import {EventEmitter, once} from 'node:events'
import {createServer, type IncomingMessage} from 'node:http'
import type {AddressInfo} from 'node:net'

/** One stand-in. Its fields may be changed while it runs. */
export interface StandIn {
  url: string
  /** each call, as `AssumeRole arn…`, `GET /assignment/accounts` */
  calls: string[]
  /** parameters of the last AssumeRole */
  assumed: Record<string, string>
  /** role ARNs, or role names of the portal, that are refused */
  denied: Set<string>
  /** whether a deny ends the sessions that were begun so far */
  revoked: () => boolean
  /** what it waits before an answer, in milliseconds */
  slowMs: number
  /** what every answer waits for */
  held: Promise<void> | undefined
  /** how long credentials live */
  lifeSeconds: number
  /** the code that each MFA device shows */
  mfa: Map<string, string>
  /** roles that want a session with a code no older than so many milliseconds */
  guarded: Map<string, number>
  /** accounts of the portal, with their roles */
  accounts: {id: string; name: string; roles: string[]}[]
  /** so many further portal calls are answered 429 */
  throttled: number
  /** whether a person confirms a device code */
  confirms: boolean
  tokenLifeSeconds: number
  /** ends every login, as an administrator does: no token serves any more, nor renews one */
  endLogins(): void
  /** moves the service's clock */
  skipMs(ms: number): void
  /** logins that were completed */
  logins: number
  /** every secret it has given out */
  secrets: Set<string>
  /** what the sign-in service was given */
  signIns: string[]
  /** resolves when the next call has come in, before it is answered */
  called(): Promise<unknown>
}

interface Given {
  arn: string
  endsAt: number
  /** when its MFA code was typed */
  mfaAt?: number
}

const random = (): string => randomBytes(24).toString('base64url')

/** Starts one; it ends with the test. */
export async function startStandIn(onTestFinished: (finish: () => Promise<void>) => void): Promise<StandIn> {
  let skippedMs = 0
  const now = (): number => Date.now() + skippedMs
  const keys = new Map<string, Given>()
  const tokens = new Map<string, number>()
  const refreshTokens = new Set<string>()
  const codes = new Map<string, {challenge: string; redirectUri: string}>()
  const devices = new Set<string>()
  const clients = new Map<string, string>()
  const coming = new EventEmitter()
  const standIn: StandIn = {
    url: '',
    calls: [],
    assumed: {},
    denied: new Set(),
    revoked: () => false,
    slowMs: 0,
    held: undefined,
    lifeSeconds: 3600,
    mfa: new Map(),
    guarded: new Map(),
    accounts: [],
    throttled: 0,
    confirms: true,
    tokenLifeSeconds: 8 * 3600,
    endLogins() {
      tokens.clear()
      refreshTokens.clear()
    },
    skipMs(ms) {
      skippedMs += ms
    },
    logins: 0,
    secrets: new Set(),
    signIns: [],
    called: () => once(coming, 'call'),
  }

  const give = (arn: string): {id: string; secret: string; token: string; endsAt: number} => {
    const [id, secret, token] = [`ASIA${random().replace(/[-_]/g, 'X').slice(0, 16).toUpperCase()}`, random(), random()]
    const endsAt = now() + standIn.lifeSeconds * 1000
    keys.set(id, {arn, endsAt})
    standIn.secrets.add(secret).add(token)
    return {id, secret, token, endsAt}
  }
  const giveToken = (): {accessToken: string; refreshToken: string; expiresIn: number; tokenType: string} => {
    const [accessToken, refreshToken] = [random(), random()]
    tokens.set(accessToken, now() + standIn.tokenLifeSeconds * 1000)
    refreshTokens.add(refreshToken)
    standIn.secrets.add(accessToken).add(refreshToken)
    return {accessToken, refreshToken, expiresIn: standIn.tokenLifeSeconds, tokenType: 'Bearer'}
  }

  type Answer = [status: number, body: string | object, headers?: Record<string, string>]

  const sts = (params: URLSearchParams, authorization: string): Answer => {
    const action = params.get('Action') ?? ''
    const fail = (code: string, message: string): Answer => [
      403,
      `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`,
    ]
    const caller = /Credential=([^/]+)\//.exec(authorization)?.[1] ?? ''
    const by = keys.get(caller)
    if (caller.startsWith('ASIA') && !by) return fail('InvalidClientTokenId', 'The security token included in the request is invalid')
    if (by && by.endsAt < now()) return fail('ExpiredToken', 'The security token included in the request is expired')
    const wrap = (inner: string): Answer => [
      200,
      `<${action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${action}Result>${inner}</${action}Result></${action}Response>`,
    ]
    if (action === 'GetCallerIdentity') {
      standIn.calls.push(action)
      const arn = by?.arn ?? `arn:aws:iam::111122223333:user/${caller}`
      return wrap(`<Arn>${arn}</Arn><UserId>AIDA</UserId><Account>${arn.split(':')[4]}</Account>`)
    }
    if (action === 'GetSessionToken') {
      const device = params.get('SerialNumber') ?? ''
      standIn.calls.push(`${action} ${device}`)
      if (by) return fail('AccessDenied', 'Cannot call GetSessionToken with session credentials')
      if (standIn.mfa.get(device) !== params.get('TokenCode'))
        return fail('AccessDenied', 'MultiFactorAuthentication failed with invalid MFA one time pass code.')
      const given = give(`arn:aws:iam::111122223333:user/${caller}`)
      const endsAt = now() + Number(params.get('DurationSeconds')) * 1000
      keys.set(given.id, {arn: `arn:aws:iam::111122223333:user/${caller}`, endsAt, mfaAt: now()})
      return wrap(
        `<Credentials><AccessKeyId>${given.id}</AccessKeyId><SecretAccessKey>${given.secret}</SecretAccessKey><SessionToken>${given.token}</SessionToken><Expiration>${new Date(endsAt).toISOString()}</Expiration></Credentials>`,
      )
    }
    if (action === 'ListAccountAliases') {
      standIn.calls.push(action)
      const why = standIn.revoked() ? 'with an explicit deny in an identity-based policy' : 'because no identity-based policy allows it'
      return fail('AccessDenied', `User: ${by?.arn} is not authorized to perform: iam:ListAccountAliases on resource: * ${why}`)
    }
    const role = params.get('RoleArn') ?? ''
    standIn.calls.push(`${action} ${role}`)
    standIn.assumed = Object.fromEntries(params)
    if (standIn.denied.has(role))
      return fail('AccessDenied', `User: ${by?.arn ?? caller} is not authorized to perform: sts:AssumeRole on resource: ${role}`)
    const youngest = standIn.guarded.get(role)
    if (youngest !== undefined && !(by?.mfaAt !== undefined && now() - by.mfaAt <= youngest))
      return fail('AccessDenied', `User: ${by?.arn ?? caller} is not authorized to perform: sts:AssumeRole on resource: ${role}`)
    const serial = params.get('SerialNumber')
    if (serial !== null && standIn.mfa.get(serial) !== params.get('TokenCode'))
      return fail('AccessDenied', 'MultiFactorAuthentication failed with invalid MFA one time pass code.')
    const {id, secret, token, endsAt} = give(
      `${role.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/')}/${params.get('RoleSessionName')}`,
    )
    return wrap(
      `<Credentials><AccessKeyId>${id}</AccessKeyId><SecretAccessKey>${secret}</SecretAccessKey><SessionToken>${token}</SessionToken><Expiration>${new Date(endsAt).toISOString()}</Expiration></Credentials><AssumedRoleUser><Arn>${role}</Arn><AssumedRoleId>AROA:x</AssumedRoleId></AssumedRoleUser>`,
    )
  }

  const portal = (url: URL, bearer: string): Answer => {
    standIn.calls.push(`GET ${url.pathname}`)
    if (standIn.throttled > 0) {
      standIn.throttled -= 1
      return [429, {message: 'slow down'}, {'x-amzn-errortype': 'TooManyRequestsException'}]
    }
    if (!((tokens.get(bearer) ?? 0) > now()))
      return [401, {message: 'Session token not found or invalid'}, {'x-amzn-errortype': 'UnauthorizedException'}]
    const page = <T>(all: T[]): {items: T[]; nextToken?: string} => {
      const from = Number(url.searchParams.get('next_token') ?? 0)
      const size = Math.min(3, Number(url.searchParams.get('max_result') ?? 3))
      return {items: all.slice(from, from + size), ...(from + size < all.length ? {nextToken: String(from + size)} : {})}
    }
    const account = standIn.accounts.find(({id}) => id === url.searchParams.get('account_id'))
    if (url.pathname === '/assignment/accounts') {
      const {items, nextToken} = page(standIn.accounts)
      return [200, {accountList: items.map(({id, name}) => ({accountId: id, accountName: name, emailAddress: 'x@y.example'})), nextToken}]
    }
    if (!account) return [403, {message: 'No access'}, {'x-amzn-errortype': 'ForbiddenException'}]
    if (url.pathname === '/assignment/roles') {
      const {items, nextToken} = page(account.roles)
      return [200, {roleList: items.map(roleName => ({roleName, accountId: account.id})), nextToken}]
    }
    const role = url.searchParams.get('role_name') ?? ''
    if (!account.roles.includes(role) || standIn.denied.has(role))
      return [403, {message: 'No access'}, {'x-amzn-errortype': 'ForbiddenException'}]
    const {id, secret, token, endsAt} = give(`arn:aws:sts::${account.id}:assumed-role/AWSReservedSSO_${role}_0123456789abcdef/person`)
    return [200, {roleCredentials: {accessKeyId: id, secretAccessKey: secret, sessionToken: token, expiration: endsAt}}]
  }

  const oidc = (path: string, body: Record<string, string>): Answer => {
    standIn.calls.push(`POST ${path}`)
    if (path === '/client/register') {
      const [clientId, clientSecret] = [random(), random()]
      clients.set(clientId, clientSecret)
      standIn.secrets.add(clientSecret)
      return [200, {clientId, clientSecret, clientSecretExpiresAt: Math.floor(now() / 1000) + 90 * 86_400}]
    }
    if (clients.get(body.clientId ?? '') !== body.clientSecret) return [401, {error: 'invalid_client'}]
    if (path === '/device_authorization') {
      const deviceCode = random()
      devices.add(deviceCode)
      return [
        200,
        {
          deviceCode,
          userCode: 'ABCD-EFGH',
          verificationUri: `${standIn.url}/device`,
          verificationUriComplete: `${standIn.url}/device?user_code=ABCD-EFGH`,
          expiresIn: 600,
          interval: 0.05,
        },
      ]
    }
    if (body.grantType === 'refresh_token') {
      if (!refreshTokens.delete(body.refreshToken ?? '')) return [400, {error: 'invalid_grant'}]
      return [200, giveToken()]
    }
    if (body.grantType === 'authorization_code') {
      const code = codes.get(body.code ?? '')
      codes.delete(body.code ?? '')
      const challenge = createHash('sha256')
        .update(body.codeVerifier ?? '')
        .digest('base64url')
      if (!code || code.challenge !== challenge || code.redirectUri !== body.redirectUri) return [400, {error: 'invalid_grant'}]
      standIn.logins += 1
      return [200, giveToken()]
    }
    if (!devices.has(body.deviceCode ?? '')) return [400, {error: 'invalid_grant'}]
    if (!standIn.confirms) return [400, {error: 'authorization_pending'}]
    standIn.logins += 1
    devices.delete(body.deviceCode ?? '')
    return [200, giveToken()]
  }

  const answer = async (request: IncomingMessage): Promise<Answer> => {
    const url = new URL(request.url ?? '/', standIn.url)
    let text = ''
    for await (const piece of request.setEncoding('utf8')) text += piece as string
    coming.emit('call')
    await standIn.held
    if (standIn.slowMs > 0) await new Promise(resolve => setTimeout(resolve, standIn.slowMs))
    if (url.pathname === '/federation') {
      const params = new URLSearchParams(text || url.search)
      standIn.signIns.push(params.get('Session') ?? '')
      const {sessionId, sessionToken} = JSON.parse(params.get('Session') ?? '{}') as {sessionId?: string; sessionToken?: string}
      if (!sessionToken || !keys.has(sessionId ?? '')) return [400, 'bad session']
      const token = random()
      standIn.secrets.add(token)
      return [200, {SigninToken: token}]
    }
    if (url.pathname === '/authorize') {
      const code = random()
      const redirectUri = url.searchParams.get('redirect_uri') ?? ''
      codes.set(code, {challenge: url.searchParams.get('code_challenge') ?? '', redirectUri})
      return [302, '', {location: `${redirectUri}?code=${code}&state=${url.searchParams.get('state')}`}]
    }
    if (request.method === 'GET') return portal(url, String(request.headers['x-amz-sso_bearer_token'] ?? ''))
    if (url.pathname === '/') return sts(new URLSearchParams(text), request.headers.authorization ?? '')
    return oidc(url.pathname, JSON.parse(text) as Record<string, string>)
  }

  const server = createServer((request, response) => {
    void answer(request).then(([status, body, headers = {}]) => {
      const json = typeof body === 'object'
      response.writeHead(status, {'content-type': json ? 'application/json' : 'text/xml', ...headers})
      response.end(json ? JSON.stringify(body) : body)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  standIn.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  return standIn
}
