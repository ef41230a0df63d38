import {ProdCommand} from '@prod/sdk/cli/command'
import {chooseBroker, readConfig} from '@prod/sdk/cli/config'
import {showClock, showWhen} from '@prod/sdk/cli/durations'
import {table} from '@prod/sdk/cli/table'
import {ProdError} from '@prod/sdk/errors'
import type {KitTarget} from '@prod/sdk/kit'
import {openKit} from '../../offline/kit.ts'
import {listSpools} from '../../offline/spool-folder.ts'

/** What this machine could do if the broker were gone now. */
export default class BreakGlassStatus extends ProdCommand {
  static override summary = 'what can be reached from here when the broker is gone, and what waits to be handed in'
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json']

  async run(): Promise<{
    kit: string | null
    why?: string
    expiresAt: string | null
    targets: KitTarget[]
    channels: string[]
    spools: string[]
  }> {
    await this.parse(BreakGlassStatus)
    const broker = chooseBroker(readConfig(), this.brokerFlag)
    const spools = listSpools()
    const waiting = spools.length === 0 ? [] : [`${spools.join(', ')} wait to be handed in: prod break-glass hand-in`]
    try {
      const {claims} = await openKit(broker)
      const {id, expiresAt, targets} = claims
      const now = new Date()
      const channels = claims.channels.map(({name}) => name)
      this.log([
        ...table(
          ['target', 'environment', 'by your role', 'address'],
          targets.map(({name, environment, role, address}) => [name, environment, role, address]),
        ),
        `kit ${id} of ${claims.principal.name}, good until ${showClock(expiresAt, now)} (${showWhen(expiresAt, now)}); alerts go to ${channels.join(' and ')}`,
        ...waiting,
      ])
      return {kit: id, expiresAt, targets, channels, spools}
    } catch (error) {
      if (!(error instanceof ProdError) || error.code !== 'KIT_INVALID') throw error
      this.log([error.message, ...waiting])
      return {kit: null, why: error.message, expiresAt: null, targets: [], channels: [], spools}
    }
  }
}
