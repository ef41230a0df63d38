import {writeFileSync} from 'node:fs'
import type {Receipt} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'

/** Writes a receipt, or those of a run on many targets, as JSON. Throws USAGE where the file cannot be written: the run itself is over by then. */
export function writeReceipt(path: string, receipt: Receipt | Receipt[] | null): void {
  if (!receipt) throw new ProdError('OUTCOME_UNKNOWN', 'there is no receipt to write', 'prod attach ID')
  try {
    writeFileSync(path, `${JSON.stringify(receipt, undefined, 2)}\n`, {mode: 0o644})
  } catch (cause) {
    throw new ProdError(
      'USAGE',
      `${path} cannot be written: ${(cause as NodeJS.ErrnoException).code}`,
      `prod attach ${Array.isArray(receipt) ? (receipt[0]?.request ?? 'ID') : receipt.run} --receipt FILE`,
      {cause},
    )
  }
}
