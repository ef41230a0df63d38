import {readAwsConfig} from '../config/files.ts'
import {sessionPortal} from '../config/profile.ts'
import {refreshListing} from './listing.ts'

/** Lists what every `[sso-session]` of the configuration offers, one after the other. Throws as `refreshListing`. */
export async function refreshAll(progress: (text: string) => void): Promise<void> {
  const config = readAwsConfig()
  for (const name of config.sessions.keys()) await refreshListing(sessionPortal(config, name), progress)
}
