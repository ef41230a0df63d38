/** A program's output as lines, each with the name of its target before it. */
import {createHash} from 'node:crypto'
import {openTail} from '@prod/sdk/cli/tail'
import {showName, showText} from '@prod/sdk/text'
import type {Outlet} from './outlet.ts'
import type {Progress} from './progress.ts'

/** a line is shown when it is so long, though it has not ended */
const longestLine = 65_536

/** Lines go out whole, so that targets do not mix within one. At a terminal they are made harmless, unless `raw`. */
export function openPrefixed(name: 'stdout' | 'stderr', target: string, {raw, progress}: {raw: boolean; progress: Progress}): Outlet {
  const hash = createHash('sha256')
  const tail = openTail()
  const prefix = Buffer.from(`${showName(target)}: `)
  const harmless = process[name].isTTY === true && !raw
  let total = 0
  let rest: Buffer = Buffer.alloc(0)
  const lines = (bytes: Buffer): Uint8Array | string => {
    if (harmless) return `${prefix.toString()}${showText(bytes).replaceAll('\n', ' ')}\n`
    return Buffer.concat([prefix, bytes, Buffer.from('\n')])
  }
  const out = async (bytes: Buffer): Promise<boolean> => {
    const pieces: Buffer[] = []
    let start = 0
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      pieces.push(bytes.subarray(start, end))
      start = end + 1
    }
    rest = bytes.subarray(start)
    if (rest.length >= longestLine) {
      pieces.push(rest)
      rest = Buffer.alloc(0)
    }
    rest = Buffer.from(rest)
    if (pieces.length === 0) return true
    const shown = pieces.map(lines)
    return progress.write(name, harmless ? shown.join('') : Buffer.concat(shown as Uint8Array[]))
  }
  return {
    write(bytes) {
      hash.update(bytes)
      tail.push(bytes)
      total += bytes.byteLength
      return out(rest.length > 0 ? Buffer.concat([rest, bytes]) : Buffer.from(bytes))
    },
    async end() {
      const last = rest
      rest = Buffer.alloc(0)
      if (last.length > 0) await progress.write(name, lines(last))
    },
    digest: () => ({bytes: total, sha256: hash.copy().digest('hex')}),
    kept: () => ({text: ''}),
    cut: () => false,
    tail: tail.text,
  }
}
