/** An identity provider as others run one, for tests: oidc-provider with its own pages, over https, on an address of this machine that is not loopback. */
import {generateKeyPairSync, randomBytes} from 'node:crypto'
import {createServer} from 'node:https'
import type {AddressInfo} from 'node:net'
import {networkInterfaces} from 'node:os'
import ipaddr from 'ipaddr.js'
import Provider from 'oidc-provider'

/** An address of this machine where a provider may live, as a URL has it; undefined on a machine that has none. */
export function outsideAddress(): string | undefined {
  const usable = ['private', 'uniqueLocal', 'unicast']
  return Object.values(networkInterfaces())
    .flatMap(list => list ?? [])
    .find(({internal, address, scopeid}) => !internal && !scopeid && usable.includes(ipaddr.process(address).range()))?.address
}

/** The host of an address in a URL. */
export const hostOf = (address: string): string => (address.includes(':') ? `[${address}]` : address)

/** Somebody whom the provider knows. */
export interface Account {
  sub: string
  name: string
  groups: string[]
  employee_id: string
}

/** Starts it; whoever says the `sub` of an account is that one, by whatever password. */
export async function startForeignProvider(
  address: string,
  tls: {key: string; cert: string},
  {clientId, clientSecret, accounts}: {clientId: string; clientSecret: string; accounts: Account[]},
): Promise<{issuer: string; stop(): Promise<void>}> {
  const server = createServer(tls)
  await new Promise<void>(resolve => server.listen(0, address, resolve))
  const issuer = `https://${hostOf(address)}:${(server.address() as AddressInfo).port}`
  const jwk = generateKeyPairSync('rsa', {modulusLength: 2048}).privateKey.export({format: 'jwk'})
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: clientId,
        client_secret: clientSecret,
        application_type: 'native',
        redirect_uris: ['http://127.0.0.1/callback'],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        require_auth_time: true,
      },
    ],
    jwks: {keys: [{...jwk, use: 'sig', alg: 'RS256', kid: 'r1'}]},
    cookies: {keys: [randomBytes(32).toString('base64url')]},
    scopes: ['openid', 'offline_access', 'profile', 'groups'],
    claims: {openid: ['sub', 'employee_id'], profile: ['name'], groups: ['groups']},
    // the groups are told by userinfo alone, as OpenID Connect has it by default; the person id in the ID token
    conformIdTokenClaims: true,
    issueRefreshToken: () => true,
    findAccount: (_ctx, sub) => {
      const found = accounts.find(one => one.sub === sub)
      return found && {accountId: found.sub, claims: () => ({...found})}
    },
  })
  server.on('request', provider.callback())
  return {
    issuer,
    stop: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
