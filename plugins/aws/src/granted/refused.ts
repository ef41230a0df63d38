/** How long AWS goes on letting in what a grant of the caller's own gave, where the broker has no session to try that with. */
import {setTimeout as wait} from 'node:timers/promises'
import type {Grant} from '@prod/sdk'
import type {BrokerClient} from '@prod/sdk/client'
import {ProdError} from '@prod/sdk/errors'
import {AwsRefused, query, type Way} from '../providers/call.ts'
import {brokerCredentials} from './credentials.ts'

const probeMs = 250

/**
 * Begins a session under a grant of IAM Identity Center, by the person's own login and without asking for one. What it answers resolves
 * when AWS refuses a call of that session by a deny, and rejects when the signal ends it. Undefined for another provider, and where no session can be had.
 */
export async function watchRefusal(
  client: Pick<BrokerClient, 'call'>,
  grant: Pick<Grant, 'id' | 'provider'>,
): Promise<((signal: AbortSignal) => Promise<void>) | undefined> {
  if (grant.provider !== 'aws-identity-center') return undefined
  try {
    const {credentials, region} = await brokerCredentials(client, grant, {mayLogIn: false, settling: {times: 0, pauseMs: 0}})
    const {AccessKeyId, SecretAccessKey, SessionToken} = credentials
    const keys = {accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, ...(SessionToken ? {sessionToken: SessionToken} : {})}
    const way = {keys, region: region ?? process.env.AWS_REGION ?? 'us-east-1'}
    return async signal => {
      while (!(await isDenied(way))) await wait(probeMs, undefined, {signal})
    }
  } catch (error) {
    if (error instanceof ProdError) return undefined
    throw error
  }
}

/** A role that may not ask is refused either way: AWS's words say whether a deny did it. */
async function isDenied(way: Way): Promise<boolean> {
  try {
    await query('iam', way, 'ListAccountAliases', {})
    return false
  } catch (error) {
    if (error instanceof AwsRefused && error.status === 403) return /explicit deny/.test(error.message)
    throw error
  }
}
