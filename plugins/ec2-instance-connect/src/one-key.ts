/** A key for one connection: it is made in memory, signs there, and is gone with the connection. */
import {generateKeyPairSync, sign} from 'node:crypto'
import ssh from 'ssh2'

/** What logs in with a key that nobody else has. */
export interface OneKey {
  /** as in authorized_keys, without a name */
  readonly publicKey: string
  /** signs, and gives the private key to nobody */
  readonly agent: ssh.BaseAgent
}

/** Makes one: Ed25519. */
export function makeKey(): OneKey {
  const {publicKey, privateKey} = generateKeyPairSync('ed25519')
  const type = 'ssh-ed25519'
  const point = Buffer.from(publicKey.export({format: 'jwk'}).x as string, 'base64url')
  const blob = Buffer.concat([lengthOf(type.length), Buffer.from(type), lengthOf(point.length), point])
  const identity = `${type} ${blob.toString('base64')}`
  class Agent extends ssh.BaseAgent {
    override getIdentities(done: (error: Error | undefined, keys?: string[]) => void): void {
      done(undefined, [identity])
    }
    override sign(_key: unknown, data: Buffer, options: unknown, done?: (error?: Error, signature?: Buffer) => void): void {
      const answer = (typeof options === 'function' ? options : done) as (error?: Error, signature?: Buffer) => void
      answer(undefined, sign(null, data, privateKey))
    }
  }
  return {publicKey: identity, agent: new Agent()}
}

function lengthOf(length: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(length)
  return bytes
}
