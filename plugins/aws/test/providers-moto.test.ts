/** The same provider on moto_server with IAM enforcement, seen by the real AWS CLI. moto looks at no condition: those are the stand-in's. */
import {execFile} from 'node:child_process'
import {promisify} from 'node:util'
import type {Grant} from '@prod/sdk'
import {expect, onTestFinished, test} from 'vitest'
import {awsIdentityCenter, awsSts} from '../src/grant-providers.ts'
import {json, query} from '../src/providers/call.ts'
import {found, startMoto} from './moto.ts'

const run = promisify(execFile)

test.skipIf(!found)('a role is conferred and refused, as moto_server and the AWS CLI see it', {timeout: 120_000}, async () => {
  const url = await startMoto(onTestFinished)
  const before = {...process.env}
  onTestFinished(() => {
    process.env = before
  })
  const setUp = {AWS_ENDPOINT_URL: url, AWS_ACCESS_KEY_ID: 'set-up', AWS_SECRET_ACCESS_KEY: 'set-up', AWS_REGION: 'us-east-1'}
  Object.assign(process.env, setUp)
  const first = {keys: {accessKeyId: 'set-up', secretAccessKey: 'set-up'}, region: 'us-east-1'}
  const all = JSON.stringify({Version: '2012-10-17', Statement: [{Effect: 'Allow', Action: '*', Resource: '*'}]})
  const trust = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{Effect: 'Allow', Principal: {AWS: '*'}, Action: ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity']}],
  })
  await query('iam', first, 'CreateUser', {UserName: 'broker'})
  await query('iam', first, 'PutUserPolicy', {UserName: 'broker', PolicyName: 'all', PolicyDocument: all})
  const made = await query('iam', first, 'CreateAccessKey', {UserName: 'broker'})
  const [, id = ''] = /<AccessKeyId>(.+?)<\/AccessKeyId>/.exec(made) ?? []
  const [, secret = ''] = /<SecretAccessKey>(.+?)<\/SecretAccessKey>/.exec(made) ?? []
  await query('iam', first, 'CreateRole', {RoleName: 'deploy', AssumeRolePolicyDocument: trust})
  await query('iam', first, 'PutRolePolicy', {RoleName: 'deploy', PolicyName: 'all', PolicyDocument: all})
  await fetch(`${url}/moto-api/reset-auth`, {method: 'POST', headers: {'content-type': 'text/plain'}, body: '0'})
  Object.assign(process.env, {AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret})

  const role = awsSts.parse({account: '123456789012', role: 'deploy'})
  const one = grant('alice@example.com')
  const {credential} = await awsSts.confer(one, role)
  const aws = async (): Promise<string> => {
    const {AccessKeyId, SecretAccessKey, SessionToken} = credential
    const env = {
      ...before,
      AWS_ENDPOINT_URL: url,
      AWS_REGION: 'us-east-1',
      AWS_DEFAULT_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: AccessKeyId,
      AWS_SECRET_ACCESS_KEY: SecretAccessKey,
      AWS_SESSION_TOKEN: SessionToken,
    }
    return run('aws', ['iam', 'get-role', '--role-name', 'deploy'], {env}).then(
      ({stdout}) => stdout,
      (error: {stderr: string}) => error.stderr,
    )
  }
  expect(await aws()).toContain('arn:aws:iam::123456789012:role/deploy')
  const refused = awsSts.refused?.(one, role, AbortSignal.timeout(60_000))
  await awsSts.revoke(one, role)
  expect(await aws()).toContain('AccessDenied')
  await refused
})

test.skipIf(!found)('a permission set is assigned and taken away, as moto_server sees it', {timeout: 120_000}, async () => {
  const url = await startMoto(onTestFinished)
  const before = {...process.env}
  onTestFinished(() => {
    process.env = before
  })
  Object.assign(process.env, {AWS_ENDPOINT_URL: url, AWS_ACCESS_KEY_ID: 'set-up', AWS_SECRET_ACCESS_KEY: 'set-up'})
  const way = {keys: {accessKeyId: 'set-up', secretAccessKey: 'set-up'}, region: 'us-east-1'}
  const {Instances} = await json<{Instances: {InstanceArn: string; IdentityStoreId: string}[]}>('sso', way, 'ListInstances', {})
  const [{InstanceArn, IdentityStoreId} = {InstanceArn: '', IdentityStoreId: ''}] = Instances
  const name = {GivenName: 'Alice', FamilyName: 'A'}
  await json('identitystore', way, 'CreateUser', {IdentityStoreId, UserName: 'alice', DisplayName: 'Alice', Name: name})
  const {PermissionSet} = await json<{PermissionSet: {PermissionSetArn: string}}>('sso', way, 'CreatePermissionSet', {
    InstanceArn,
    Name: 'Deploy',
  })
  const place = {instance: InstanceArn, account: '123456789012', region: 'us-east-1', identityStore: IdentityStoreId}
  const set = `arn:aws:sso:::permissionSet/${InstanceArn.split('/')[1]}/ps-0123456789abcdef`
  const parsed = awsIdentityCenter.parse({...place, permissionSet: set, role: 'Deploy', startUrl: 'https://corp.awsapps.com/start'})
  // moto's own ARN of a permission set has another form than AWS's
  const role = {...parsed, permissionSet: PermissionSet.PermissionSetArn}
  const asked = {InstanceArn, AccountId: place.account, PermissionSetArn: role.permissionSet}
  const assigned = async () =>
    (await json<{AccountAssignments: object[]}>('sso', way, 'ListAccountAssignments', asked)).AccountAssignments.length
  const one = grant('alice')
  await awsIdentityCenter.confer(one, role)
  expect(await assigned()).toBe(1)
  await awsIdentityCenter.revoke({...one, state: 'revoked'}, role)
  expect(await assigned()).toBe(0)
})

function grant(person: string): Grant {
  return {
    id: 'grant_motomotomoto',
    state: 'active',
    request: 'req_motomotomoto',
    principal: {iss: 'https://idp.example', sub: 'u-1', person, name: 'Alice'},
    role: 'deploy',
    provider: 'aws',
    startsAt: new Date().toISOString(),
    expiresAt: new Date(Date.now() + 1_800_000).toISOString(),
    endedAt: null,
  }
}
