/** What portals were seen to offer, as it was kept. No network, nothing heavy: every list of roles reads it. */
import {join} from 'node:path'
import {places, readPrivate} from '@prod/sdk/cli/places'
import type {AwsConfig} from '../config/files.ts'
import {type Source, sessionPortal} from '../config/profile.ts'

/** One account of a portal. `asked`: its roles are of the listing that is under way; else they are as they were before. */
export interface Account {
  id: string
  name: string
  roles: string[]
  asked: boolean
}

/** A portal as last seen. */
export interface Listing {
  version: 1
  startUrl: string
  /** ISO 8601; null while a listing is under way or was broken off */
  completedAt: string | null
  accounts: Account[]
}

/** A role of a listing, as `prod assume` takes it: `SESSION/ACCOUNT/ROLE`. */
export interface ListedRole {
  name: string
  session: string
  account: string
  accountName: string
  role: string
}

/** Where it is kept. */
export function listingFile(session: string): string {
  return join(places().cache, 'aws', `portal-${encodeURIComponent(session).slice(0, 200)}.json`)
}

/** What was kept of a portal with this start URL. Throws CONFIG_INVALID where others could have written it. */
export function readListing(session: string, startUrl: string): Listing | undefined {
  try {
    const listing = JSON.parse(readPrivate(listingFile(session)) ?? '') as Listing
    return listing.version === 1 && listing.startUrl === startUrl ? listing : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

/** All that the sessions of the configuration are known to offer. No network. */
export function listedRoles(config: AwsConfig): ListedRole[] {
  return [...config.sessions].flatMap(([session, settings]) => {
    const accounts = readListing(session, settings.get('sso_start_url') ?? '')?.accounts ?? []
    const seen = new Set<string>()
    const twice = new Set(accounts.map(({name}) => name).filter(name => seen.size === seen.add(name).size))
    return accounts.flatMap(({id, name, roles}) => {
      const called = name === '' || twice.has(name) ? id : name.replaceAll('/', '-')
      return roles.map(role => ({name: `${session}/${called}/${role}`, session, account: id, accountName: name, role}))
    })
  })
}

/** A listed role by its name; the account may be its number. Undefined where there is none. Throws CONFIG_INVALID. */
export function findListed(config: AwsConfig, name: string): (Source & {kind: 'portal'}) | undefined {
  const at = name.indexOf('/')
  const session = [...config.sessions.keys()].find(key => name.startsWith(`${key}/`))
  if (at < 0 || session === undefined) return undefined
  const found = listedRoles(config).find(role => role.name === name || `${role.session}/${role.account}/${role.role}` === name)
  return found && {kind: 'portal', portal: sessionPortal(config, found.session), account: found.account, role: found.role}
}
