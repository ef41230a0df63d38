/** A broker's role for a local program: the grant that is held already, else a request that is waited for. */
import type {Grant} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import type {CatalogView} from '@prod/sdk/catalog-view'
import {Interrupted, interruptedStatus} from '@prod/sdk/cli/failure'
import {followRequest} from '@prod/sdk/cli/follow'
import {newKey} from '@prod/sdk/cli/key'
import {keepingRefusal} from '@prod/sdk/cli/last-failure'
import {say} from '@prod/sdk/cli/output'
import {takeReason} from '@prod/sdk/cli/reason'
import type {BrokerClient} from '@prod/sdk/client'
import {ProdError} from '@prod/sdk/errors'
import {showDuration} from '@prod/sdk/grammar/duration'
import type {Session} from '@prod/sdk/session'

/** What is asked for, where nothing serves that is there. */
export interface Wish {
  /** `--reason`; asked for at the terminal */
  reason?: string
  /** in seconds; else an hour, or what the role gives at most */
  duration?: number
  incident?: string
  /** does not wait for whoever approves */
  nowait: boolean
  /** milliseconds that the grant must last */
  remaining?: number
  onInterrupt(act: ((times: number) => void) | undefined): void
}

/** A client with its broker and the person's session. */
export type Connected = BrokerClient & {session: () => Promise<Session>}

const usualSeconds = 3600
/** What ends so soon is as good as ended. */
const leastMs = 30_000

/** The broker's roles, as the caller sees them. */
export async function catalogRoles(client: Pick<BrokerClient, 'call'>): Promise<CatalogView['roles']> {
  return (await client.call(api.catalog)).roles
}

/**
 * An active grant of the role, or `pending`: the id of the request that nobody waits for. A grant that is held is used again; one
 * that does not last long enough only another approval makes longer. Throws ROLE_NOT_FOUND, REQUEST_DENIED and what the broker says.
 */
export async function obtainGrant(client: Connected, name: string, wish: Wish): Promise<Grant | {pending: string}> {
  const held = await heldGrant(client, name)
  const left = held ? Date.parse(held.expiresAt) - Date.now() : 0
  if (held && left >= (wish.remaining ?? leastMs)) return held
  if (held) say(`grant ${held.id} of ${name} lasts ${showDuration(Math.max(1, Math.floor(left / 1000)))} more: asking for another`)
  const session = await client.session()
  const request = (await pendingRequest(client, name)) ?? (await ask(client, name, wish))
  if (request.state === 'pending' && wish.nowait) return {pending: request.id}
  const decided =
    request.state === 'pending'
      ? await followRequest({
          broker: client.broker,
          session,
          request,
          onInterrupt: wish.onInterrupt,
          cancel: () => client.call(api.cancelRequest, {id: request.id}),
        })
      : request
  const {grants} = await client.call(api.listGrants, {})
  const grant = grants.find(({id}) => id === decided.result)
  if (!grant) throw new ProdError('GRANT_NOT_FOUND', `request ${decided.id} came to no grant`, `prod request show ${decided.id}`)
  return grant
}

async function heldGrant(client: Connected, name: string): Promise<Grant | undefined> {
  const {grants} = await client.call(api.listGrants, {})
  const now = new Date().toISOString()
  const mine = grants.filter(
    ({role, state, startsAt}) => role === name && (state === 'active' || (state === 'approved' && startsAt <= now)),
  )
  return mine.sort((a, b) => (a.expiresAt < b.expiresAt ? 1 : -1))[0]
}

/** One that waits already, of another shell or of before. */
async function pendingRequest(client: Connected, name: string) {
  const {requests} = await client.call(api.listRequests, {state: 'pending', mine: 'true'})
  return requests.find(({kind, summary, startAt}) => kind === 'role' && startAt === null && summary.startsWith(`the role ${name} for `))
}

/** Makes the request. Ctrl-C while the broker has yet to answer takes it back as soon as it has. */
async function ask(client: Connected, name: string, {reason: given, duration, incident, onInterrupt}: Wish) {
  const role = (await catalogRoles(client)).find(one => one.name === name)
  if (!role) throw new ProdError('ROLE_NOT_FOUND', `there is no role ${name} here or at the broker`, 'prod roles')
  const {reason} = await takeReason(given)
  let interrupted = false
  onInterrupt(times => {
    if (times > 1) process.exit(interruptedStatus)
    interrupted = true
  })
  try {
    const request = await keepingRefusal({role: name}, () =>
      client.call(api.createRequest, {
        key: newKey(),
        role: name,
        reason,
        durationSeconds: duration ?? Math.min(usualSeconds, role.maxSeconds),
        ...(incident === undefined ? {} : {incident}),
      }),
    )
    if (!interrupted) return request
    await client.call(api.cancelRequest, {id: request.id})
    throw new Interrupted()
  } finally {
    onInterrupt(undefined)
  }
}
