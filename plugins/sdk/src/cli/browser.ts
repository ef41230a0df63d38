import {spawn} from 'node:child_process'

/** How each platform opens a page, without a shell in between. */
const openers: Partial<Record<NodeJS.Platform, [program: string, ...args: string[]]>> = {
  darwin: ['open'],
  win32: ['rundll32.exe', 'url.dll,FileProtocolHandler'],
}

/** Opens a page in the person's browser. Where that fails nothing is said: the address stands on the terminal as well. */
export function openBrowser(url: string, platform: NodeJS.Platform = process.platform): void {
  openWith([...(openers[platform] ?? ['xdg-open']), url])
}

/** The same with a command of one's own. */
export function openWith([program, ...args]: readonly [string, ...string[]]): void {
  // a session of its own: a text browser gets no hold of this terminal
  const child = spawn(program, args, {stdio: 'ignore', detached: true})
  child.on('error', () => undefined)
  child.unref()
}
