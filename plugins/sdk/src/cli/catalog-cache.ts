/** What completion offers without asking the broker: the catalog and the ids of requests as last seen, in `catalog.json` of the cache folder. */
import {join} from 'node:path'
import {api} from '../api.ts'
import type {CatalogView} from '../catalog-view.ts'
import type {AnyEndpoint} from '../client.ts'
import type {Request} from '../domain.ts'
import {places, readPrivate, writePrivate} from './places.ts'

/** The file. It counts where PROD_BROKER is what it was when this was kept. */
export interface CachedCatalog {
  /** the broker's URL */
  broker: string
  /** PROD_BROKER as it was; absent where it was not set */
  named?: string
  /** ISO 8601, UTC */
  savedAt: string
  view: CatalogView
  /** newest first */
  requests?: string[]
  /** those that waited when they were last seen */
  pending?: string[]
}

const maxRequests = 50
const nothing: CatalogView = {bundle: '', tools: [], targets: [], roles: []}
const ofOneRequest: readonly AnyEndpoint[] = [api.createRequest, api.showRequest, api.approveRequest, api.denyRequest, api.cancelRequest]

/**
 * Keeps the answer to a call if completion can use it. Not for a broker that `--broker` named: nobody can tell at the next
 * completion. Never throws: a cache that cannot be written is no reason to fail.
 */
export function keepForCompletion(endpoint: AnyEndpoint, answer: unknown, broker: string, now: Date = new Date()): void {
  if (endpoint !== api.catalog && endpoint !== api.listRequests && !ofOneRequest.includes(endpoint)) return
  try {
    const path = join(places().cache, 'catalog.json')
    const named = process.env.PROD_BROKER
    const kept = readKept(path, broker)
    const view = endpoint === api.catalog ? (answer as CatalogView) : (kept?.view ?? nothing)
    const seen =
      endpoint === api.catalog ? [] : endpoint === api.listRequests ? (answer as {requests: Request[]}).requests : [answer as Request]
    const ids = seen.map(({id}) => id)
    const requests = [...new Set([...ids, ...(kept?.requests ?? [])])].slice(0, maxRequests)
    const waiting = seen.filter(({state}) => state === 'pending').map(({id}) => id)
    const pending = [...waiting, ...(kept?.pending ?? []).filter(id => !ids.includes(id))].filter(id => requests.includes(id))
    const next: CachedCatalog = {broker, ...(named === undefined ? {} : {named}), savedAt: now.toISOString(), view, requests, pending}
    writePrivate(path, `${JSON.stringify(next)}\n`)
  } catch {
    // `prod doctor` looks at the folders
  }
}

function readKept(path: string, broker: string): CachedCatalog | undefined {
  try {
    const kept = JSON.parse(readPrivate(path) ?? '') as CachedCatalog
    return kept.broker === broker ? kept : undefined
  } catch {
    return undefined
  }
}
