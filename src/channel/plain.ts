import {createStreamSanitiser, type StreamSanitiser} from '@prod/sdk/text'

// ECMA-48: control sequences, which colour, move and clear; character sets, saved cursors, keypad modes; the bell
const silent = /\x1b\[[0-?]{0,32}[ -/]{0,4}[@-~]|\x1b[()][0-9A-Z]|\x1b[=>78M]|\x07/g
const half = /\x1b(?:\[[0-?]{0,32}[ -/]{0,4}|[()])?$/

/**
 * What a terminal showed, as text that reads well and acts on nothing (TM-R1): sequences that only colour, move or clear are
 * left out, so that what they would hide is seen; every other control character is shown. A return within a line begins a new one.
 */
export function createPlain(): StreamSanitiser {
  const sanitiser = createStreamSanitiser()
  let held = ''
  let lineStart = true
  let returned = false

  const take = (bytes: Uint8Array, last: boolean): string => {
    const text = held + Buffer.from(bytes).toString('latin1')
    const keep = last ? 0 : (half.exec(text)?.[0].length ?? 0)
    held = text.slice(text.length - keep)
    let out = ''
    for (const piece of text
      .slice(0, text.length - keep)
      .replace(silent, '')
      .match(/[\r\n]|[^\r\n]+/g) ?? []) {
      if (piece === '\r') returned = !lineStart
      else {
        if (returned && piece !== '\n') out += '\n'
        returned = false
        lineStart = piece === '\n'
        out += piece
      }
    }
    return sanitiser.push(Buffer.from(out, 'latin1'))
  }
  return {push: bytes => take(bytes, false), end: () => take(new Uint8Array(0), true) + sanitiser.end()}
}
