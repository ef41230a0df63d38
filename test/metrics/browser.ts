import {existsSync} from 'node:fs'
import {type Browser, chromium} from 'playwright-core'

const places = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** A browser of this machine; undefined where there is none (`apt-get install chromium`). */
export async function openBrowser(): Promise<Browser | undefined> {
  const executablePath = places.find(path => existsSync(path))
  if (executablePath === undefined) return undefined
  return chromium.launch({executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : []})
}
