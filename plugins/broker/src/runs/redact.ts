/**
 * Takes known secrets out of a tool's output, for tools whose `retention` is `redacted`: before anybody sees or stores it
 * (TM-E9). Works on bytes as they come: a secret that is split over chunks is still found, a line of any length keeps no more
 * than {@link heldBytes} in memory. It knows forms, not meanings: a secret in a form of its own passes.
 */
import {Transform, type TransformCallback} from 'node:stream'
import type {Channel} from '@prod/sdk'

/** longest secret that is found across a border of chunks, but for keys in PEM, which may be of any length */
const heldBytes = 8192
const mark = '[redacted]'

/** Forms of secrets; each bounded, so that matching takes linear time. The first group, where there is one, stays. */
const forms: readonly RegExp[] = [
  // AWS access key ids, and what is called a secret key beside them
  /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g,
  /((?:aws_secret_access_key|aws_session_token|secretaccesskey|sessiontoken)["']?\s{0,8}[:=]\s{0,8}["']?)[A-Za-z0-9/+=]{16,4096}/gi,
  // JSON Web Tokens, and what follows Bearer, Basic, DPoP
  /\beyJ[\w-]{8,4096}\.[\w-]{2,4096}\.[\w-]{0,4096}/g,
  /(\b(?:bearer|basic|dpop)\s{1,4})[\w.~+/=-]{12,4096}/gi,
  // tokens of services that mark their own
  /\b(?:gh[pousr]_\w{20,255}|github_pat_\w{20,255}|glpat-[\w-]{16,255}|xox[abeprs]-[\w-]{10,255}|sk_(?:live|test)_\w{10,255}|whsec_[\w/+=]{16,255}|AGE-SECRET-KEY-1[0-9A-Z]{20,255}|npm_\w{30,255})/g,
  // the user part of an address, and what is called a password
  /(\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s:@/]{0,256}:)[^\s@/]{1,256}(?=@)/gi,
  /((?:password|passwd|secret|token|api[_-]?key)["']?\s{0,8}[:=]\s{0,8}["']?)[^\s"'&,;]{4,1024}/gi,
]
const begin = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/
const end = /-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/

/** A redactor for one stream. Its output does not depend on how the stream was cut. */
export function createRedactor(): {push(bytes: Uint8Array): Buffer; end(): Buffer} {
  let held = ''
  let inKey = false

  const take = (last: boolean): Buffer => {
    let out = ''
    for (;;) {
      if (inKey) {
        const found = end.exec(held)
        if (!found) {
          // of a key nothing is kept but what may begin its last line
          held = last ? '' : held.slice(-80)
          break
        }
        held = held.slice(found.index + found[0].length)
        inKey = false
      }
      const key = begin.exec(held)
      if (key) {
        out += clean(held.slice(0, key.index)) + mark
        held = held.slice(key.index + key[0].length)
        inKey = true
        continue
      }
      const ready = last ? held.length : border(held)
      out += clean(held.slice(0, ready))
      held = held.slice(ready)
      break
    }
    return Buffer.from(out, 'latin1')
  }

  return {
    push(bytes) {
      held += Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
      return take(false)
    },
    end: () => take(true),
  }
}

/** Up to where text may go out: whole lines; of a line without an end all but its last {@link heldBytes}, cut between words. */
function border(text: string): number {
  const line = text.lastIndexOf('\n') + 1
  if (text.length - line <= heldBytes) return line
  const most = text.length - heldBytes
  const space = Math.max(text.lastIndexOf(' ', most), text.lastIndexOf(',', most))
  return Math.max(line, space > line ? space : most)
}

function clean(text: string): string {
  let out = text
  for (const form of forms) out = out.replace(form, (_match, kept: unknown) => `${typeof kept === 'string' ? kept : ''}${mark}`)
  return out
}

/** The channel with both its outputs redacted. */
export function redacted(channel: Channel): Channel {
  const through = (source: NodeJS.ReadableStream): Transform => {
    const redactor = createRedactor()
    return source.pipe(
      new Transform({
        transform: (chunk: Uint8Array, _encoding, done: TransformCallback) => done(null, redactor.push(chunk)),
        flush: done => done(null, redactor.end()),
      }),
    )
  }
  const [stdout, stderr] = [through(channel.stdout), through(channel.stderr)]
  return Object.create(channel, {stdout: {value: stdout}, stderr: {value: stderr}}) as Channel
}
