import * as Flags from '@oclif/core/flags'
import {ProdCommand} from '@prod/sdk/cli/command'
import {ProdError} from '@prod/sdk/errors'
import type {Rotated} from '../../rotate-key.ts'

/** Gives the log a new signing key. */
export default class BrokerRotateKey extends ProdCommand {
  static override summary = 'give the log a new signing key, handed over by the old one'
  static override description =
    'On the broker’s machine, as its account; the broker may run. Both keys sign the hand-over, which lies in the log. Old receipts, checkpoints and exports still verify, and every prod that knows the old key follows by itself. The old private key is gone then.'
  static override flags = {
    config: Flags.string({description: 'the configuration file of the broker', helpValue: 'FILE', exclusive: ['dir']}),
    dir: Flags.string({description: 'its data folder, instead: of a development broker, say', helpValue: 'DIR'}),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %> --config /etc/prod/broker.yaml',
    '<%= config.bin %> <%= command.id %> --dir /var/lib/prod --json',
  ]

  async run(): Promise<Rotated> {
    const {flags} = await this.parse(BrokerRotateKey)
    const place = flags.config !== undefined ? {configFile: flags.config} : flags.dir !== undefined ? {dir: flags.dir} : undefined
    if (!place) throw new ProdError('USAGE', 'whose log is meant?', 'prod broker rotate-key --config FILE, or --dir DIR')
    const {rotateLogKey} = await import('@prod/broker/rotate-key')
    const rotated = await rotateLogKey(place)
    const {from, to, size, doneBy} = rotated
    this.log([
      `the log has a new key since record ${size}${doneBy === 'broker' ? '; the running broker signs with it' : ''}`,
      `from:  ${from}`,
      `to:    ${to}`,
    ])
    this.say('publish the new one beside the old one; prod audit verify shows the row of keys')
    return rotated
  }
}
