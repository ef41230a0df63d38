/** A browser profile of one's own for a role, so that two consoles do not share their cookies. */
import {accessSync, constants} from 'node:fs'
import {delimiter, join} from 'node:path'
import {ProdError} from '@prod/sdk/errors'

const chromes = ['google-chrome', 'google-chrome-stable', 'chromium', 'chromium-browser']

/**
 * The command that opens a page in `chrome:PROFILE` (its folder's name, such as `Profile 1`) or `firefox:CONTAINER` (with the add-on
 * "Open external links in a container"). Throws USAGE for another form, TOOL_UNAVAILABLE where the browser is not found.
 */
export function browserCommand(
  profile: string,
  url: string,
  {platform = process.platform, env = process.env}: {platform?: NodeJS.Platform; env?: NodeJS.ProcessEnv} = {},
): [program: string, ...args: string[]] {
  const [, browser, name] = /^(chrome|firefox):([\w .@+-]{1,100})$/.exec(profile) ?? []
  if (name === undefined)
    throw new ProdError('USAGE', `${profile} is no browser profile`, '--browser-profile "chrome:Profile 1", or firefox:staging')
  const args =
    browser === 'chrome'
      ? [`--profile-directory=${name}`, url]
      : [`ext+container:name=${encodeURIComponent(name)}&url=${encodeURIComponent(url)}`]
  if (platform === 'darwin') return ['open', '-na', browser === 'chrome' ? 'Google Chrome' : 'Firefox', '--args', ...args]
  const program = (browser === 'chrome' ? chromes : ['firefox']).find(program => isThere(program, env))
  if (program === undefined) throw new ProdError('TOOL_UNAVAILABLE', `${browser} is not on this machine`, 'prod assume ROLE --console')
  return [program, ...args]
}

function isThere(program: string, env: NodeJS.ProcessEnv): boolean {
  return (env.PATH ?? '').split(delimiter).some(folder => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return folder !== ''
    } catch {
      return false
    }
  })
}
