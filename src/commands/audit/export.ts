import {once} from 'node:events'
import {createWriteStream} from 'node:fs'
import {open} from 'node:fs/promises'
import * as Flags from '@oclif/core/flags'
import {findPin} from '@prod/sdk/cli/broker-pins'
import {ProdCommand} from '@prod/sdk/cli/command'
import {passBytes} from '@prod/sdk/cli/output'
import {ProdError} from '@prod/sdk/errors'
import {exportLines} from '../../audit/export-lines.ts'

const progressEvery = 20_000

/** The whole log, for those who keep or check it elsewhere. */
export default class AuditExport extends ProdCommand {
  static override summary = 'write the whole log as JSON lines'
  static override description =
    'One line for each record, and a last one with the signed checkpoint. `audit verify --export FILE` checks it without the broker. That it was read is recorded.'
  static override flags = {
    output: Flags.string({char: 'o', description: 'file to write, instead of stdout; it must not be there yet', helpValue: 'FILE'}),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %> -o log.jsonl',
    '<%= config.bin %> <%= command.id %> | gzip > log.jsonl.gz',
  ]

  async run(): Promise<{records: number; file?: string}> {
    const {flags} = await this.parse(AuditExport)
    if (flags.output === undefined && this.jsonEnabled())
      throw new ProdError('USAGE', 'the export is JSON lines, so that --json needs a file for it', 'prod audit export --json -o FILE')
    const client = await this.connect()
    const pin = findPin(client.broker)
    if (!pin) throw new ProdError('NOT_LOGGED_IN', `not logged in to ${client.broker.name}`, `prod login --broker ${client.broker.url}`)
    const write =
      flags.output === undefined
        ? {line: (line: string) => passBytes('stdout', `${line}\n`), end: async () => {}}
        : await openFile(flags.output)
    let records = -1 // the last line is the checkpoint
    let told = 0
    let whole = true
    const tell = (done: number, size: number): void => {
      if (done - told < progressEvery) return
      told = done
      this.say(`${done} of ${size} records`)
    }
    for await (const line of exportLines(this.broker(), pin.logKey, tell)) {
      whole = await write.line(line)
      if (!whole) break // nobody reads on
      records += 1
    }
    await write.end()
    if (whole)
      this.say(`exported ${Math.max(0, records)} records and their checkpoint${flags.output === undefined ? '' : ` to ${flags.output}`}`)
    return {records: Math.max(0, records), ...(flags.output === undefined ? {} : {file: flags.output})}
  }
}

/** A new file for this account alone. */
async function openFile(path: string): Promise<{line(text: string): Promise<boolean>; end(): Promise<void>}> {
  const file = await open(path, 'wx', 0o600).catch((cause: NodeJS.ErrnoException) => {
    throw new ProdError(
      'USAGE',
      cause.code === 'EEXIST' ? `${path} is there already` : `${path} cannot be written: ${cause.code}`,
      'prod audit export -o FILE',
      {cause},
    )
  })
  const stream = createWriteStream(path, {fd: file.fd, autoClose: false})
  let failure: unknown
  stream.on('error', error => {
    failure = error
  })
  const check = (): void => {
    if (failure) throw new ProdError('USAGE', `${path} cannot be written: ${(failure as NodeJS.ErrnoException).code}`, 'df')
  }
  return {
    async line(text) {
      if (!stream.write(`${text}\n`)) await once(stream, 'drain').catch(() => {})
      check()
      return true
    },
    async end() {
      stream.end()
      await once(stream, 'finish').catch(() => {})
      check()
      await file.sync()
      await file.close()
    },
  }
}
