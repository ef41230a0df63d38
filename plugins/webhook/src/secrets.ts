/** Secrets of a receiver, as Standard Webhooks writes them: `whsec_` and base64 of 24 to 64 random bytes. */
import {createHmac} from 'node:crypto'
import {constants} from 'node:fs'
import {open} from 'node:fs/promises'
import {ProdError} from '@prod/sdk/errors'

const prefix = 'whsec_'
const maxFileBytes = 1024

/** The key in a secret. Throws CONFIG_INVALID; the secret itself is in no message. Pure. */
export function secretKey(text: string): Buffer {
  const base64 = text.startsWith(prefix) ? text.slice(prefix.length) : ''
  const key = Buffer.from(base64, 'base64')
  if (key.length < 24 || key.length > 64 || key.toString('base64') !== base64) {
    throw new ProdError(
      'CONFIG_INVALID',
      'a webhook secret is whsec_ and base64 of 24 to 64 bytes',
      `printf whsec_ && openssl rand -base64 32`,
    )
  }
  return key
}

/** The secret of one person, made of the channel's own: HMAC-SHA-256 over `prod holder NAME`. It signs in that name alone, and tells nothing of the other. Pure. */
export function holderSecret(secret: string, holder: string): string {
  return prefix + createHmac('sha256', secretKey(secret)).update(`prod holder ${holder}`).digest('base64')
}

/** Reads a secret's file: plain, of this account or root, closed to all others. Throws CONFIG_INVALID. */
export async function readSecret(path: string): Promise<string> {
  const refuse = (why: string, hint = `chmod 600 ${path}`) => new ProdError('CONFIG_INVALID', `the secret file ${path} ${why}`, hint)
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((error: NodeJS.ErrnoException) => {
    throw refuse(error.code === 'ELOOP' ? 'is a link' : `cannot be opened: ${error.code}`, `ls -l ${path}`)
  })
  try {
    const {mode, uid, size} = await file
      .stat()
      .then(stats => (stats.isFile() ? stats : Promise.reject(refuse('is no plain file', `ls -l ${path}`))))
    if (uid !== 0 && uid !== process.geteuid?.()) throw refuse('belongs to somebody else', `ls -l ${path}`)
    if ((mode & 0o077) !== 0) throw refuse('can be read by others')
    if (size > maxFileBytes) throw refuse('holds more than a secret', `ls -l ${path}`)
    const text = (await file.readFile('utf8')).trim()
    secretKey(text)
    return text
  } finally {
    await file.close()
  }
}
