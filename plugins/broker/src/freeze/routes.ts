import {api} from '@prod/sdk/api'
import type {FastifyInstance} from 'fastify'
import {handle} from '../http/handle.ts'
import type {Parts} from '../parts.ts'
import {freeze, lift} from './freeze.ts'
import {showFreeze, storedFreeze} from './state.ts'

/** The fleet-wide stop: look, set, lift. */
export function freezeRoutes(app: FastifyInstance, parts: Parts): void {
  handle(app, parts, api.showFreeze, async () => ({freeze: showFreeze((await storedFreeze(parts))?.value, parts.store.now())}))
  handle(app, parts, api.freeze, (input, caller) => freeze(parts, caller, input))
  handle(app, parts, api.liftFreeze, (input, caller) => lift(parts, caller, input))
}
