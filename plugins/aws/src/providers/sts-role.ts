/** What a catalog role of provider aws-sts says, and what a session of it may do. Pure. */
import {createHash} from 'node:crypto'
import type {Grant} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {allowPattern, covers, parseAllow} from '@prod/sdk/least-role'
import {readParameters} from './parameters.ts'

/** One IAM role of one account, and how far a session of it reaches. */
export interface StsRole {
  arn: string
  /** the role's name without its path, as IAM's calls take it */
  name: string
  /** of the STS that is asked */
  region: string
  externalId: string | undefined
  /** a role in the same account through which the broker puts the deny on `arn`; undefined: its own credentials may */
  manager: string | undefined
  account: string
  /** patterns of all that `allows` names, wherever it is on; empty: any action */
  actions: string[]
  /** what bounds all of them; empty: nothing does */
  resources: string[]
  /** the same actions by what they are on: `*`, or ARNs of their own */
  grants: {actions: string[]; resources: string[]}[]
  /** empty: all */
  regions: string[]
}

const id = 'aws-sts'
const roleName = /^(?:[\w+=,.@-]+\/)*[\w+=,.@-]{1,64}$/
const regionName = /^[a-z]{2}(?:-[a-z]+)+-\d$/
const fields = {
  account: {form: /^\d{12}$/, required: true},
  role: {form: roleName, required: true},
  region: {form: regionName},
  externalId: {form: /^[\w+=,.@:/-]{2,256}$/},
  manager: {form: roleName},
  actions: {form: new RegExp(`${allowPattern}|^\\*$`), list: true},
  resources: {form: /^arn:[\w*?:/.@+=,#~ -]{1,500}$/, list: true},
  regions: {form: regionName, list: true},
}
/** Most characters of a session policy. Source: `Policy` of AWS STS's AssumeRole. */
export const mostPolicy = 2048

/** Reads the parameters; `actions` are the role's `allows`. Throws CATALOG_INVALID. */
export function parseStsRole(parameters: Record<string, unknown>): StsRole {
  const example = "parameters: { account: '111122223333', role: deploy, regions: [eu-west-1] }"
  const {
    account,
    role = '',
    region = 'us-east-1',
    externalId,
    manager,
    actions: allows = [],
    resources,
    regions,
  } = readParameters(id, parameters, fields, example)
  const partition = region.startsWith('cn-') ? 'aws-cn' : region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws'
  const arnOf = (path: string): string => `arn:${partition}:iam::${account}:role/${path}`
  const parsed: StsRole = {
    arn: arnOf(role),
    name: role.slice(role.lastIndexOf('/') + 1),
    region,
    account: account ?? '',
    externalId,
    manager: manager === undefined ? undefined : arnOf(manager),
    actions: [...new Set(allows.map(text => parseAllow(text).actions))],
    resources: resources ?? [],
    grants: grantsOf(allows),
    regions: regions ?? [],
  }
  // one of the two bounds it: nobody must wonder whether they add up
  if (resources && allows.some(text => parseAllow(text).on !== null))
    throw new ProdError(
      'CATALOG_INVALID',
      `${role} names resources, and in allows resources of single actions too`,
      'take resources out, and write ACTION on ARN for each action in allows',
    )
  const {length} = sessionPolicy(parsed, '2000-01-01T00:00:00.000Z')
  if (length > mostPolicy)
    throw new ProdError(
      'CATALOG_INVALID',
      `the session policy of ${role} has ${length} characters, and AWS takes ${mostPolicy}`,
      'fewer or wider patterns in allows, resources, regions',
    )
  return parsed
}

/**
 * What a session may do at most: what the grant names, until the grant's end (TM-J2). AWS gives no session that is shorter than a
 * quarter of an hour; the condition ends it on time all the same. Another role is assumed only where `allows` says so by name: that
 * session would know nothing of the grant's end.
 */
export function sessionPolicy({actions, resources, grants, regions}: StsRole, until: string): string {
  const chains = actions.some(action => action.toLowerCase() === 'sts:assumerole')
  const statements = [
    ...(grants.length > 0 ? grants : [{actions: ['*'], resources: ['*']}]).map(one => ({
      Effect: 'Allow',
      Action: one.actions.includes('*') ? '*' : one.actions,
      Resource: one.resources.includes('*') ? (resources.length > 0 ? resources : '*') : one.resources,
      Condition: {
        DateLessThan: {'aws:CurrentTime': seconds(until)},
        ...(regions.length > 0 ? {StringEquals: {'aws:RequestedRegion': regions}} : {}),
      },
    })),
    ...(chains ? [] : [{Effect: 'Deny', Action: 'sts:AssumeRole*', Resource: '*'}]),
  ]
  return JSON.stringify({Version: '2012-10-17', Statement: statements})
}

/** Actions put together by what they are on, in the order in which they are written. */
function grantsOf(allows: readonly string[]): StsRole['grants'] {
  const places = new Map<string, string[]>()
  for (const {actions, on} of allows.map(parseAllow)) places.set(actions, [...(places.get(actions) ?? []), on ?? '*'])
  const grants = new Map<string, StsRole['grants'][number]>()
  for (const [actions, all] of places) {
    const resources = all.includes('*') ? ['*'] : [...new Set(all)].sort()
    const key = resources.join(' ')
    const grant = grants.get(key) ?? {actions: [], resources}
    grants.set(key, {...grant, actions: [...grant.actions, actions]})
  }
  return [...grants.values()]
}

/** What the role has an action on: ARNs of its own, or `*`; none: nothing. What stands for several actions is had where one entry has them all. */
export function placesOf({grants}: StsRole, action: string): string[] {
  if (grants.length === 0) return ['*']
  const having = grants.filter(({actions}) => actions.some(pattern => covers(pattern.toLowerCase(), action.toLowerCase())))
  const places = [...new Set(having.flatMap(({resources}) => resources))].sort()
  return places.includes('*') ? ['*'] : places
}

/** Without fractions: IAM's conditions know seconds. Never later than it was. */
export const seconds = (moment: string): string => `${new Date(moment).toISOString().slice(0, 19)}Z`

/** The parameters of AssumeRole for a grant: whose it is, by which request, for how long. `policy`: instead of the grant's own. */
export function assumeParameters(grant: Grant, role: StsRole, now: number, policy?: string): Record<string, string> {
  const left = Math.floor((Date.parse(grant.expiresAt) - now) / 1000)
  const tags = {'prod-grant': grant.id, 'prod-request': grant.request}
  const person = personName(grant)
  return {
    RoleArn: role.arn,
    RoleSessionName: fit(`${grant.request}@${person}`),
    SourceIdentity: person,
    // an hour is what AWS gives to a role that assumes a role; what is left is asked for again
    DurationSeconds: String(Math.max(900, Math.min(3600, left))),
    Policy: policy ?? sessionPolicy(role, grant.expiresAt),
    ...(role.externalId === undefined ? {} : {ExternalId: role.externalId}),
    ...Object.fromEntries(
      Object.entries(tags).flatMap(([key, value], index) => [
        [`Tags.member.${index + 1}.Key`, key],
        [`Tags.member.${index + 1}.Value`, value],
        [`TransitiveTagKeys.member.${index + 1}`, key],
      ]),
    ),
  }
}

/** The person as AWS can write them. One that AWS could not is told from others by a hash. */
function personName({principal}: Grant): string {
  const person = principal.person || `${principal.iss}#${principal.sub}`
  const plain = person.replace(/[^\w+=,.@-]/g, '-')
  if (plain === person && person.length >= 2 && person.length <= 64) return person
  return `${plain.slice(0, 47)}-${createHash('sha256').update(person).digest('hex').slice(0, 16)}`
}

const fit = (text: string): string => text.slice(0, 64)
