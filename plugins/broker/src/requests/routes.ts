import {api} from '@prod/sdk/api'
import type {FastifyInstance} from 'fastify'
import {handle} from '../http/handle.ts'
import type {Parts} from '../parts.ts'
import {createRequest} from './create.ts'
import {approveRequest, cancelRequest, denyRequest} from './decide.ts'
import {explainRoutes} from './explain.ts'
import {findTargetRoutes} from './find-targets.ts'
import {checkRoleDraft} from './role.ts'
import {findVisible, listRequests, readDocument, shown} from './view.ts'

/** Requests: ask, look, decide. */
export function requestRoutes(app: FastifyInstance, parts: Parts): void {
  explainRoutes(app, parts)
  findTargetRoutes(app, parts)
  handle(app, parts, api.createRequest, async (input, caller) =>
    shown(parts, await createRequest(parts, caller, checkRoleDraft(parts, input))),
  )
  handle(app, parts, api.listRequests, (input, caller) => listRequests(parts, caller, input))
  handle(app, parts, api.showRequest, async ({id}, caller) => shown(parts, (await findVisible(parts, caller, id)).value))
  handle(app, parts, api.requestDocument, ({id}, caller) => readDocument(parts, caller, id))
  handle(app, parts, api.approveRequest, (input, caller) => approveRequest(parts, caller, input))
  handle(app, parts, api.denyRequest, (input, caller) => denyRequest(parts, caller, input))
  handle(app, parts, api.cancelRequest, (input, caller) => cancelRequest(parts, caller, input))
}
