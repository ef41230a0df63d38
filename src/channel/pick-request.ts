import {api} from '@prod/sdk/api'
import {pick} from '@prod/sdk/cli/ask'
import type {BrokerClient} from '@prod/sdk/client'

/** One of the requests that wait and that the caller sees. `instead` is the command line that names it. */
export async function pickRequest(broker: Pick<BrokerClient, 'call'>, instead: string): Promise<string> {
  const {requests} = await broker.call(api.listRequests, {state: 'pending'})
  return pick({
    what: 'request',
    choices: requests.map(one => ({name: one.id, note: `${one.principal.name}: ${one.summary}  ${one.reason}`, value: one.id})),
    instead,
  })
}
