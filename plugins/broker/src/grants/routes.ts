import {api} from '@prod/sdk/api'
import type {FastifyInstance} from 'fastify'
import {handle} from '../http/handle.ts'
import type {Parts} from '../parts.ts'
import {mintCredentials} from './credentials.ts'
import {type EndLive, listGrants, revokeGrant} from './revoke.ts'

/** Grants: look, use, end. */
export function grantRoutes(app: FastifyInstance, parts: Parts, endLive: EndLive): void {
  handle(app, parts, api.listGrants, (input, caller) => listGrants(parts, caller, input))
  handle(app, parts, api.grantCredentials, (input, caller) => mintCredentials(parts, caller, input))
  handle(app, parts, api.revokeGrant, (input, caller) => revokeGrant(parts, caller, input, endLive))
}
