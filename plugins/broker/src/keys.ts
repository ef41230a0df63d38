/** The broker's own keys, each a 0600 file in `DIR/keys`: made at first start, owner checked at each. */
import type {KeyObject} from 'node:crypto'

export interface Keys {
  /** Ed25519: receipts and end frames */
  readonly receipt: {privateKey: KeyObject; publicJwk: Record<string, string>}
  /** Ed25519: access tokens of this broker */
  readonly token: {privateKey: KeyObject; publicKey: KeyObject}
  /** Ed25519: checkpoints of the log; `name` is the C2SP note key name */
  readonly log: {name: string; privateKey: KeyObject; verifierKey: string}
  /** 32 bytes: seals the identity provider's tokens at rest (AES-256-GCM) */
  readonly seal: Uint8Array
}
