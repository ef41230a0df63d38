/** The pretended AWS with its containers, and what a use of one is given. */
import type {Access, Permission} from '@prod/sdk'
import {type StandIn, type StandInOptions, startStandIn} from '../../../test/sessions-stand-in/stand-in.ts'

export const limits = {wallSeconds: 60, cpuSeconds: 60, memoryBytes: 1024 ** 3, processes: 64, fileBytes: 1024 ** 3, outputBytes: 1024 ** 3}

/** A stand-in that calls of AWS go to until it is closed. */
export interface Here {
  standIn: StandIn
  /** may do everything; with `policy`, no more than these */
  access(policy?: readonly Permission[]): Access
  close(): Promise<void>
}

/** Starts one. */
export async function startHere(options: StandInOptions = {}): Promise<Here> {
  const standIn = await startStandIn({agent: {pieceDelayMs: 0}, ...options})
  const before = process.env.AWS_ENDPOINT_URL
  process.env.AWS_ENDPOINT_URL = standIn.url
  return {
    standIn,
    access(policy) {
      const {accessKeyId, secretAccessKey, sessionToken} = standIn.register({
        sessionToken: 'a session',
        name: 'alice',
        userId: 'AROA00000000000000B0:alice',
        ...(policy ? {policy: {Statement: statementsOf(policy)}} : {}),
      })
      return {
        id: `run_${accessKeyId}`,
        principal: 'https://idp.example#alice',
        credential: {AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken},
      }
    },
    async close() {
      if (before === undefined) delete process.env.AWS_ENDPOINT_URL
      else process.env.AWS_ENDPOINT_URL = before
      await standIn.close()
    },
  }
}

/** As a grant provider makes a session policy of them. */
function statementsOf(permissions: readonly Permission[]) {
  return permissions.map(({actions, resources, conditions}) => ({
    Effect: 'Allow' as const,
    Action: actions,
    Resource: resources,
    ...(conditions ? {Condition: conditions} : {}),
  }))
}
