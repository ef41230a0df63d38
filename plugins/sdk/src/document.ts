import {createHash} from 'node:crypto'
import canonicalize from 'canonicalize'
import type {ApprovalDocument} from './domain.ts'

/** RFC 8785 text of any JSON value. Throws on what JSON cannot hold. Pure. */
export function canonical(value: unknown): string {
  const text = canonicalize(value)
  if (text === undefined) throw new TypeError('not a JSON value')
  return text
}

/** Lower-case hex SHA-256 of UTF-8 text or bytes. Pure. */
export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex')
}

/** The bytes an approver signs, and their digest. Pure. */
export function sealDocument(document: ApprovalDocument): {text: string; digest: string} {
  const text = canonical(document)
  return {text, digest: sha256(text)}
}
