import {createHash} from 'node:crypto'
import {resolve} from 'node:path'
import * as Flags from '@oclif/core/flags'
import type {LoginConfiguration, WhoAmI} from '@prod/sdk/api'
import {openBrowser} from '@prod/sdk/cli/browser'
import {ProdCommand} from '@prod/sdk/cli/command'
import {chooseBroker, readConfig} from '@prod/sdk/cli/config'
import {showClock, showWhen} from '@prod/sdk/cli/durations'
import {ProdError} from '@prod/sdk/errors'
import type {Broker} from '@prod/sdk/session'
import {login} from '../login/login.ts'

export default class Login extends ProdCommand {
  static override summary = 'log in to a broker, in the browser'
  static override flags = {
    name: Flags.string({description: 'what to call this broker from now on'}),
    fresh: Flags.boolean({description: 'be asked by the identity provider again, however lately it was'}),
    as: Flags.string({helpValue: 'PERSON', description: 'a person of a development broker, without a browser'}),
    'ca-file': Flags.string({description: 'PEM file of the CAs that vouch for this broker, instead of the public ones'}),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %> --broker https://prod.example',
    '<%= config.bin %> <%= command.id %> --fresh',
  ]

  async run(): Promise<WhoAmI & {broker: string; name: string}> {
    const {flags} = await this.parse(Login)
    if (flags.name !== undefined && !/^[a-z0-9][a-z0-9._-]{0,63}$/.test(flags.name)) {
      throw new ProdError('USAGE', `${flags.name} is no name for a broker: small letters, digits, . _ -`, 'prod login --name main')
    }
    const chosen = chooseBroker(readConfig(), this.brokerFlag)
    const broker: Broker = flags['ca-file'] === undefined ? chosen : {...chosen, caFile: resolve(flags['ca-file'])}

    const {who, name} = await login({
      broker,
      ...(flags.name === undefined ? {} : {name: flags.name}),
      fresh: flags.fresh,
      ...(flags.as === undefined ? {} : {as: flags.as}),
      met: configuration => this.#introduce(broker, configuration),
      show: url => {
        this.say(['opening this page in the browser; if none opens, open it by hand:', url])
        openBrowser(url)
      },
    })
    const now = new Date()
    this.say(
      `logged in to ${name} as ${who.principal.name} (${who.groups.join(', ') || 'in no group'}), until ${showClock(who.expiresAt, now)} (${showWhen(who.expiresAt, now)})`,
    )
    return {...who, broker: broker.url, name}
  }

  /** The first contact shows who answers, so that it can be compared with what the operators say. */
  #introduce({url}: Broker, {name, issuer, receiptKey: {crv, kty, x}, development}: LoginConfiguration): void {
    const fingerprint = createHash('sha256').update(JSON.stringify({crv, kty, x})).digest('base64url')
    this.say([
      `first contact with ${url}, which calls itself ${name}${development ? ': for DEVELOPMENT alone' : ''}`,
      `  people log in at ${issuer}`,
      `  receipt key ${fingerprint}, remembered from now on`,
    ])
  }
}
