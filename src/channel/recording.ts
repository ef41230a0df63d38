/** Opens sealed recordings on the reader's machine. age loads when one is opened. */
import {createHash} from 'node:crypto'
import {ProdError} from '@prod/sdk/errors'
import {decodeRecords, headerOf, type RecordingRecord, toAsciicast} from '@prod/sdk/recording'

/** The records of each chunk, its place in the chain checked. Throws SIGNATURE_INVALID where the key is another or a chunk is not the one that followed. */
export async function openRecording(sealed: string[], identity: string): Promise<RecordingRecord[][]> {
  const {Decrypter} = await import('age-encryption')
  const decrypter = new Decrypter()
  decrypter.addIdentity(identity)
  const opened: RecordingRecord[][] = []
  let previous: string | null = null
  for (const [number, text] of sealed.entries()) {
    const file = Buffer.from(text, 'base64')
    let records: RecordingRecord[]
    try {
      records = decodeRecords(await decrypter.decrypt(file))
    } catch (cause) {
      throw new ProdError('SIGNATURE_INVALID', `chunk ${number} cannot be opened with this identity`, '--identity FILE', {cause})
    }
    const header = headerOf(records)
    if (header.chunk !== number || header.previous !== previous) throw new ProdError('SIGNATURE_INVALID', `chunk ${number} is not the one that was recorded there`, 'prod audit verify')
    previous = createHash('sha256').update(file).digest('hex')
    opened.push(records)
  }
  return opened
}

/** An asciicast v2 file. */
export function toAsciicastText(chunks: RecordingRecord[][]): string {
  return `${toAsciicast(chunks).join('\n')}\n`
}
