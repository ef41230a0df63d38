/** What can be done when the broker cannot be reached, and when it can. */
import {connectBroker} from '@prod/sdk/cli/credentials'
import {fetchKit} from '@prod/sdk/cli/kit'
import {codes, ProdError} from '@prod/sdk/errors'
import type {Broker} from '@prod/sdk/session'
import {openKit, targetIn} from './kit.ts'

/** Whether an error means that the broker does not work: out of reach, or broken. */
export function isBrokerGone(error: unknown): error is ProdError {
  return error instanceof ProdError && (codes[error.code].exit === 246 || error.code === 'INTERNAL') && error.code !== 'CERTIFICATE_REFUSED'
}

/** The same failure with what to type instead, where the kit of this login leads to the target; else with why it does not. */
export async function withWayOut(error: ProdError, broker: Broker, target: string): Promise<ProdError> {
  const again = (message: string, hint: string) => new ProdError(error.code, message, hint, {cause: error})
  try {
    const {claims} = await openKit(broker)
    const {name} = targetIn(claims, target)
    return again(
      `${error.message}; your break-glass kit reaches ${name} without it`,
      `prod shell ${name} --offline --incident ID --reason "…"`,
    )
  } catch (fault) {
    if (!(fault instanceof ProdError)) throw fault
    return again(`${error.message}; without it: ${fault.message}`, error.hint ?? 'prod doctor')
  }
}

/** Break-glass goes through the broker while it works: it is asked for a kit, which takes all that a start would. Throws USAGE, and what it refused. */
export async function refuseWhereBrokerAnswers(named: string | undefined): Promise<void> {
  const client = await connectBroker(named === undefined ? {} : {broker: named})
  try {
    await fetchKit(client)
  } catch (error) {
    if (isBrokerGone(error)) return
    throw error
  }
  throw new ProdError('USAGE', `${client.broker.name} answers, so break-glass goes through it`, 'the same command without --offline')
}
