/**
 * Grants as account assignments of IAM Identity Center: made, deleted, and asked after until they are. An assignment knows nothing of
 * a grant, so the grants that are known say whose it is; one that two grants need goes with the later one. Sessions that were begun
 * before the end are refused by a deny in the permission set's policy.
 */
import type {Access, Grant, Known} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import type {Conferred} from '@prod/sdk/grant-provider'
import {AwsRefused, failure, json, type Way} from './call.ts'
import {type CenterRole, placeOf} from './center-role.ts'
import {denySessions, sweepSessions} from './center-sessions.ts'
import {inTurn} from './in-turn.ts'
import {ownKeys} from './own-keys.ts'
import {type Status, settled} from './settled.ts'

/** Assigns the permission set to the person. The credential is where the person's own login finds it; nothing in it is secret. */
export async function confer(grant: Grant, role: CenterRole): Promise<Access> {
  const way = await own(role)
  const user = await userOf(way, grant, role)
  await inTurn(placeOf(role), async () => {
    if (!(await assigned(way, role)).includes(user)) await change(way, role, user, 'Creation')
  })
  return {
    id: grant.id,
    principal: `${grant.principal.iss}#${grant.principal.sub}`,
    credential: {Account: role.account, Role: role.role, StartUrl: role.startUrl},
  }
}

/** Deletes the assignment, unless another live grant of the person needs it, and refuses the sessions that were begun by it. */
export async function revoke(grant: Grant, role: CenterRole, known?: () => Promise<Known<CenterRole>>): Promise<void> {
  const way = await own(role)
  const user = await userOf(way, grant, role)
  await inTurn(placeOf(role), async () => {
    const {grants = []} = (await known?.()) ?? {}
    if (
      grants.some(
        one => one.grant.id !== grant.id && isLive(one.grant) && sameHolder(one.grant, grant) && placeOf(one.role) === placeOf(role),
      )
    )
      return
    if ((await assigned(way, role)).includes(user)) await change(way, role, user, 'Deletion')
    await denySessions(way, role, user, grant.endedAt)
  })
}

/** Assignments to people, by the grant that explains each; one that no grant explains is told by its place. Old refusals are swept. */
export async function* list(known?: () => Promise<Known<CenterRole>>): AsyncIterable<Conferred> {
  const places = new Map(((await known?.())?.roles ?? []).map(role => [placeOf(role), role]))
  for (const [place, role] of places) {
    const way = await own(role)
    const users = await assigned(way, role)
    await inTurn(place, () => sweepSessions(way, role))
    // after the far side was read: whoever was conferred before that is among them
    const {grants = []} = (await known?.()) ?? {}
    const here = grants.filter(one => placeOf(one.role) === place)
    const named = await Promise.all(here.map(async ({grant}) => ({grant, user: await userOf(way, grant, role).catch(() => undefined)})))
    for (const user of users) {
      const mine = named.filter(one => one.user === user)
      const live = mine.filter(({grant}) => isLive(grant))
      for (const {grant} of live.length > 0 ? live : mine) yield {grant: grant.id, expiresAt: grant.expiresAt}
      if (mine.length === 0) yield {grant: `${role.role} in ${role.account} of user ${user}`, expiresAt: null}
    }
  }
}

const isLive = ({state, expiresAt}: Grant): boolean => (state === 'active' || state === 'approved') && Date.parse(expiresAt) > Date.now()
const sameHolder = (a: Grant, b: Grant): boolean =>
  a.principal.person === b.principal.person &&
  (a.principal.person !== '' || (a.principal.iss === b.principal.iss && a.principal.sub === b.principal.sub))

const own = async ({region}: CenterRole): Promise<Way> => ({keys: await ownKeys(), region})

/** The person in IAM Identity Center: whose user name is the person id of their login. Throws DENIED. */
async function userOf(way: Way, {principal}: Grant, {identityStore}: CenterRole): Promise<string> {
  if (principal.person === '')
    throw new ProdError('DENIED', 'your identity provider gives no person id, so IAM Identity Center does not know you', 'prod whoami')
  try {
    const AlternateIdentifier = {UniqueAttribute: {AttributePath: 'userName', AttributeValue: principal.person}}
    const {UserId} = await json<{UserId: string}>('identitystore', way, 'GetUserId', {IdentityStoreId: identityStore, AlternateIdentifier})
    return UserId
  } catch (error) {
    if (error instanceof AwsRefused && /ResourceNotFound/.test(error.code))
      throw new ProdError('DENIED', `IAM Identity Center has no user ${principal.person}`, 'prod whoami', {cause: error})
    throw failure(error, 'the broker may not look for users')
  }
}

interface Page {
  AccountAssignments?: {PrincipalType: string; PrincipalId: string}[]
  NextToken?: string
}

/** Ids of the users who have the permission set in the account by themselves, not through a group. */
async function assigned(way: Way, {instance, permissionSet, account}: CenterRole): Promise<string[]> {
  const users: string[] = []
  let token: string | undefined
  do {
    const asked = {InstanceArn: instance, AccountId: account, PermissionSetArn: permissionSet, MaxResults: 100}
    let page: Page
    try {
      page = await json<Page>('sso', way, 'ListAccountAssignments', {...asked, ...(token === undefined ? {} : {NextToken: token})})
    } catch (error) {
      throw failure(error, 'the broker may not list account assignments')
    }
    users.push(
      ...(page.AccountAssignments ?? []).flatMap(({PrincipalType, PrincipalId}) => (PrincipalType === 'USER' ? [PrincipalId] : [])),
    )
    token = page.NextToken
  } while (token)
  return users
}

/** Makes or deletes the assignment and waits until AWS has done so. */
async function change(
  way: Way,
  {instance, permissionSet, account}: CenterRole,
  user: string,
  kind: 'Creation' | 'Deletion',
): Promise<void> {
  const call = kind === 'Creation' ? 'CreateAccountAssignment' : 'DeleteAccountAssignment'
  const begin = await json<Record<string, Status>>('sso', way, call, {
    InstanceArn: instance,
    TargetId: account,
    TargetType: 'AWS_ACCOUNT',
    PermissionSetArn: permissionSet,
    PrincipalType: 'USER',
    PrincipalId: user,
  }).catch((error: unknown) => {
    throw failure(error, `the broker may not change account assignments of ${account}`)
  })
  const name = `AccountAssignment${kind}Status`
  await settled(begin[name], async RequestId => {
    const now = await json<Record<string, Status>>('sso', way, `DescribeAccountAssignment${kind}Status`, {
      InstanceArn: instance,
      [`AccountAssignment${kind}RequestId`]: RequestId,
    })
    return now[name]
  })
}
