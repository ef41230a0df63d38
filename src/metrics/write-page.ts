import {writeFile} from 'node:fs/promises'
import {ProdError} from '@prod/sdk/errors'

/** Writes a page where the person wants it. It names nobody, so that it is a file like any other. Throws USAGE where that cannot be. */
export async function writePage(path: string, text: string): Promise<void> {
  await writeFile(path, text).catch((cause: NodeJS.ErrnoException) => {
    throw new ProdError('USAGE', `${path} cannot be written: ${cause.code}`, 'prod metrics --html FILE', {cause})
  })
}
