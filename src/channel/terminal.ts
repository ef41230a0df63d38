/** The person's own terminal while it is joined to a far shell, and how it is given back. */
import type {TerminalSize} from '@prod/sdk'
import {showLine} from '@prod/sdk/text'

/** What a program may have left on is turned off: alternate screen, hidden cursor, mouse, pasting, application keys, colours, charset. */
export const giveBack = '\x1b[?1047l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>\x1b(B\x1b[0m'

/** The size of the terminal that the person sees. */
export function ownSize(): TerminalSize {
  return {columns: process.stdout.columns || 80, rows: process.stdout.rows || 24}
}

/** What kind of terminal it is, as programs there know it. */
export function ownTerm(): string {
  const {TERM = ''} = process.env
  return /^[A-Za-z0-9._+-]{1,64}$/.test(TERM) ? TERM : 'xterm-256color'
}

/** What is told of the terminal. */
export interface TerminalUser {
  typed(bytes: Uint8Array): void
  resized(size: TerminalSize): void
}

/**
 * Puts the terminal into raw mode, so that Ctrl-C, Ctrl-Z and Ctrl-D are the far shell's, and names the shell in the window's
 * title. The answer gives it back as it was; so does the end of this process, however it comes. Without a terminal: nothing.
 */
export function takeTerminal(title: string, user: TerminalUser): () => void {
  const {stdin, stdout} = process
  if (!stdin.isTTY) return () => {}
  stdin.setRawMode(true)
  stdin.resume()
  // the title is put on the terminal's own pile, and taken from it again
  if (stdout.isTTY) stdout.write(`\x1b[22;0t\x1b]0;${showLine(title)}\x07`)
  const typed = (bytes: Uint8Array) => user.typed(Uint8Array.from(bytes))
  const resized = () => user.resized(ownSize())
  stdin.on('data', typed)
  stdout.on('resize', resized)
  let taken = true
  const give = () => {
    if (!taken) return
    taken = false
    process.off('exit', give)
    stdin.off('data', typed)
    stdout.off('resize', resized)
    stdin.setRawMode(false)
    stdin.pause()
    if (stdout.isTTY) stdout.write(`${giveBack}\x1b[23;0t\r\n`)
  }
  process.on('exit', give)
  return give
}
