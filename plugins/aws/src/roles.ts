/** The roles a person has on this machine: profiles, and what IAM Identity Center was seen to offer. No network, no SDK. */
import type {ToolClass} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {readAllows} from '@prod/sdk/least-role'
import type {LocalRole, LocalRoles} from '@prod/sdk/role-source'
import {type AwsConfig, readAwsConfig, type Settings} from './config/files.ts'
import {awsPaths} from './config/paths.ts'
import {accountOf, type Chain, chainOf, describeChain, hasCredentials} from './config/profile.ts'
import {listedRoles} from './identity-center/listed.ts'
import {keepRoles, keptRoles, statesOf} from './kept-roles.ts'
import {usesOf} from './used.ts'

const classes = ['read', 'change', 'admin'] as const

/** All of them, the most used first, then by name. */
export function listRoles(env: NodeJS.ProcessEnv = process.env): LocalRoles {
  const states = statesOf(awsPaths(env))
  const kept = keptRoles(states)
  const {roles, faults} = kept === undefined ? collect(env) : {roles: kept, faults: []}
  if (kept === undefined && faults.length === 0) keepRoles(states, roles)
  const uses = usesOf()
  if (uses.size === 0) return {roles, faults}
  const used = roles.filter(({name}) => uses.has(name)).map(role => ({...role, used: round(uses.get(role.name) ?? 0)}))
  return {roles: [...used.sort((a, b) => b.used - a.used), ...roles.filter(({name}) => !uses.has(name))], faults}
}

/** All of them by name, as the files say now. */
function collect(env: NodeJS.ProcessEnv): LocalRoles {
  const config = readAwsConfig(env)
  const profiles = [...config.profiles]
    .filter(([, settings]) => hasCredentials(settings))
    .map(([name, settings]) => fromProfile(config, name, settings))
  // a role that a profile names already is shown once
  const named = new Set(profiles.map(({portalRole}) => portalRole).filter(Boolean))
  const listed = listedRoles(config)
    .filter(({session, account, role}) => !named.has(`${session}/${account}/${role}`))
    .map(({name, session, account, accountName, role}) => ({
      name,
      source: 'aws identity center',
      summary: `${role} in ${accountName || account}, IAM Identity Center ${session}`,
      account,
      ...knownByName(role),
      fault: null,
      used: 0,
    }))
  const roles = [...profiles.map(({portalRole: _, ...role}) => role), ...listed]
  return {roles: roles.sort((a, b) => (a.name < b.name ? -1 : 1)), faults: config.faults}
}

const round = (value: number): number => Math.round(value * 100) / 100

function fromProfile(config: AwsConfig, name: string, settings: Settings): LocalRole & {portalRole: string | undefined} {
  const base = {name, source: 'aws profile', used: 0}
  try {
    const chain = chainOf(config, name)
    const account = accountOfChain(chain)
    const {source, steps} = chain
    const roleName = steps.at(-1)?.roleArn.split('/').at(-1) ?? (source.kind === 'portal' ? source.role : '')
    return {
      ...base,
      summary: describeChain(chain),
      account,
      ...(known(settings) ?? knownByName(roleName)),
      fault: null,
      portalRole: source.kind === 'portal' && steps.length === 0 ? `${source.portal.name}/${source.account}/${source.role}` : undefined,
    }
  } catch (error) {
    if (!(error instanceof ProdError)) throw error
    const fault = error.message.replace(`AWS profile ${name}: `, '')
    return {...base, summary: 'cannot be used as it stands', account: null, allows: null, class: null, fault, portalRole: undefined}
  }
}

function accountOfChain({source, steps}: Chain): string | null {
  const last = steps.at(-1)
  return (last ? accountOf(last.roleArn) : source.kind === 'portal' ? source.account : undefined) ?? null
}

/** What the person wrote beside the profile: `prod_allows = s3:Get*, s3:List* on arn:aws:s3:::reports` and `prod_class = read`. AWS tools pass both over. */
function known(settings: Settings): {allows: string[]; class: ToolClass | null} | undefined {
  const text = settings.get('prod_allows')
  if (text === undefined) return undefined
  const kind = classes.find(name => name === settings.get('prod_class')) ?? null
  return {allows: readAllows(text), class: kind}
}

/** The one name that says all: the policy AdministratorAccess allows every action. What a name merely suggests is not known. */
function knownByName(role: string): {allows: string[] | null; class: ToolClass | null} {
  return role === 'AdministratorAccess' ? {allows: ['*:*'], class: 'admin'} : {allows: null, class: null}
}
