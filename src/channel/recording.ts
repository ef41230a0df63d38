/** Opens sealed recordings on the reader's machine. age loads when one is opened. */
import {createHash} from 'node:crypto'
import {readFileSync} from 'node:fs'
import {api} from '@prod/sdk/api'
import type {BrokerClient} from '@prod/sdk/client'
import {ProdError} from '@prod/sdk/errors'
import {decodeRecords, headerOf, type RecordingRecord} from '@prod/sdk/recording'

/** The sealed chunks of a session's recording, fetched as they are needed; or of the output that is kept of a run. */
export async function* fetchRecording(broker: Pick<BrokerClient, 'call'>, id: string): AsyncGenerator<string> {
  for (let from: number | null = 0; from !== null; ) {
    const asked = {id, from: String(from)}
    const page: {chunks: string[]; next: number | null} = await (id.startsWith('run_')
      ? broker.call(api.runOutput, asked)
      : broker.call(api.recording, asked))
    yield* page.chunks
    from = page.next
  }
}

/** The records of each chunk, its place in the chain checked. Throws SIGNATURE_INVALID where the key is another or a chunk is not the one that followed. */
export async function* openRecording(sealed: AsyncIterable<string>, identity: string): AsyncGenerator<RecordingRecord[]> {
  const {Decrypter} = await import('age-encryption')
  const decrypter = new Decrypter()
  decrypter.addIdentity(identity)
  let previous: string | null = null
  let number = 0
  for await (const text of sealed) {
    const file = Buffer.from(text, 'base64')
    let records: RecordingRecord[]
    try {
      records = decodeRecords(await decrypter.decrypt(file))
    } catch (cause) {
      throw new ProdError('SIGNATURE_INVALID', `chunk ${number} cannot be opened with this identity`, '--identity FILE', {cause})
    }
    const header = headerOf(records)
    if (header.chunk !== number || header.previous !== previous)
      throw new ProdError('SIGNATURE_INVALID', `chunk ${number} is not the one that was recorded there`, 'prod audit verify')
    previous = createHash('sha256').update(file).digest('hex')
    number += 1
    yield records
  }
}

/** The age identity in a file, as age-keygen writes it. Throws USAGE. */
export function readIdentity(path: string): string {
  try {
    const line = readFileSync(path, 'utf8')
      .split('\n')
      .find(one => one.startsWith('AGE-SECRET-KEY-'))
    if (line) return line.trim()
  } catch (cause) {
    throw new ProdError('USAGE', `${path} cannot be read: ${(cause as NodeJS.ErrnoException).code}`, '--identity FILE', {cause})
  }
  throw new ProdError('USAGE', `${path} holds no age identity`, '--identity FILE')
}
