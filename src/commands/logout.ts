import * as Flags from '@oclif/core/flags'
import {api} from '@prod/sdk/api'
import {forgetPin} from '@prod/sdk/cli/broker-pins'
import {ProdCommand} from '@prod/sdk/cli/command'
import {chooseBroker, readConfig} from '@prod/sdk/cli/config'
import {withCredentialLock} from '@prod/sdk/cli/credential-lock'
import {openCredentialStore} from '@prod/sdk/cli/credential-store'
import {openSession} from '@prod/sdk/cli/credentials'
import {dropWhoami} from '@prod/sdk/cli/whoami-cache'
import {createClient} from '@prod/sdk/client'
import {ProdError} from '@prod/sdk/errors'

export default class Logout extends ProdCommand {
  static override summary = 'end the login, at the broker and here'
  static override flags = {
    everywhere: Flags.boolean({description: 'end all of my logins at this broker, on every machine'}),
    forget: Flags.boolean({description: 'forget who the broker was too: its keys are taken as new at the next login'}),
  }
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --everywhere']

  async run(): Promise<{broker: string; ended: number}> {
    const {flags} = await this.parse(Logout)
    const broker = chooseBroker(readConfig(), this.brokerFlag)
    const store = openCredentialStore()
    const kept = await store.find(broker.url)
    if (!kept && !flags.forget) throw new ProdError('NOT_LOGGED_IN', `not logged in to ${broker.name}`, `prod login --broker ${broker.url}`)

    let ended = 0
    let fault: unknown
    if (kept) {
      try {
        const client = createClient({broker, session: () => openSession(broker)})
        ended = (await client.call(api.logout, {everywhere: flags.everywhere})).ended
      } catch (error) {
        // what the broker has ended already needs no end
        if (!(error instanceof ProdError && ['LOGIN_EXPIRED', 'NOT_LOGGED_IN', 'TOKEN_INVALID'].includes(error.code))) fault = error
      }
    }
    await withCredentialLock(() => store.remove(broker.url))
    await (await import('@prod/sdk/cli/kit')).dropKit(broker.url)
    dropWhoami()
    if (flags.forget) forgetPin(broker)
    if (fault !== undefined) {
      const {code, message, hint} = fault instanceof ProdError ? fault : new ProdError('INTERNAL', 'the broker could not be told')
      throw new ProdError(
        code,
        `logged out here, but the broker was not told and keeps the login until it ends by itself: ${message}`,
        hint,
        {cause: fault},
      )
    }
    this.say(
      `logged out of ${broker.name}${flags.everywhere ? `: ${ended} logins ended` : ''}${flags.forget ? ', and its keys are forgotten' : ''}`,
    )
    return {broker: broker.url, ended}
  }
}
