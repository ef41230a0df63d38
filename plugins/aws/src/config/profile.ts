/** What a profile is made of: from which source, over which roles. Pure. */
import {ProdError} from '@prod/sdk/errors'
import type {AwsConfig, Settings} from './files.ts'

/** A session of IAM Identity Center. `tokenKey` names its token's file: the session, or the start URL of a profile of the older form. */
export interface Portal {
  name: string
  tokenKey: string
  startUrl: string
  region: string
  scopes: string[]
  /** from the configuration alone, never from the environment (TM-Q6) */
  portalEndpoint: string
  oidcEndpoint: string
}

/** A role to be assumed with what the step before gave. */
export interface AssumeStep {
  profile: string
  roleArn: string
  sessionName: string | undefined
  externalId: string | undefined
  mfaSerial: string | undefined
  durationSeconds: number | undefined
  region: string | undefined
}

/** Where the first credentials come from. */
export type Source =
  | {kind: 'keys'; profile: string; settings: Settings}
  | {kind: 'portal'; portal: Portal; account: string; role: string}
  | {kind: 'other'; profile: string; how: 'credential_process' | 'web identity' | 'login' | 'credential_source'}

/** How the credentials of a profile are had: a source, then roles one after the other. */
export interface Chain {
  name: string
  source: Source
  steps: AssumeStep[]
  region: string | undefined
}

const longestChain = 20

/** Whether a profile says anything about credentials, and not of a region alone. */
export function hasCredentials(settings: Settings): boolean {
  return [
    'role_arn',
    'aws_access_key_id',
    'credential_process',
    'web_identity_token_file',
    'sso_session',
    'sso_start_url',
    'sso_account_id',
    'login_session',
    'credential_source',
  ].some(key => settings.has(key))
}

/** How a profile is had. Throws ROLE_NOT_FOUND where there is none of this name, CONFIG_INVALID where it leads nowhere. */
export function chainOf(config: AwsConfig, name: string): Chain {
  const first = config.profiles.get(name)
  if (!first) throw new ProdError('ROLE_NOT_FOUND', `there is no AWS profile ${name}`, 'prod roles')
  const steps: AssumeStep[] = []
  const seen = new Set<string>()
  let at = name
  for (;;) {
    const settings = config.profiles.get(at)
    if (!settings) throw invalid(name, `its source_profile ${at} is not there`)
    if (seen.has(at)) throw invalid(name, `its source_profile goes in a circle: ${[...seen, at].join(' → ')}`)
    if (seen.size >= longestChain) throw invalid(name, `its chain of source_profile is longer than ${longestChain}`)
    seen.add(at)
    const next = settings.get('source_profile')
    if (!settings.has('role_arn') || next === undefined)
      return {name, source: sourceOf(config, at, settings), steps, region: regionOf(config, name)}
    if (settings.has('credential_source')) throw invalid(at, 'it has both source_profile and credential_source')
    steps.unshift(stepOf(at, settings))
    // a profile may name itself: the role is assumed with its own keys
    if (next === at) {
      if (!settings.has('aws_access_key_id')) throw invalid(name, `its source_profile goes in a circle: ${at} → ${at}`)
      return {name, source: {kind: 'keys', profile: at, settings}, steps, region: regionOf(config, name)}
    }
    at = next
  }
}

function invalid(name: string, why: string): ProdError {
  return new ProdError('CONFIG_INVALID', `AWS profile ${name}: ${why}`, 'mend it in ~/.aws/config')
}

function regionOf(config: AwsConfig, name: string): string | undefined {
  return config.profiles.get(name)?.get('region')
}

function stepOf(profile: string, settings: Settings): AssumeStep {
  const seconds = settings.get('duration_seconds')
  if (seconds !== undefined && !/^\d{3,5}$/.test(seconds)) throw invalid(profile, `duration_seconds is ${seconds}, not 900 to 43200`)
  return {
    profile,
    roleArn: settings.get('role_arn') ?? '',
    sessionName: settings.get('role_session_name'),
    externalId: settings.get('external_id'),
    mfaSerial: settings.get('mfa_serial'),
    durationSeconds: seconds === undefined ? undefined : Number(seconds),
    region: settings.get('region'),
  }
}

/** In the order in which the SDK looks. */
function sourceOf(config: AwsConfig, name: string, settings: Settings): Source {
  if (settings.has('role_arn') && settings.has('credential_source')) return {kind: 'other', profile: name, how: 'credential_source'}
  if (settings.has('aws_access_key_id') && settings.has('aws_secret_access_key')) return {kind: 'keys', profile: name, settings}
  if (settings.has('role_arn') && settings.has('web_identity_token_file')) return {kind: 'other', profile: name, how: 'web identity'}
  if (settings.has('credential_process')) return {kind: 'other', profile: name, how: 'credential_process'}
  if (['sso_session', 'sso_start_url', 'sso_account_id'].some(key => settings.has(key))) {
    const [account, role] = [settings.get('sso_account_id'), settings.get('sso_role_name')]
    if (!account || !role) throw invalid(name, 'sso_account_id and sso_role_name belong together')
    return {kind: 'portal', portal: portalOf(config, name, settings), account, role}
  }
  if (settings.has('login_session')) return {kind: 'other', profile: name, how: 'login'}
  throw invalid(name, settings.has('role_arn') ? 'role_arn needs source_profile or credential_source' : 'it names no credentials')
}

function portalOf(config: AwsConfig, profile: string, settings: Settings): Portal {
  const session = settings.get('sso_session')
  if (session !== undefined) return sessionPortal(config, session, settings)
  const startUrl = settings.get('sso_start_url')
  if (!startUrl) throw invalid(profile, 'it has neither sso_session nor sso_start_url')
  return makePortal(config, startUrl, startUrl, settings, settings)
}

/** A session by its name. `profile`: the settings that use it, which may name other endpoints. Throws CONFIG_INVALID. */
export function sessionPortal(config: AwsConfig, name: string, profile?: Settings): Portal {
  const session = config.sessions.get(name)
  if (!session) throw new ProdError('CONFIG_INVALID', `there is no [sso-session ${name}]`, 'mend it in ~/.aws/config')
  return makePortal(config, name, name, session, profile)
}

function makePortal(config: AwsConfig, name: string, tokenKey: string, from: Settings, profile: Settings | undefined): Portal {
  const [startUrl, region] = [from.get('sso_start_url') ?? '', from.get('sso_region') ?? '']
  const wrong = (what: string): ProdError => new ProdError('CONFIG_INVALID', `SSO session ${name}: ${what}`, 'mend it in ~/.aws/config')
  if (!/^[a-z]{2}(-[a-z]+)+-\d$/.test(region)) throw wrong(`sso_region ${region || 'is missing'}${region && ' is no region'}`)
  if (!isTrusted(startUrl)) throw wrong(startUrl ? `sso_start_url ${startUrl} is not https` : 'sso_start_url is missing')
  const suffix = region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'
  const endpoint = (service: string, host: string): string => {
    const services = config.services.get(profile?.get('services') ?? from.get('services') ?? '')
    const url = services?.get(`${service}.endpoint_url`) ?? `https://${host}.${region}.${suffix}`
    if (!isTrusted(url)) throw wrong(`its endpoint ${url} is not https`)
    return url.replace(/\/+$/, '')
  }
  return {
    name,
    tokenKey,
    startUrl,
    region,
    scopes: (from.get('sso_registration_scopes') ?? 'sso:account:access').split(/[\s,]+/).filter(Boolean),
    portalEndpoint: endpoint('sso', 'portal.sso'),
    oidcEndpoint: endpoint('sso_oidc', 'oidc'),
  }
}

/** https, or this very machine by a literal address. */
function isTrusted(text: string): boolean {
  const url = URL.parse(text)
  return (
    url !== null && !url.username && !url.password && (url.protocol === 'https:' || /^http:\/\/(127\.0\.0\.1|\[::1\])(:|\/|$)/.test(text))
  )
}

/** How a profile is had, in a line: `role ReadOnly in 111122223333, through base, with MFA`. */
export function describeChain({source, steps}: Chain): string {
  const last = steps.at(-1)
  const from =
    source.kind === 'keys'
      ? `keys of ${source.profile}`
      : source.kind === 'portal'
        ? `${source.role} in ${source.account}, IAM Identity Center ${source.portal.name}`
        : source.how
  if (!last) return from
  const mfa = steps.some(({mfaSerial}) => mfaSerial) ? ', with MFA' : ''
  return `role ${last.roleArn.split('/').at(-1)} in ${accountOf(last.roleArn) ?? '?'}, through ${from}${mfa}`
}

/** The account in an ARN. */
export function accountOf(arn: string): string | undefined {
  return /^arn:[\w-]+:[\w-]*:[\w-]*:(\d{12}):/.exec(arn)?.[1]
}
