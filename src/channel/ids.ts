/** Ids as people type them: checked before anything is sent, or chosen from a list where none was given. */
import type {Grant, Principal, Request, Review, Session} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {type Choice, pick} from '@prod/sdk/cli/ask'
import {showWhen} from '@prod/sdk/cli/durations'
import type {BrokerClient} from '@prod/sdk/client'
import {ProdError} from '@prod/sdk/errors'

/** What has an id. */
export type Kind = 'request' | 'run' | 'session' | 'grant' | 'review'

type Broker = Pick<BrokerClient, 'call'>

const kinds: Record<Kind, {prefix: string; list: string}> = {
  request: {prefix: 'req', list: 'prod request ls'},
  run: {prefix: 'run', list: 'prod request ls'},
  session: {prefix: 'ses', list: 'prod sessions ls'},
  grant: {prefix: 'grant', list: 'prod grant ls'},
  review: {prefix: 'rev', list: 'prod review ls'},
}

/** The id, if it has the form of one of these kinds. Throws USAGE, naming the list where the right one stands. Pure. */
export function checkId(id: string, of: readonly [Kind, ...Kind[]]): string {
  const form = new RegExp(`^(?:${of.map(kind => kinds[kind].prefix).join('|')})_[0-9a-z]{8,40}$`)
  if (form.test(id)) return id
  throw new ProdError('USAGE', `${id} is not the id of a ${of.join(' or ')}`, kinds[of[0]].list)
}

/** What was typed, checked; where nothing was, what is picked among `choices`. `command` is what stands before the id. */
async function take(
  given: string | undefined,
  {of, command, choices}: {of: readonly [Kind, ...Kind[]]; command: string; choices: () => Promise<Choice<string>[]>},
): Promise<string> {
  if (given !== undefined) return checkId(given, of)
  return pick({what: of[0], choices, instead: `prod ${command} ID; ${kinds[of[0]].list} has them`})
}

/** A request among those that `fits` lets through. */
export function takeRequest(
  broker: Broker,
  given: string | undefined,
  {command, fits = () => true, none}: {command: string; fits?: (request: Request) => boolean | Promise<boolean>; none?: string},
): Promise<string> {
  return take(given, {
    of: ['request'],
    command,
    async choices() {
      const {requests} = await broker.call(api.listRequests, {})
      const fitting = await Promise.all(requests.map(async request => fits(request)))
      const found = requests.filter((_, index) => fitting[index])
      if (found.length === 0 && none !== undefined) throw new ProdError('USAGE', none, kinds.request.list)
      return found.map(choiceOfRequest)
    },
  })
}

/** A session among those that `fits` lets through; `orRun`: a run's id may be typed too. */
export function takeSession(
  broker: Broker,
  given: string | undefined,
  {command, fits = () => true, orRun = false}: {command: string; fits?: (session: Session) => boolean; orRun?: boolean},
): Promise<string> {
  return take(given, {
    of: orRun ? ['session', 'run'] : ['session'],
    command,
    choices: async () => (await broker.call(api.listSessions)).sessions.filter(fits).map(choiceOfSession),
  })
}

/** What can be taken up again: my requests that wait or run, my open sessions; any run's id may be typed. */
export function takeAttachable(broker: Broker, given: string | undefined, me: () => Promise<Principal>): Promise<string> {
  return take(given, {
    of: ['request', 'run', 'session'],
    command: 'attach',
    async choices() {
      const [{requests}, {sessions}, principal] = await Promise.all([
        broker.call(api.listRequests, {mine: 'true'}),
        broker.call(api.listSessions),
        me(),
      ])
      const live = requests.filter(one => one.kind === 'exec' && ['pending', 'approved', 'started'].includes(one.state))
      const open = sessions.filter(one => one.state === 'open' && isSame(one.principal, principal))
      return [...open.map(choiceOfSession), ...live.map(choiceOfRequest)]
    },
  })
}

/** A review that waits. */
export function takeReview(broker: Broker, given: string | undefined, command: string): Promise<string> {
  return take(given, {
    of: ['review'],
    command,
    choices: async () => (await broker.call(api.listReviews)).reviews.filter(one => one.state === 'open').map(choiceOfReview),
  })
}

/** A grant of mine that is not over. */
export function takeGrant(broker: Broker, given: string | undefined, command: string): Promise<string> {
  return take(given, {
    of: ['grant'],
    command,
    choices: async () => (await broker.call(api.listGrants, {})).grants.filter(one => one.endedAt === null).map(choiceOfGrant),
  })
}

/** Whether both are one person, as the broker tells them apart. Pure. */
export function isSame(one: Principal, other: Principal): boolean {
  if (one.iss === other.iss && one.sub === other.sub) return true
  return one.person !== '' && one.person.toLowerCase() === other.person.toLowerCase()
}

function choiceOfRequest({id, principal, summary, reason, state}: Request): Choice<string> {
  return {name: id, note: `${state === 'pending' ? '' : `${state}, `}${principal.name}: ${summary}  ${reason}`, value: id}
}

function choiceOfSession({id, state, principal, target, openedAt, reason}: Session): Choice<string> {
  return {name: id, note: `${state}, ${principal.name} on ${target.name}, ${showWhen(openedAt, new Date())}  ${reason}`, value: id}
}

function choiceOfReview({id, session, principal, target, dueAt}: Review): Choice<string> {
  return {name: id, note: `${session} of ${principal.name} on ${target.name}, due ${showWhen(dueAt, new Date())}`, value: id}
}

function choiceOfGrant({id, role, state, expiresAt}: Grant): Choice<string> {
  return {name: id, note: `${role}, ${state}, until ${showWhen(expiresAt, new Date())}`, value: id}
}
