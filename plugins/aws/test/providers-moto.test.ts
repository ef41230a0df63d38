/** The same provider on moto_server with IAM enforcement, seen by the real AWS CLI. moto looks at no condition: those are the stand-in's. */
import {execFile} from 'node:child_process'
import {promisify} from 'node:util'
import type {Grant} from '@prod/sdk'
import {expect, onTestFinished, test} from 'vitest'
import {awsSts} from '../src/grant-providers.ts'
import {query} from '../src/providers/call.ts'
import {found, startMoto} from './moto.ts'

const run = promisify(execFile)

test.skipIf(!found)('a role is conferred and refused, as moto_server and the AWS CLI see it', {timeout: 60_000}, async () => {
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
  const end = new Date(Date.now() + 1_800_000).toISOString()
  const principal = {iss: 'https://idp.example', sub: 'u-1', person: 'alice@example.com', name: 'Alice'}
  const grant: Grant = {
    id: 'grant_motomotomoto',
    state: 'active',
    request: 'req_motomotomoto',
    principal,
    role: 'deploy',
    provider: 'aws-sts',
    startsAt: new Date().toISOString(),
    expiresAt: end,
    endedAt: null,
  }
  const {credential} = await awsSts.confer(grant, role)
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
  const refused = awsSts.refused?.(grant, role, AbortSignal.timeout(20_000))
  await awsSts.revoke(grant, role)
  expect(await aws()).toContain('AccessDenied')
  await refused
})
