/** Who one is, and sessions of roles; and as much of IAM as a right that is taken back needs. */
import {randomBytes} from 'node:crypto'
import type {Api, Incoming} from './api.ts'
import {ApiError} from './api-error.ts'
import {account, type Role} from './world.ts'

const named = /^[\w+=,.@-]{2,64}$/

interface AssumeInput {
  RoleArn: string
  RoleSessionName: string
  DurationSeconds?: string
  Policy?: string
  SourceIdentity?: string
  Tags?: {Key: string; Value: string}[]
}

function assumeRole({input, caller, world, authorize}: Incoming<AssumeInput>): object {
  const {RoleArn, RoleSessionName = '', SourceIdentity = '', Policy, Tags = []} = input
  const seconds = Number(input.DurationSeconds ?? 3600)
  const role = world.roles.get(RoleArn)
  authorize('sts:AssumeRole', RoleArn)
  if (!role || (role.trusts && !role.trusts.some(one => [caller.arn, caller.accessKeyId].includes(one))))
    throw new ApiError('AccessDenied', `User: ${caller.arn} is not authorized to perform: sts:AssumeRole on resource: ${RoleArn}`, 403)
  if (!named.test(RoleSessionName) || (SourceIdentity && !named.test(SourceIdentity)))
    throw new ApiError('ValidationError', 'Value at roleSessionName or sourceIdentity failed to satisfy constraint')
  if (!(seconds >= 900 && seconds <= role.maxSeconds))
    throw new ApiError('ValidationError', 'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.')
  if (Policy !== undefined && Policy.length > 2048) throw new ApiError('PackedPolicyTooLarge', 'The session policy is too large')
  const userId = `${role.id}:${RoleSessionName}`
  const identity = world.register({
    name: RoleSessionName,
    arn: `arn:aws:sts::${account}:assumed-role/${role.name}/${RoleSessionName}`,
    userId,
    sessionToken: randomBytes(30).toString('base64url'),
    role,
    ...(Policy !== undefined && {policy: Policy}),
    tags: Object.fromEntries(Tags.map(({Key, Value}) => [Key, Value])),
    sourceIdentity: SourceIdentity || caller.sourceIdentity,
    endsAt: Date.now() + (seconds * 1000) / world.timeScale,
  })
  return {
    Credentials: {
      AccessKeyId: identity.accessKeyId,
      SecretAccessKey: identity.secretAccessKey,
      SessionToken: identity.sessionToken,
      Expiration: new Date(identity.endsAt).toISOString(),
    },
    AssumedRoleUser: {AssumedRoleId: userId, Arn: identity.arn},
    ...(SourceIdentity && {SourceIdentity}),
  }
}

/** STS. */
export const stsApi: Api = {
  AssumeRole: assumeRole,
  GetCallerIdentity: ({caller}) => ({Arn: caller.arn, UserId: caller.userId, Account: account}),
}

interface RoleInput {
  RoleName: string
  PolicyName: string
  PolicyDocument: string
}

const withRole =
  (action: string, what: (role: Role, input: RoleInput) => object) =>
  ({input, world, authorize}: Incoming<RoleInput>): object => {
    const arn = `arn:aws:iam::${account}:role/${input.RoleName}`
    authorize(`iam:${action}`, arn)
    const role = world.roles.get(arn)
    if (!role) throw new ApiError('NoSuchEntity', `The role with name ${input.RoleName} cannot be found.`, 404)
    return what(role, input)
  }

const missing = (name: string): ApiError => new ApiError('NoSuchEntity', `The role policy with name ${name} cannot be found.`, 404)

/** IAM, as far as a role's inline policies. */
export const iamApi: Api = {
  GetRole: withRole('GetRole', role => ({
    Role: {
      RoleName: role.name,
      RoleId: role.id,
      Arn: role.arn,
      Path: '/',
      MaxSessionDuration: role.maxSeconds,
      CreateDate: '2026-01-01T00:00:00Z',
    },
  })),
  GetRolePolicy: withRole('GetRolePolicy', (role, {PolicyName, RoleName}) => {
    const text = role.inline.get(PolicyName)
    if (text === undefined) throw missing(PolicyName)
    return {RoleName, PolicyName, PolicyDocument: encodeURIComponent(text)}
  }),
  PutRolePolicy: withRole('PutRolePolicy', (role, {PolicyName, PolicyDocument}) => {
    role.inline.set(PolicyName, PolicyDocument)
    return {}
  }),
  DeleteRolePolicy: withRole('DeleteRolePolicy', (role, {PolicyName}) => {
    if (!role.inline.delete(PolicyName)) throw missing(PolicyName)
    return {}
  }),
}
