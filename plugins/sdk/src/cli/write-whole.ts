import {writeSync} from 'node:fs'

/** Writes one text and a line end to stdout, whole, whatever kind of pipe that is: for fast answers, which load no more. A reader who has gone is no failure. */
export function writeWhole(text: string): true {
  let rest = Buffer.from(`${text}\n`)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest))
    } catch (error) {
      const {code} = error as NodeJS.ErrnoException
      if (code === 'EPIPE') break
      if (code !== 'EAGAIN') throw error
    }
  }
  return true
}
