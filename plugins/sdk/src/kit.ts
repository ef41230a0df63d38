/**
 * The break-glass kit (TM-O6): what a broker signs at login, so that the CLI can open a shell on its own when the broker is gone. It says who may
 * reach what, until when and how loudly; it holds no credential of any cloud, and is worth nothing without the login key it names. Pure.
 */
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
