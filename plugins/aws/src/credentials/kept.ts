/** Credentials as they are kept between two commands, and whether they still serve. The fast path loads this: nothing heavy here. */

/** What a `credential_process` answers; `Version` is 1. Source: the AWS CLI's user guide, "Sourcing credentials with an external process". */
export interface ProcessCredentials {
  Version: 1
  AccessKeyId: string
  SecretAccessKey: string
  SessionToken?: string
  /** ISO 8601; absent: they do not end by themselves */
  Expiration?: string
}

/** One role's credentials, with all that a command needs to hand them on without reading the AWS files again. */
export interface Kept {
  version: 1
  name: string
  credentials: ProcessCredentials & {Expiration: string}
  /** when they were asked for, in milliseconds of this machine's clock */
  from: number
  /** state of the AWS files they were made from (`fileStates`) */
  files: string
  /** hash of what the files say of this role: other lines may change */
  digest: string
  child: ChildSettings
}

/** What the child's environment has besides the way to the credentials. */
export interface ChildSettings {
  region: string | null
  /** a copy of the config file without `[default]`'s credentials, which would be taken before ours; null: none are there */
  configFile: string | null
  /** whether `[default]` of the credentials file would be taken before ours */
  hidesCredentials: boolean
  /** `prod_browser_profile` of the profile */
  browserProfile?: string
}

/** The name under which a role is kept: of a file too. Undefined for one that is too long. */
export function keptName(name: string): string | undefined {
  const safe = encodeURIComponent(name).replaceAll('.', '%2E')
  return safe.length <= 200 ? safe : undefined
}

/** Reads what was kept; what is damaged is as good as absent. */
export function parseKept(text: string | undefined, name: string): Kept | undefined {
  try {
    const kept = JSON.parse(text ?? '') as Kept
    return kept.version === 1 && kept.name === name && Number.isFinite(lifeLeft(kept.credentials, 0)) ? kept : undefined
  } catch {
    return undefined
  }
}

/** Milliseconds until they end; Infinity where they do not. */
export function lifeLeft({Expiration}: ProcessCredentials, now: number): number {
  return Expiration === undefined ? Number.POSITIVE_INFINITY : Date.parse(Expiration) - now
}

/** A quarter of an hour, or a third of a short life: the AWS SDKs begin to ask again so long before the end. */
const usualRemaining = 15 * 60_000

/** Whether they live as long as asked (milliseconds), else long enough for a command to begin with. Pure. */
export function isFresh(kept: {credentials: ProcessCredentials; from: number}, now: number, remaining?: number): boolean {
  // a clock that was set back: nothing that is counted from it holds
  if (now < kept.from - 60_000) return false
  const left = lifeLeft(kept.credentials, now)
  return left >= (remaining ?? Math.min(usualRemaining, lifeLeft(kept.credentials, kept.from) / 3))
}
