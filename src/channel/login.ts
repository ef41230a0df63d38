import {findPin} from '@prod/sdk/cli/broker-pins'
import {connectBroker} from '@prod/sdk/cli/credentials'
import {sendUsageBeside} from '@prod/sdk/cli/usage-send'
import {ProdError} from '@prod/sdk/errors'
import type {Broker, Session} from '@prod/sdk/session'
import {handInBeside} from '../offline/beside.ts'
import type {Pins} from './proof.ts'

/** What a stream needs: the broker, the person's login there, and the keys that were pinned at login. Throws NOT_LOGGED_IN. */
export async function openStreams(named: string | undefined): Promise<{broker: Broker; session: Session; pins: Pins}> {
  const {broker, session} = await connectBroker(named === undefined ? {} : {broker: named})
  const pins = findPin(broker)
  if (!pins) throw new ProdError('NOT_LOGGED_IN', `not logged in to ${broker.name}`, `prod login --broker ${broker.url}`)
  const opened = await session()
  sendUsageBeside(session)
  handInBeside(broker, session)
  return {broker, session: opened, pins}
}
