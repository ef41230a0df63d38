import {readFile} from 'node:fs/promises'
import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {api} from '@prod/sdk/api'
import {ProdCommand} from '@prod/sdk/cli/command'
import {ProdError} from '@prod/sdk/errors'
import {type ImportKind, importKinds, readImport} from '../../metrics/import-file.ts'

const rowsInOneCall = 500

/** Brings in what prod cannot see itself. */
export default class MetricsImport extends ProdCommand {
  static override summary = 'bring in incident times, shells outside prod, standing access'
  static override description =
    'JSON or CSV, as PagerDuty or another system exports it; docs/metrics.md says what is read. Each row is an event of the log, under the name of who brought it; the same id again takes the place of the row before.'
  static override args = {file: Args.string({required: true, description: 'the exported file'})}
  static override flags = {
    kind: Flags.string({description: 'what the rows are', options: [...importKinds], default: 'incident'}),
    prefix: Flags.string({description: 'make ids of it and the incident number, as people type them: INC-', helpValue: 'TEXT'}),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %> incidents.json --prefix INC-',
    '<%= config.bin %> <%= command.id %> ssh-logins.csv --kind outside-shell',
  ]

  async run(): Promise<{imported: number}> {
    const {args, flags} = await this.parse(MetricsImport)
    const kind = flags.kind as ImportKind
    const text = await readFile(args.file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
      throw new ProdError('USAGE', `${args.file} cannot be read: ${cause.code}`, 'prod metrics import FILE', {cause})
    })
    const rows = readImport(text, {kind, prefix: flags.prefix})
    let imported = 0
    for (let at = 0; at < rows.length; at += rowsInOneCall)
      imported += (await this.broker().call(api.importMetrics, {kind, rows: rows.slice(at, at + rowsInOneCall)})).imported
    this.log(`imported ${imported} ${imported === 1 ? 'row' : 'rows'}`)
    return {imported}
  }
}
