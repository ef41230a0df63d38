/**
 * The break-glass kit (TM-O6): what a broker signs at login, so that the CLI can open a shell on its own when the broker is gone. It says who may
 * reach what, until when and how loudly; it holds no credential of any cloud, and is worth nothing without the login key it names. Pure.
 */
import {sha256} from './document.ts'
import type {Principal} from './domain.ts'
import type {PublicJwk} from './login-binding.ts'

/** `typ` of the compact JWS, by the broker's receipt key. */
export const kitType = 'prod-kit+jws'

/** A target that may be reached without the broker. */
export interface KitTarget {
  name: string
  /** `primitive:where` */
  address: string
  environment: string
  /** OS account of the shell; null: the primitive's own choice */
  shellAs: string | null
  /** the person's own role that reaches it, as `prod roles` names it */
  role: string
  /** of one that stands for many: what stands for the star may be a path (`web/app`) */
  paths?: true
  /** of one that stands for many: what the catalog names itself among them, and so has no name through this one; absent: nothing */
  taken?: TakenPlaces
}

/** Places that belong to others, told by their SHA-256 alone: a kit names nothing that its holder may not see. */
export interface TakenPlaces {
  /** the places */
  at: string[]
  /** what holds them, up to where the star stands */
  above: string[]
}

/** One of the alert channels, for this person alone. What is in `config` is secret, so it stands beside the kit; the kit has its digest. */
export interface KitChannel {
  name: string
  /** id of a notifier */
  notifier: string
  config: Record<string, unknown>
}

/** What a kit says. Moments are ISO 8601 UTC. */
export interface KitClaims {
  version: 1
  /** `kit_…` */
  id: string
  /** the broker's origin */
  broker: string
  development: boolean
  principal: Principal
  /** the login it was issued to, and when the person proved to the provider who they are */
  login: string
  loggedInAt: string
  /** public half of the login key: it signs the spool */
  jwk: PublicJwk
  targets: KitTarget[]
  /** each must accept an alert before anything opens; `sha256` of {@link KitChannel.config} as RFC 8785 text */
  channels: {name: string; notifier: string; sha256: string}[]
  /** age recipients of the recording */
  recipients: string[]
  incidentPattern: string
  maxSeconds: number
  remindSeconds: number
  alertSeconds: number
  issuedAt: string
  expiresAt: string
}

/** The broker's answer: a kit, or why there is none. */
export type IssuedKit = {kit: string; channels: KitChannel[]} | {kit: null; why: string}

/** What of these places (addresses without their pins) lies below a root, as a kit says it. Pure. */
export function takenBelow(root: string, places: readonly string[]): TakenPlaces | undefined {
  const below = places.filter(place => place.startsWith(`${root}/`))
  if (below.length === 0) return undefined
  const hashes = (all: string[]): string[] => [...new Set(all)].sort().map(sha256)
  return {at: hashes(below), above: hashes(below.flatMap(place => prefixes(root, place).slice(0, -1)))}
}

/** The target of a kit that a name or an address means; one of many too (`NAME/WHICH`), as far as it is no other target's. Pure. */
export function findKitTarget({targets}: Pick<KitClaims, 'targets'>, name: string): KitTarget | undefined {
  const own = targets.find(target => target.name === name || target.address === name)
  if (own) return own
  const slash = name.indexOf('/')
  const many = slash < 0 ? undefined : targets.find(target => target.name === name.slice(0, slash))
  const id = name.slice(slash + 1)
  if (!many || !member.test(id) || (id.includes('/') && !many.paths) || !/^[^?]*\/\*(?:\?|$)/.test(many.address)) return undefined
  const address = many.address.replace('*', id)
  const place = placeOf(address)
  const same = targets.find(target => placeOf(target.address) === place)
  if (same) return same
  const {at = [], above = []} = many.taken ?? {}
  const root = many.address.slice(0, many.address.indexOf('/*'))
  if (above.includes(sha256(place)) || prefixes(root, place).some(one => at.includes(sha256(one)))) return undefined
  const {taken: _, paths: __, ...rest} = many
  return {...rest, name, address}
}

const member = /^(?:[A-Za-z0-9][A-Za-z0-9._-]{0,127}(?:\/(?!$)|$)){1,4}$/

const placeOf = (address: string): string => address.replace(/\?.*$/s, '')

/** All below the root that leads to a place, it too: `root/a`, `root/a/b`. */
function prefixes(root: string, place: string): string[] {
  const names = place.slice(root.length + 1).split('/')
  return names.map((_, at) => [root, ...names.slice(0, at + 1)].join('/'))
}
