import {createReadStream, readFileSync, statSync} from 'node:fs'
import {createInterface} from 'node:readline'
import * as Flags from '@oclif/core/flags'
import {findPin} from '@prod/sdk/cli/broker-pins'
import {ProdCommand} from '@prod/sdk/cli/command'
import {ProdError} from '@prod/sdk/errors'
import {verifyExport} from '@prod/sdk/log/export'
import {logKeyFile, verifyFolder} from '@prod/sdk/log/folder'
import type {LogKey} from '@prod/sdk/log/hand-over'
import {parseVerifierKey} from '@prod/sdk/log/note'
import type {ErasureTold, Verdict} from '@prod/sdk/log/verify'
import {showLine, showName} from '@prod/sdk/text'
import {exportLines} from '../../audit/export-lines.ts'

interface Checked {
  verdict: Verdict
  /** what was checked */
  what: string
  /** whose word it rests on */
  trust: string
}

/** What `--json` prints. */
interface Result {
  ok: boolean
  size: number
  root: string
  firstBad?: {index: number; why: string}
  vouched: number
  erased: number
  /** what the log itself tells of that, and how many are gone that it does not tell of */
  erasures?: ErasureTold[]
  untold?: number
  /** where the log has had more than one: each, and the records that it vouches for at most */
  keys?: LogKey[]
}

/** Checks that the log is whole and unaltered. */
export default class AuditVerify extends ProdCommand {
  static override summary = 'check that nobody altered the log'
  static override description =
    'Hashes every record anew, rebuilds the tree and compares it with the signed checkpoints. With --dir or --export it needs no broker. Ends with 1 and names the first bad record where something is wrong.'
  static override flags = {
    dir: Flags.string({description: 'data folder of a broker, or a copy of it', helpValue: 'DIR', exclusive: ['export']}),
    export: Flags.string({description: 'file that `audit export` wrote', helpValue: 'FILE', exclusive: ['dir']}),
    key: Flags.string({description: 'the log’s verifier key (name+id+key), or a file with it', helpValue: 'KEY|FILE'}),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --export log.jsonl --key log.pub',
    '<%= config.bin %> <%= command.id %> --dir /var/lib/prod --json',
  ]

  async run(): Promise<Result> {
    const {flags} = await this.parse(AuditVerify)
    const key = flags.key === undefined ? undefined : readKey(flags.key)
    const {verdict, what, trust} =
      flags.dir === undefined
        ? flags.export === undefined
          ? await this.#ofBroker(key)
          : await ofExport(flags.export, key)
        : await ofFolder(flags.dir, key)
    const {ok, size, root, firstBad, vouched, erased, erasures, untold, keys} = verdict
    this.log(
      ok
        ? [
            `the log is whole: ${size} records`,
            `checked:  ${what}: every record against its hash, every hash against the signed checkpoint`,
            `root:     ${root}`,
            `key:      ${trust}`,
            ...showKeys(keys),
            ...showErased(verdict),
          ]
        : [
            `THE LOG IS NOT WHOLE: record ${firstBad?.index ?? 0} is the first bad one`,
            `why:      ${firstBad?.why ?? ''}`,
            `checked:  ${what}`,
            `proven:   ${vouched} records before it are proven by a signed checkpoint`,
            `key:      ${trust}`,
          ],
    )
    if (!ok) this.endWith(1)
    return {
      ok,
      size,
      root,
      ...(firstBad ? {firstBad} : {}),
      vouched,
      erased,
      ...(erasures ? {erasures} : {}),
      ...(untold ? {untold} : {}),
      ...(keys ? {keys} : {}),
    }
  }

  async #ofBroker(key: string | undefined): Promise<Checked> {
    const client = await this.connect()
    const pin = findPin(client.broker)
    if (!pin) throw new ProdError('NOT_LOGGED_IN', `not logged in to ${client.broker.name}`, `prod login --broker ${client.broker.url}`)
    const used = key ?? pin.logKey
    const verdict = await verifyExport(exportLines(this.broker(), used), used)
    return {
      verdict,
      what: `the log of ${client.broker.url}`,
      trust: key === undefined ? `remembered since the first login, ${pin.since.slice(0, 10)}` : 'the one given',
    }
  }
}

/** What is gone, and what the log says of that. Texts that went without a record of it are told loudly: they prove nothing wrong, and yet somebody took them. */
function showErased({erased, erasures = [], untold = 0}: Verdict): string[] {
  if (erased === 0) return []
  return [
    `erased:   ${erased} personal texts are gone; what was recorded still holds`,
    ...erasures.map(
      ({erasure, at, by, texts}) =>
        `          ${texts} on ${at.slice(0, 10)} by ${by === null ? '(erased)' : showName(by)} (${showLine(erasure)})`,
    ),
    ...(untold > 0 ? [`          ${untold} OF THEM BY NO ERASURE THAT THE LOG TELLS OF`] : []),
  ]
}

/** The keys of a log that has had more than one; each gave over to the next, and both signed that. */
function showKeys(keys: readonly LogKey[] = []): string[] {
  return keys.map(
    ({key, until}, n) =>
      `${n === 0 ? 'keys:     ' : '          '}${keyId(key)} ${until === null ? 'signs now' : `signed until record ${until}`}`,
  )
}

/** `name+id`: enough to tell a log's keys apart. */
function keyId(key: string): string {
  return key.split('+', 2).join('+')
}

async function ofFolder(dir: string, key: string | undefined): Promise<Checked> {
  const verdict = await verifyFolder(dir, key)
  return {
    verdict,
    what: `the store in ${dir}`,
    trust:
      key === undefined
        ? `${logKeyFile} of the same folder: whoever could write there could have changed it; give the one you know with --key`
        : 'the one given',
  }
}

async function ofExport(path: string, key: string | undefined): Promise<Checked> {
  try {
    if (!statSync(path).isFile()) throw Object.assign(new Error('no file'), {code: 'no plain file'})
  } catch (cause) {
    throw new ProdError('NOT_FOUND', `${path} cannot be read: ${(cause as NodeJS.ErrnoException).code}`, 'prod audit export -o FILE', {
      cause,
    })
  }
  const verdict = await verifyExport(createInterface({input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY}), key)
  return {
    verdict,
    what: path,
    trust:
      key === undefined
        ? 'the export’s own: the answer is as good as the way the file came; give the one you know with --key'
        : 'the one given',
  }
}

/** A key as text, or in a file. Throws CONFIG_INVALID. */
function readKey(given: string): string {
  let text = given
  if (!/^[^+]+\+[0-9a-f]{8}\+/.test(given)) {
    try {
      text = readFileSync(given, 'utf8').trim()
    } catch (cause) {
      throw new ProdError('USAGE', `${given} is neither a verifier key nor a file with one`, '--key name+id+key', {cause})
    }
  }
  parseVerifierKey(text)
  return text
}
