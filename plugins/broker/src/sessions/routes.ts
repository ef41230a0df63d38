import {api} from '@prod/sdk/api'
import type {FastifyInstance} from 'fastify'
import {handle} from '../http/handle.ts'
import type {Parts} from '../parts.ts'
import type {LiveSet} from '../streams/live-set.ts'
import {handIn} from './hand-in.ts'
import {issueKit} from './kit.ts'
import {doneReview, endLiveSession, listReviews, listSessions, oneSession, readRecording} from './view.ts'

/** Sessions, recordings, reviews, and break-glass without the broker. */
export function sessionRoutes(app: FastifyInstance, parts: Parts, set: LiveSet): void {
  handle(app, parts, api.listSessions, (_, caller) => listSessions(parts, caller))
  handle(app, parts, api.showSession, ({id}, caller) => oneSession(parts, caller, id))
  handle(app, parts, api.recording, (input, caller) => readRecording(parts, caller, input))
  handle(app, parts, api.endSession, (input, caller) => endLiveSession(parts, set, caller, input))
  handle(app, parts, api.listReviews, (_, caller) => listReviews(parts, caller))
  handle(app, parts, api.doneReview, (input, caller) => doneReview(parts, caller, input))
  handle(app, parts, api.breakGlassKit, (_, caller) => issueKit(parts, caller))
  handle(app, parts, api.handIn, (input, caller) => handIn(parts, caller, input))
}
