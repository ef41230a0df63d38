import * as Flags from '@oclif/core/flags'
import {ProdCommand} from '@prod/sdk/cli/command'
import type {Migrated} from '../../migrate.ts'

/** Brings a store that an older version wrote to this one. */
export default class BrokerMigrate extends ProdCommand {
  static override summary = 'bring the store of a stopped broker to this version'
  static override description =
    'A broker does not start on tables of an older version and says so. The change is one transaction: done, or as it was. Copy the data folder first.'
  static override flags = {config: Flags.string({required: true, description: 'the configuration file of the broker', helpValue: 'FILE'})}
  static override examples = ['<%= config.bin %> <%= command.id %> --config /etc/prod/broker.yaml']

  async run(): Promise<Migrated> {
    const {flags} = await this.parse(BrokerMigrate)
    const {migrateStore} = await import('@prod/broker/migrate')
    const migrated = await migrateStore(flags.config)
    const {file, from, to} = migrated
    this.log(from === to ? `nothing to do: ${file} has version ${to}` : `${file} was brought from version ${from} to ${to}`)
    return migrated
  }
}
