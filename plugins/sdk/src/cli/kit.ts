/** The break-glass kit of a login, kept where logins are: fetched at login and once an hour with a renewal, so that it is there when the broker is not. */
import {join} from 'node:path'
import {api} from '../api.ts'
import type {BrokerClient} from '../client.ts'
import {sha256} from '../document.ts'
import type {IssuedKit} from '../kit.ts'
import {neverWrite} from './output.ts'
import {places} from './places.ts'
import {openSecretStore, type SecretStore} from './secret-store.ts'

const renewAfterMs = 3_600_000

/** What is kept: the broker's last answer, and when it came by this machine's clock. */
export type KeptKit = IssuedKit & {version: 1; at: number}

function openKits(): {store: SecretStore; name: (broker: string) => string} {
  return {store: openSecretStore('kit', join(places().state, 'kits')), name: broker => sha256(broker).slice(0, 32)}
}

/** The kit of the login at this broker, as it was answered last; undefined where none was asked for. Throws KEYCHAIN_UNAVAILABLE. */
export async function findKit(broker: string): Promise<KeptKit | undefined> {
  const {store, name} = openKits()
  const text = await store.find(name(broker))
  try {
    const kept = JSON.parse(text ?? '') as KeptKit
    if (kept.version !== 1) return undefined
    for (const {config} of kept.kit === null ? [] : kept.channels)
      for (const secret of Object.values(config)) if (typeof secret === 'string' && secret.startsWith('whsec_')) neverWrite(secret)
    return kept
  } catch {
    return undefined
  }
}

/** Asks for a kit and keeps the answer. Throws what the broker said. */
export async function fetchKit(client: Pick<BrokerClient, 'broker' | 'call'>): Promise<KeptKit> {
  const answer = await client.call(api.breakGlassKit)
  const kept: KeptKit = {...answer, version: 1, at: Date.now()}
  const {store, name} = openKits()
  await store.save(name(client.broker.url), JSON.stringify(kept))
  return kept
}

/** Asks for one where the last is an hour old. A broker that knows no kits, or fails, leaves what is there. */
export async function renewKit(client: Pick<BrokerClient, 'broker' | 'call'>): Promise<void> {
  try {
    const kept = await findKit(client.broker.url)
    if (kept === undefined || Math.abs(Date.now() - kept.at) > renewAfterMs) await fetchKit(client)
  } catch {
    // a login is worth having without a kit; `prod break-glass status` says what there is
  }
}

/** Forgets it: the login is over. */
export async function dropKit(broker: string): Promise<void> {
  const {store, name} = openKits()
  await store.remove(name(broker))
}
