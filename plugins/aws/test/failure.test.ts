import {ProdError} from '@prod/sdk/errors'
import {expect, test} from 'vitest'
import type {Chain} from '../src/config/profile.ts'
import {awsFailure} from '../src/credentials/failure.ts'

const keys: Chain = {name: 'ops', region: undefined, source: {kind: 'keys', profile: 'base', settings: new Map()}, steps: []}
const process: Chain = {...keys, source: {kind: 'other', profile: 'ops', how: 'credential_process'}}

/** As the SDK throws: a name, a text, the status of the answer. */
const thrown = (name: string, message = '', status?: number, code?: string): Error =>
  Object.assign(new Error(message), {
    name,
    ...(status === undefined ? {} : {$metadata: {httpStatusCode: status}}),
    ...(code === undefined ? {} : {code}),
  })

test.for([
  ['no right', thrown('AccessDenied', 'User: x is not authorized', 403), 'DENIED'],
  [
    'a wrong MFA code',
    thrown('AccessDenied', 'MultiFactorAuthentication failed with invalid MFA one time pass code.', 403),
    'LOGIN_FAILED',
  ],
  [
    'a clock that is wrong',
    thrown('SignatureDoesNotMatch', 'Signature expired: 20261122T100000Z is now earlier than', 403),
    'LOGIN_FAILED',
  ],
  ['a clock that is wrong, in other words', thrown('RequestTimeTooSkewed', '', 403), 'LOGIN_FAILED'],
  ['credentials that have expired', thrown('ExpiredToken', 'The security token included in the request is expired', 403), 'LOGIN_EXPIRED'],
  ['keys that are gone', thrown('InvalidClientTokenId', '', 403), 'LOGIN_FAILED'],
  ['too many calls', thrown('ThrottlingException', 'Rate exceeded', 400), 'TARGET_UNREACHABLE'],
  ['a service that is down', thrown('ServiceUnavailable', '', 503), 'TARGET_UNREACHABLE'],
  ['no name for the service', thrown('Error', 'getaddrinfo ENOTFOUND', undefined, 'ENOTFOUND'), 'TARGET_UNREACHABLE'],
  ['a portal that cannot be reached', thrown('CredentialsProviderError', 'Error: connect ECONNREFUSED 127.0.0.1:1'), 'TARGET_UNREACHABLE'],
  ['a role of a portal that is not theirs', thrown('CredentialsProviderError', 'ForbiddenException: No access'), 'DENIED'],
  [
    'a login that has ended',
    thrown('CredentialsProviderError', 'UnauthorizedException: Session token not found or invalid'),
    'LOGIN_EXPIRED',
  ],
  [
    'a profile that gives nothing',
    thrown('CredentialsProviderError', 'Could not resolve credentials using profile: [ops]'),
    'CONFIG_INVALID',
  ],
] as const)('%s is %s', ([, error, code]) => {
  expect(awsFailure(error, keys)).toMatchObject({name: 'ProdError', code, hint: expect.any(String)})
})

test('TM-U2: nothing that a credential_process wrote, and not its command line, is in the failure', () => {
  const failure = awsFailure(
    Object.assign(new Error('Command failed: /bin/get --token canary\ncanary'), {code: 1, cmd: 'canary', stderr: 'canary'}),
    process,
  )
  expect(failure).toBeInstanceOf(ProdError)
  const {message, hint} = failure as ProdError
  expect(message + hint).not.toContain('canary')
  expect(awsFailure(new SyntaxError('Unexpected token \'c\', "canary" is not valid JSON'), process)).toMatchObject({code: 'LOGIN_FAILED'})
})

test('a failure of ours stays as it is, and so does a bug', () => {
  const own = new ProdError('NO_TERMINAL', 'nobody to ask')
  const bug = new TypeError('x is not a function')
  expect(awsFailure(own, keys)).toBe(own)
  expect(awsFailure(bug, keys)).toBe(bug)
})
