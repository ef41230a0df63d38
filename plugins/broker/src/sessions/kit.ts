/** The break-glass kit (TM-O6): who may reach what when this broker is gone, signed by it now. Whatever is amiss, there is none. */
import {canonical, sha256} from '@prod/sdk/document'
import {ProdError} from '@prod/sdk/errors'
import {type IssuedKit, type KitChannel, type KitClaims, type KitTarget, kitType, takenBelow} from '@prod/sdk/kit'
import {placeOf, rootOf, standsForMany} from '../catalog/members.ts'
import {storedLogin} from '../identity/logins.ts'
import type {Caller, Parts} from '../parts.ts'
import {person} from '../requests/create.ts'
import {makePlan} from '../requests/plan.ts'
import {reach} from '../runs/program.ts'
import {signAs} from '../runs/receipt.ts'
import {breakGlassAnswer, fromPlace, hasOverdueReview, twoAlertChannels} from './break-glass.ts'

/** a kit goes along with each page that is handed in */
const maxTargets = 500

/** What a kit says of a target that stands for many: whether paths stand for its star, and which of them belong to others. */
function ofMany(parts: Parts, address: string, places: readonly string[]): Pick<KitTarget, 'paths' | 'taken'> {
  if (!standsForMany({address})) return {}
  const taken = takenBelow(rootOf({address}), places)
  return {...(takesPaths(parts, address) ? {paths: true as const} : {}), ...(taken ? {taken} : {})}
}

/** Whether its way in reads two names in the place of the star; the last one has the form of any id. */
function takesPaths(parts: Parts, address: string): boolean {
  try {
    reach(parts, {address: address.replace('*', `a/${'0'.repeat(32)}`)})
    return true
  } catch {
    return false
  }
}

/** A kit for the caller's login, or why there is none. It ends so many hours after the person proved who they are, whenever it was issued. */
export async function issueKit(parts: Parts, caller: Caller): Promise<IssuedKit> {
  const {config, keys, store} = parts
  const none = (why: string): IssuedKit => ({kit: null, why})
  if (config.breakGlass.kitHours === 0) return none('this broker gives out no kits')
  const bundle = parts.bundle()
  const all = [...bundle.catalog.targets.values()]
  const places = all.map(one => (standsForMany(one) ? rootOf(one) : placeOf(one)))
  const targets = all.flatMap(({name, address, environment, shellAs, offline}) => {
    if (!offline) return []
    const plan = makePlan(bundle, {kind: 'shell', target: name, reason: '', incident: 'any'})
    const {decision} = breakGlassAnswer(bundle, plan, caller)
    if (decision !== 'allow') return []
    return [{name, address, environment, shellAs, role: offline.role, ...ofMany(parts, address, places)}]
  })
  if (targets.length > maxTargets) return none(`more than ${maxTargets} targets: let one stand for many, or narrow breakGlass`)
  if (targets.length === 0) return none('no target that you may break glass on is reached without the broker')
  if (!fromPlace(config.places, caller.address)) return none('it is issued in the listed places alone')
  if (await hasOverdueReview(parts, caller)) return none('an earlier break-glass of yours still waits for its review')
  const now = store.now()
  const expiresAt = new Date(Date.parse(caller.loggedInAt) + config.breakGlass.kitHours * 3_600_000)
  if (!(expiresAt > now)) return none('your login is too old: prod login --fresh')
  const found = twoAlertChannels(parts)
  const held =
    found &&
    (await Promise.all(
      found.map(async channel => {
        const own = await channel.forHolder?.(person(caller))
        return own && {name: channel.name, ...own}
      }),
    ))
  if (!held?.every(channel => channel !== undefined)) return none('there are no two alert channels that a person can send to')
  const login = await storedLogin(parts, caller.login)
  if (!login) throw new ProdError('LOGIN_EXPIRED', 'this login has ended', 'prod login')
  const channels: KitChannel[] = held
  const {maxSeconds, remindSeconds, alertSeconds, incidentPattern} = config.breakGlass
  const claims: KitClaims = {
    version: 1,
    id: parts.newId('kit'),
    broker: config.origin,
    development: config.development,
    principal: caller.principal,
    login: caller.login,
    loggedInAt: caller.loggedInAt,
    jwk: login.value.jwk,
    targets,
    channels: channels.map(({name, notifier, config: own}) => ({name, notifier, sha256: sha256(canonical(own))})),
    recipients: config.recordingRecipients,
    incidentPattern,
    maxSeconds,
    remindSeconds,
    alertSeconds,
    issuedAt: now.toISOString(),
    expiresAt: expiresAt.toISOString(),
  }
  await store.commit({
    events: [
      {
        type: 'break-glass.kit-issued',
        by: person(caller),
        subject: claims.id,
        correlation: caller.correlation,
        data: {login: caller.login, targets: targets.map(({name}) => name), expiresAt: claims.expiresAt, bundle: bundle.digest},
        personal: {name: caller.principal.name, address: caller.address},
      },
    ],
  })
  return {kit: await signAs(keys, kitType, JSON.stringify(claims)), channels}
}
