import {setTimeout as wait} from 'node:timers/promises'
import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {api, type RevokedGrant} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {roleSources} from '../../catalog/local-roles.ts'
import {takeGrant} from '../../channel/ids.ts'

const patienceMs = 20_000
/** A session to try AWS with must be there by then: nobody's right lives longer because it is slow to come. */
const readyMs = 3000
/** for the answer to be written */
const lingerMs = 1000

/** Ends a grant now. */
export default class GrantRevoke extends ProdCommand {
  static override summary = 'end a grant now: my own is handed back, another’s is revoked'
  static override args = {grant: Args.string({description: 'id of the grant'})}
  static override flags = {note: Flags.string({char: 'n', description: 'why; the log sees it'})}
  static override examples = ['<%= config.bin %> <%= command.id %> grant_01k9x7h2d6b5x1v0m3q8r4t6wz']

  async run(): Promise<RevokedGrant> {
    const {args, flags} = await this.parse(GrantRevoke)
    const id = await takeGrant(this.broker(), args.grant, 'grant revoke')
    const refused = await this.#watchRefusal(id)
    const from = performance.now()
    const grant = await this.broker().call(api.revokeGrant, {id, ...(flags.note === undefined ? {} : {note: flags.note})})
    this.log(`${grant.id} is ${grant.state}; ended with it: ${grant.endedRuns} runs, ${grant.endedSessions} sessions`)
    const seen = await refused?.(AbortSignal.timeout(patienceMs)).then(
      () => Math.round(performance.now() - from),
      () => null,
    )
    const refusedAfterMs = grant.refusedAfterMs ?? seen
    if (typeof refusedAfterMs === 'number') this.log(`a call under it was refused after ${(refusedAfterMs / 1000).toFixed(1)} s`)
    // what was begun and is not there yet would keep this process, and nobody waits for it any more
    setTimeout(() => process.exit(), lingerMs).unref()
    return {...grant, ...(refusedAfterMs === undefined ? {} : {refusedAfterMs})}
  }

  /** Of a grant of one's own, what its provider gave to one's own login: the broker cannot try that. Never in the way of the end itself. */
  async #watchRefusal(id: string): Promise<((signal: AbortSignal) => Promise<void>) | undefined> {
    const watched = async () => {
      const own = (await this.broker().call(api.listGrants, {})).grants.find(grant => grant.id === id && grant.state === 'active')
      if (!own) return undefined
      for (const source of await roleSources(this.config)) {
        const found = await source.watchRefusal?.(this.broker(), own)
        if (found) return found
      }
      return undefined
    }
    return Promise.race([watched().catch(() => undefined), wait(readyMs, undefined, {ref: false})])
  }
}
