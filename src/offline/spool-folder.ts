import {readdirSync} from 'node:fs'
import {join} from 'node:path'
import {places} from '@prod/sdk/cli/places'

/** Where all spools lie. */
export function spoolFolder(): string {
  return join(places().state, 'break-glass')
}

/** Ids of the sessions that lie there, the oldest first. */
export function listSpools(): string[] {
  try {
    return readdirSync(spoolFolder())
      .filter(name => /^ses_[0-9a-z]{17}$/.test(name))
      .sort()
  } catch (error) {
    if (/^ENO(ENT|TDIR)$/.test((error as NodeJS.ErrnoException).code ?? '')) return []
    throw error
  }
}
