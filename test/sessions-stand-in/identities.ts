/** Who calls, and what they may: credentials that are known, signatures that are really checked, policies that are really asked. */
import {randomBytes} from 'node:crypto'
import type {IncomingMessage} from 'node:http'
import type {Incoming} from './api.ts'
import {ApiError} from './api-error.ts'
import {decide, type Policy, type Statement, statements} from './policy.ts'
import {signatureFault, signer} from './signature.ts'
import {account, type Identity, type Role} from './world.ts'

/** A credential to know. What is left out is made up; what it may do is everything, unless said. */
export interface NewIdentity {
  accessKeyId?: string
  secretAccessKey?: string
  sessionToken?: string
  /** user or role session, what session ids begin with */
  name?: string
  arn?: string
  userId?: string
  allows?: Policy
  /** the role whose session it is: what that may do, now, goes instead of `allows` */
  role?: Role
  /** the policy of the session, which bounds what is allowed */
  policy?: Policy
  tags?: Record<string, string>
  sourceIdentity?: string
  /** milliseconds since 1970, by the wall's clock, as all of a credential is */
  endsAt?: number
}

/** The known credentials. */
export interface Identities {
  register(it: NewIdentity): Identity
  /** Who signed a request. Throws when nobody known did, wrongly, or too long ago. */
  identify(request: IncomingMessage, body: Buffer): {identity: Identity; region: string; service: string}
  /** Asks the policies for one caller. */
  authorizer(identity: Identity, region: string): Incoming['authorize']
}

const everything: Statement[] = [{Effect: 'Allow', Action: '*', Resource: '*'}]
const letters = (prefix: string): string => prefix + randomBytes(8).toString('hex').toUpperCase()

/** Keeps them in `known`. */
export function knowIdentities(known: Map<string, Identity>): Identities {
  return {
    register(it) {
      const name = it.name ?? 'tester'
      const own = it.allows === undefined ? everything : statements(it.allows)
      const {role} = it
      const identity: Identity = {
        accessKeyId: it.accessKeyId ?? letters(it.sessionToken ? 'ASIA' : 'AKIA'),
        secretAccessKey: it.secretAccessKey ?? randomBytes(30).toString('base64url'),
        sessionToken: it.sessionToken ?? '',
        arn: it.arn ?? `arn:aws:iam::${account}:user/${name}`,
        userId: it.userId ?? letters('AIDA'),
        name,
        get allows() {
          return role ? [...role.allows, ...[...role.inline.values()].flatMap(statements)] : own
        },
        policy: it.policy === undefined ? undefined : statements(it.policy),
        tags: it.tags ?? {},
        sourceIdentity: it.sourceIdentity ?? '',
        issuedAt: Date.now(),
        endsAt: it.endsAt ?? Number.POSITIVE_INFINITY,
      }
      known.set(identity.accessKeyId, identity)
      return identity
    },

    identify(request, body) {
      const it = {method: request.method ?? 'GET', url: request.url ?? '/', headers: request.headers, body}
      const signed = signer(it)
      if (!signed) throw new ApiError('MissingAuthenticationTokenException', 'Request is missing Authentication Token', 403)
      const identity = known.get(signed.accessKeyId)
      if (!identity || identity.sessionToken !== signed.sessionToken)
        throw new ApiError('UnrecognizedClientException', 'The security token included in the request is invalid.', 403)
      const fault = signatureFault(it, identity.secretAccessKey, Date.now())
      if (fault) throw new ApiError('InvalidSignatureException', `The request signature is not valid: ${fault}`, 403)
      if (identity.endsAt <= Date.now())
        throw new ApiError('ExpiredTokenException', 'The security token included in the request is expired', 403)
      return {identity, region: signed.region, service: signed.service}
    },

    authorizer:
      (identity, region) =>
      (action, resources, context = {}) => {
        const all = {
          'aws:username': identity.name,
          'aws:userid': identity.userId,
          'aws:PrincipalArn': identity.arn,
          'aws:PrincipalAccount': account,
          ...(identity.sourceIdentity && {'aws:SourceIdentity': identity.sourceIdentity}),
          'aws:RequestedRegion': region,
          'aws:TokenIssueTime': new Date(Math.floor(identity.issuedAt / 1000) * 1000).toISOString(),
          'aws:CurrentTime': new Date().toISOString(),
          ...Object.fromEntries(Object.entries(identity.tags).map(([key, value]) => [`aws:PrincipalTag/${key}`, value])),
          ...context,
        }
        const names = [resources].flat()
        const decisions = names.map(resource => decide(identity.allows, identity.policy, {action, resource, context: all}))
        if (decisions.includes('allowed')) return
        const bounded = decide(identity.allows, undefined, {action, resource: names[0] as string, context: all}) === 'allowed'
        const why = decisions.includes('explicit')
          ? `with an explicit deny in ${bounded ? 'a session' : 'an identity-based'} policy`
          : `because no ${bounded ? 'session' : 'identity-based'} policy allows the ${action} action`
        throw new ApiError(
          'AccessDeniedException',
          `User: ${identity.arn} is not authorized to perform: ${action} on resource: ${names[0]} ${why}`,
        )
      },
  }
}
