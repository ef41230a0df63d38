/** Host keys: which an instance is known by, and whether the one it shows is one of them. Pure. */
import {createHash} from 'node:crypto'

/** A host key as it is known: its type and its bytes. */
export interface HostKey {
  readonly type: string
  readonly blob: Buffer
}

/** Types that an instance may show, best first; those signed with SHA-1 are none. */
export const hostKeyTypes = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
] as const

/** `SHA256:…`, as `ssh-keygen -l` shows it. */
export function fingerprintOf(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`
}

/** The type of a key from its own bytes: a length of four bytes, then its name (RFC 4253, section 6.6). */
export function typeOf(blob: Buffer): string {
  const length = blob.length >= 4 ? blob.readUInt32BE(0) : 0
  return blob.subarray(4, 4 + Math.min(length, 64)).toString('latin1')
}

const begin = '-----BEGIN SSH HOST KEY KEYS-----'
const end = '-----END SSH HOST KEY KEYS-----'

/**
 * The keys that cloud-init printed on the console of an instance when it made them: those of the last whole block, for an earlier one
 * is of keys that were made anew. Lines that are no key are left out.
 */
export function keysOnConsole(text: string): HostKey[] {
  const to = text.lastIndexOf(end)
  const from = to < 0 ? -1 : text.lastIndexOf(begin, to)
  if (from < 0) return []
  const keys: HostKey[] = []
  for (const line of text.slice(from + begin.length, to).split(/\r?\n/)) {
    // a console may put a time or a name before the line
    const [, type = '', base64 = ''] = /(?:^|\s)(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+) ([A-Za-z0-9+/]+={0,2})(?:\s|$)/.exec(line) ?? []
    const blob = Buffer.from(base64, 'base64')
    if (type && typeOf(blob) === type) keys.push({type, blob})
  }
  return keys
}

/** The types to ask for, so that the instance shows a key that is known; an RSA key has one name and other ones for its signatures. */
export function typesFor(keys: readonly HostKey[]): string[] {
  return hostKeyTypes.filter(name => keys.some(({type}) => (type === 'ssh-rsa' ? name.startsWith('rsa-') : type === name)))
}
