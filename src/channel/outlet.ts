/** Where a remote program's output goes here: to the terminal made harmless, to a pipe as it is, or kept for `--json`. */
import {createHash} from 'node:crypto'
import type {Digest} from '@prod/sdk'
import {passBytes} from '@prod/sdk/cli/output'
import {openTail} from '@prod/sdk/cli/tail'
import {createStreamSanitiser} from '@prod/sdk/text'

/** most bytes that `--json` gives back of each output */
export const maxKeptBytes = 10 * 1024 * 1024

export interface Outlet {
  /** Resolves when the bytes are taken; false: nobody reads any more. */
  write(bytes: Uint8Array): Promise<boolean>
  /** What a split character or line held back. */
  end(): Promise<void>
  digest(): Digest
  /** for `--json`: text where it is UTF-8, else base64; cut at {@link maxKeptBytes} */
  kept(): {text: string} | {base64: string}
  /** the end of what went through, 64 KiB at most; only where it was asked for */
  tail?(): string
  readonly cut: () => boolean
}

/**
 * An outlet to one of our own streams. `keep`: nothing is written, all is kept. `raw`: a terminal gets the bytes as they are. `tail`: the end
 * is remembered, for an explanation.
 */
export function openOutlet(name: 'stdout' | 'stderr', {keep, raw, tail = false}: {keep: boolean; raw: boolean; tail?: boolean}): Outlet {
  const hash = createHash('sha256')
  const sanitiser = !keep && !raw && process[name].isTTY ? createStreamSanitiser() : undefined
  const chunks: Uint8Array[] = []
  const end = tail ? openTail() : undefined
  let total = 0
  let keptBytes = 0
  const show = async (bytes: Uint8Array): Promise<boolean> => {
    if (keep) {
      const room = Math.max(0, maxKeptBytes - keptBytes)
      if (room > 0) chunks.push(Buffer.from(bytes.subarray(0, room)))
      keptBytes += Math.min(room, bytes.byteLength)
      return true
    }
    const shown = sanitiser ? sanitiser.push(bytes) : bytes
    return shown.length === 0 ? true : passBytes(name, shown)
  }
  return {
    write(bytes) {
      const taken = show(bytes)
      // meanwhile whoever reads us has them already
      hash.update(bytes)
      total += bytes.byteLength
      end?.push(bytes)
      return taken
    },
    async end() {
      const rest = sanitiser?.end() ?? ''
      if (rest.length > 0) await passBytes(name, rest)
    },
    digest: () => ({bytes: total, sha256: hash.copy().digest('hex')}),
    kept() {
      const bytes = Buffer.concat(chunks)
      try {
        return {text: new TextDecoder('utf-8', {fatal: true}).decode(bytes)}
      } catch {
        return {base64: bytes.toString('base64')}
      }
    },
    cut: () => total > keptBytes && keep,
    ...(end && {tail: end.text}),
  }
}
