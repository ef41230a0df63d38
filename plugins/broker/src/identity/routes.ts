import type {Grant} from '@prod/sdk'
import type {LoginConfiguration, WhoAmI} from '@prod/sdk/api'
import {api} from '@prod/sdk/api'
import {openHandOver} from '@prod/sdk/log/hand-over'
import type {FastifyInstance, FastifyRequest} from 'fastify'
import {showFreeze, storedFreeze} from '../freeze/state.ts'
import {credentialsOf, pathOf} from '../http/guard.ts'
import {handle} from '../http/handle.ts'
import {handOversOf} from '../keys.ts'
import type {Caller, Parts} from '../parts.ts'
import {type From, login} from './login.ts'
import {actorOf, endLogin, findLogin, type LoginRecord} from './logins.ts'
import {refresh} from './refresh.ts'

/** Login, renewal, logout, and who is calling. */
export function identityRoutes(app: FastifyInstance, parts: Parts): void {
  const from = (caller: Caller, request: FastifyRequest): From => ({
    url: parts.config.origin + pathOf(request.raw),
    proof: credentialsOf(request.raw).proof,
    address: caller.address,
    correlation: caller.correlation,
  })
  handle(app, parts, api.loginConfiguration, () => loginConfiguration(parts))
  handle(app, parts, api.login, (input, caller, request) => login(parts, input, from(caller, request)))
  handle(app, parts, api.refresh, (input, caller, request) => refresh(parts, input, from(caller, request)))
  handle(app, parts, api.logout, (input, caller) => logout(parts, caller, input))
  handle(app, parts, api.whoami, (_input, caller) => whoAmI(parts, caller))
}

async function loginConfiguration({config, identity, keys, store}: Parts): Promise<LoginConfiguration> {
  const handOvers = await handOversOf(store)
  const last = handOvers.at(-1)
  return {
    name: config.name,
    development: config.development,
    issuer: identity.issuer,
    authorizationEndpoint: await identity.authorizationEndpoint(),
    clientId: identity.clientId,
    scopes: identity.scopes,
    receiptKey: keys.receipt.publicJwk,
    logKey: last === undefined ? keys.log.verifierKey : openHandOver(last).to,
    ...(last === undefined ? {} : {handOvers}),
    origin: config.origin,
  }
}

/** Ends this login, or all of the same identity (TM-Q7). */
async function logout(parts: Parts, caller: Caller, {everywhere = false}: {everywhere?: boolean}): Promise<{ended: number}> {
  const {iss, sub, name} = caller.principal
  const ids = everywhere
    ? (await parts.store.list<LoginRecord>({kind: 'login', owner: `${iss}#${sub}`, state: 'active'})).map(({id}) => id)
    : [caller.login]
  let ended = 0
  for (const id of ids) {
    const {correlation, address} = caller
    const event = {
      type: 'login.ended',
      by: actorOf(caller.principal),
      correlation,
      data: {why: everywhere ? 'logout everywhere' : 'logout'},
      personal: {name, address},
    }
    if (await endLogin(parts, id, event)) ended++
  }
  return {ended}
}

async function whoAmI(parts: Parts, {principal, groups, login, loggedInAt}: Caller): Promise<WhoAmI> {
  const record = await findLogin(parts, login)
  const grants = await parts.store.list<Grant>({kind: 'grant', owner: `${principal.iss}#${principal.sub}`, state: ['approved', 'active']})
  const freeze = showFreeze((await storedFreeze(parts))?.value, parts.store.now())
  return {principal, groups, expiresAt: record?.expiresAt ?? '', loggedInAt, grants: grants.map(({value}) => plainGrant(value)), freeze}
}

function plainGrant({id, state, request, principal, role, provider, startsAt, expiresAt, endedAt}: Grant): Grant {
  return {id, state, request, principal, role, provider, startsAt, expiresAt, endedAt}
}
