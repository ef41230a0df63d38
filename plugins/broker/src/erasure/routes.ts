import {api} from '@prod/sdk/api'
import type {FastifyInstance} from 'fastify'
import {handle} from '../http/handle.ts'
import type {Parts} from '../parts.ts'
import {agreeErasure, askErasure, listErasures} from './erase.ts'

/** Erasing what is kept: look, ask, agree. */
export function erasureRoutes(app: FastifyInstance, parts: Parts): void {
  handle(app, parts, api.listErasures, (_, caller) => listErasures(parts, caller))
  handle(app, parts, api.askErasure, (input, caller) => askErasure(parts, caller, input))
  handle(app, parts, api.agreeErasure, (input, caller) => agreeErasure(parts, caller, input))
}
