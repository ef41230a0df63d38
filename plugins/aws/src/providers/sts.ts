/** Grants as sessions of an IAM role: minted by AssumeRole, refused by a deny on their tag. Nothing is kept but what was denied. */

import {setTimeout as wait} from 'node:timers/promises'
import type {Access, Grant, Known, Permission} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import type {Conferred} from '@prod/sdk/grant-provider'
import {boundedPolicy} from './bounded.ts'
import {AwsRefused, failure, query, textOf, type Way} from './call.ts'
import {denyName, denyUntil, isTooLong, type Revoked, readDeny, writeDeny} from './deny.ts'
import {inTurn} from './in-turn.ts'
import {ownKeys} from './own-keys.ts'
import type {Keys} from './sign.ts'
import {assumeParameters, type StsRole} from './sts-role.ts'

/** A session for the grant's holder, within `bounds` where there are any. Throws DENIED, TARGET_UNREACHABLE, CATALOG_INVALID. */
export async function confer(grant: Grant, role: StsRole, bounds?: readonly Permission[]): Promise<Access> {
  if (Date.parse(grant.expiresAt) <= Date.now()) throw new ProdError('REVOKED', `grant ${grant.id} has ended`, 'prod roles')
  const policy = bounds && boundedPolicy(role, grant.expiresAt, bounds)
  const keys = await assume(await own(role), assumeParameters(grant, role, Date.now(), policy))
  const end = Math.min(Date.parse(grant.expiresAt), keys.expiration?.getTime() ?? Number.POSITIVE_INFINITY)
  return {
    id: grant.id,
    principal: `${grant.principal.iss}#${grant.principal.sub}`,
    credential: {
      AccessKeyId: keys.accessKeyId,
      SecretAccessKey: keys.secretAccessKey,
      SessionToken: keys.sessionToken ?? '',
      Expiration: new Date(end).toISOString(),
      ...(role.regions[0] === undefined ? {} : {Region: role.regions[0]}),
    },
  }
}

/** Puts the grant among those that the role refuses. One that has reached its end needs that no more. */
export async function revoke(grant: Grant, role: StsRole): Promise<void> {
  if (Date.parse(grant.expiresAt) <= Date.now()) return
  await changeDeny(role, new Map([[grant.id, denyUntil(grant.expiresAt)]]))
}

/** Grants whose sessions would be let in: all that are known, but for those that their role refuses. Sweeps what has served its time. */
export async function* list(known?: () => Promise<Known<StsRole>>): AsyncIterable<Conferred> {
  const {roles, grants} = (await known?.()) ?? {roles: [], grants: []}
  for (const [arn, role] of new Map(roles.map(one => [one.arn, one]))) {
    const here = grants.filter(one => one.role.arn === arn)
    const refused = await changeDeny(role, new Map())
    for (const {grant} of here) if (!refused.has(grant.id)) yield {grant: grant.id, expiresAt: grant.expiresAt}
  }
}

const probeMs = 250

/**
 * Asks with a session of its own under the grant's tag, until it is refused where one of another tag is not. Where the role allows
 * neither to ask, AWS's words say which kind of refusal it is. Rejects when `signal` ends it.
 */
export async function refused(grant: Grant, role: StsRole, signal: AbortSignal): Promise<void> {
  const way = await own(role)
  const policy = JSON.stringify({Version: '2012-10-17', Statement: [{Effect: 'Allow', Action: 'iam:GetRole', Resource: '*'}]})
  const probe = (one: Grant): Promise<Keys> => assume(way, assumeParameters(one, role, Date.now(), policy))
  const [keys, control] = await Promise.all([probe(grant), probe({...grant, id: 'grant_probe'})])
  const allowed = (await ask(role, control)) === 'allowed'
  for (;;) {
    const answer = await ask(role, keys)
    if (answer === 'denied' || (allowed && answer === 'refused')) return
    await wait(probeMs, undefined, {signal})
  }
}

async function ask(role: StsRole, keys: Keys): Promise<'allowed' | 'refused' | 'denied'> {
  try {
    await query('iam', {keys, region: role.region}, 'GetRole', {RoleName: role.name})
    return 'allowed'
  } catch (error) {
    if (!(error instanceof AwsRefused) || error.status !== 403) throw error
    return /explicit deny/.test(error.message) ? 'denied' : 'refused'
  }
}

const own = async ({region}: StsRole): Promise<Way> => ({keys: await ownKeys(), region})

/** AssumeRole. Throws DENIED with what AWS refused, TARGET_UNREACHABLE. */
async function assume(way: Way, parameters: Record<string, string>): Promise<Keys> {
  const arn = parameters.RoleArn as string
  let xml: string
  try {
    xml = await query('sts', way, 'AssumeRole', parameters)
  } catch (error) {
    throw failure(error, `the broker may not assume ${arn}`)
  }
  const [accessKeyId, secretAccessKey, sessionToken, expiration] = ['AccessKeyId', 'SecretAccessKey', 'SessionToken', 'Expiration'].map(
    name => textOf(xml, name),
  )
  if (!accessKeyId || !secretAccessKey || !sessionToken || !expiration)
    throw new ProdError('TARGET_UNREACHABLE', 'AWS STS answers without credentials', 'the same command again')
  return {accessKeyId, secretAccessKey, sessionToken, expiration: new Date(expiration)}
}

/** What we have lately put on each role: IAM may answer for some seconds what was there before. By grant: its end, and when it was put. */
const written = new Map<string, Map<string, {until: number; at: number}>>()
const settledSeconds = 60

/** Adds to what a role refuses, takes out what has served its time; answers what it refuses then. One change after another for each role. */
function changeDeny(role: StsRole, added: Revoked): Promise<Revoked> {
  return inTurn(role.arn, async () => {
    const way = await managing(role)
    const now = Math.floor(Date.now() / 1000)
    const before = await readPolicy(way, role)
    const late = [...(written.get(role.arn) ?? [])].filter(([, {at}]) => at > now - settledSeconds)
    const unseen = late.map(([grant, {until}]) => [grant, until] as const)
    const all = new Map([...before, ...unseen, ...added].filter(([, until]) => until > now))
    const same = all.size === before.size && [...all.keys()].every(grant => before.has(grant))
    if (!same) await writePolicy(way, role, all, added, now)
    written.set(role.arn, new Map([...late, ...[...added].map(([grant, until]) => [grant, {until, at: now}] as const)]))
    return all
  })
}

async function readPolicy(way: Way, {name, arn}: StsRole): Promise<Map<string, number>> {
  try {
    const xml = await query('iam', way, 'GetRolePolicy', {RoleName: name, PolicyName: denyName})
    return readDeny(decodeURIComponent(textOf(xml, 'PolicyDocument') ?? '%7B%7D'))
  } catch (error) {
    if (error instanceof AwsRefused && error.code === 'NoSuchEntity') return new Map()
    throw failure(error, `the broker may not read the policies of ${arn}`)
  }
}

async function writePolicy(way: Way, {name, arn}: StsRole, revoked: Revoked, added: Revoked, now: number): Promise<void> {
  const document = writeDeny(revoked, now)
  if (document !== undefined && isTooLong(document, added))
    throw new ProdError(
      'LIMIT_REACHED',
      `${arn} refuses ${revoked.size} grants and uses, and IAM has no room for more`,
      'deny the role to everybody by hand',
    )
  try {
    if (document === undefined) await query('iam', way, 'DeleteRolePolicy', {RoleName: name, PolicyName: denyName})
    else await query('iam', way, 'PutRolePolicy', {RoleName: name, PolicyName: denyName, PolicyDocument: document})
  } catch (error) {
    throw failure(error, `the broker may not put a deny on ${arn}`)
  }
}

/** Whose credentials change the role: the account's managing role, or the broker's own. */
async function managing(role: StsRole): Promise<Way> {
  const way = await own(role)
  if (role.manager === undefined) return way
  const parameters = {
    RoleArn: role.manager,
    RoleSessionName: 'prod-broker',
    DurationSeconds: '900',
    ...(role.externalId === undefined ? {} : {ExternalId: role.externalId}),
  }
  return {...way, keys: await assume(way, parameters)}
}
