/**
 * Takes known secrets, and what a tool's definition names, out of its output: before anybody sees or stores it (TM-E9, TM-J1).
 * Works on bytes as they come: what is split over chunks is still found, a line of any length keeps no more than
 * a few times {@link heldBytes} in memory. It knows forms, not meanings: a secret in a form of its own passes.
 */
import {Transform, type TransformCallback} from 'node:stream'
import type {Channel} from '@prod/sdk'
import {findMatches} from '@prod/sdk/grammar/pattern'
import type {RedactRules} from '../catalog/catalog.ts'
import {type Mask, mark, maskColumns, maskFields} from './mask.ts'
import {maskSecretDocuments} from './secret-documents.ts'

/** longest secret that is found across a border of chunks, but for keys in PEM, which may be of any length */
const heldBytes = 8192

/** Forms of secrets; each bounded, so that matching takes linear time. The first group, where there is one, stays. */
const forms: readonly RegExp[] = [
  // AWS access key ids, and what is called a secret key beside them
  /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g,
  /((?:aws_secret_access_key|aws_session_token|secretaccesskey|sessiontoken)["']?\s{0,8}[:=]\s{0,8}["']?)[A-Za-z0-9/+=]{16,4096}/gi,
  // JSON Web Tokens, and what follows Bearer, Basic, DPoP
  /\beyJ[\w-]{8,4096}\.[\w-]{2,4096}\.[\w-]{0,4096}/g,
  /(\b(?:bearer|basic|dpop)\s{1,4})[\w.~+/=-]{12,4096}/gi,
  // tokens of services that mark their own
  /\b(?:gh[pousr]_\w{20,255}|github_pat_\w{20,255}|glpat-[\w-]{16,255}|xox[abeprs]-[\w-]{10,255}|[sr]k_(?:live|test)_\w{10,255}|whsec_[\w/+=]{16,255}|AGE-SECRET-KEY-1[0-9A-Z]{20,255}|npm_\w{30,255}|AIza[\w-]{35}|ya29\.[\w-]{20,1024}|hv[sb]\.[\w-]{20,255}|dop_v1_[0-9a-f]{40,255}|SG\.[\w-]{16,64}\.[\w-]{16,64}|pypi-[\w-]{40,255})/g,
  // cookies
  /((?:^|[\s"'])(?:set-)?cookie2?["']?:\s{0,4}["']?)[^\r\n"']{4,4096}/gim,
  // the user part of an address, and what is called a password, in connection strings too
  /(\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s:@/]{0,256}:)[^\s@/]{1,256}(?=@)/gi,
  /((?:passw(?:or)?d|passphrase|pwd|secret|token|api[_-]?key|account[_-]?key|access[_-]?key|private[_-]?key|shared[_-]?access[_-]?(?:key|signature))["']?\s{0,8}[:=]\s{0,8}["']?)[^\s"'&,;]{4,1024}/gi,
]
const begin = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/
const end = /-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/
/** what may be one of the above in base64 */
const encoded = /[A-Za-z0-9+/]{24,8192}={0,2}/g

/** A redactor for one stream. Its output does not depend on how the stream was cut. */
export function createRedactor(rules: RedactRules | null = null): {push(bytes: Uint8Array): Buffer; end(): Buffer; count(): number} {
  let count = 0
  const masked = () => {
    count++
  }
  const masks: Mask[] = [
    ...(rules?.fields.length ? [maskFields(rules.fields, masked)] : []),
    ...(rules?.columns ? [maskColumns(rules.columns, masked)] : []),
    findSecrets(rules?.patterns ?? [], masked),
    maskSecretDocuments(masked),
  ]
  return {
    push: bytes =>
      Buffer.from(
        masks.reduce((text, mask) => mask.push(text), Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')),
        'latin1',
      ),
    // what one of them had held back still goes through those after it
    end: () =>
      Buffer.from(
        masks.reduce((text, mask) => (text === '' ? '' : mask.push(text)) + mask.end(), ''),
        'latin1',
      ),
    count: () => count,
  }
}

/** Secrets of known forms, keys in PEM, and what matches a pattern. */
function findSecrets(patterns: readonly string[], masked: () => void): Mask {
  let held = ''
  let inKey = false

  const take = (last: boolean): string => {
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
        masked()
        held = held.slice(key.index + key[0].length)
        inKey = true
        continue
      }
      const ready = last ? held.length : border(held, patterns)
      out += clean(held.slice(0, ready))
      held = held.slice(ready)
      break
    }
    return out
  }
  const clean = (text: string): string => {
    if (text === '') return text
    let out = text
    for (const form of forms) {
      out = out.replace(form, (_match, kept: unknown) => {
        masked()
        return `${typeof kept === 'string' ? kept : ''}${mark}`
      })
    }
    out = out.replace(encoded, word => {
      if (!holdsSecret(Buffer.from(word, 'base64').toString('latin1'))) return word
      masked()
      return mark
    })
    for (const pattern of patterns) out = cleanPattern(pattern, out, masked)
    return out
  }
  return {
    push(text) {
      held += text
      return take(false)
    },
    end: () => take(true),
  }
}

function holdsSecret(text: string): boolean {
  return begin.test(text) || forms.some(form => text.search(form) !== -1)
}

/** What matches a pattern, line by line; patterns speak of characters, output is bytes. */
function cleanPattern(pattern: string, text: string, masked: () => void): string {
  return text
    .split('\n')
    .map(line => {
      const {searched, isText} = readable(line)
      let out = ''
      let at = 0
      for (const {from, to} of findMatches(pattern, searched)) {
        out += searched.slice(at, from) + mark
        at = to
        masked()
      }
      out += searched.slice(at)
      return isText ? Buffer.from(out, 'utf8').toString('latin1') : out
    })
    .join('\n')
}

/**
 * Up to where text may go out: whole lines; of a line without an end all but its last {@link heldBytes}, cut between words, and
 * never inside of what would go.
 */
function border(text: string, patterns: readonly string[]): number {
  const line = text.lastIndexOf('\n') + 1
  if (text.length - line <= 2 * heldBytes) return line
  const most = text.length - heldBytes
  const space = Math.max(text.lastIndexOf(' ', most), text.lastIndexOf(',', most))
  const spans = spansIn(text.slice(line), patterns)
  let cut = (space > line ? space : most) - line
  for (;;) {
    // what follows a match may be what makes it one
    const across = spans.find(({from, to}) => from < cut && cut <= to)
    if (!across) return line + cut
    cut = across.from
  }
}

/** Where in a line something would go; what is longer than what is held is cut all the same. */
function spansIn(line: string, patterns: readonly string[]): {from: number; to: number}[] {
  const spans = [...forms, encoded].flatMap(form =>
    [...line.matchAll(form)].map(({0: {length}, index}) => ({from: index, to: index + length})),
  )
  if (patterns.length > 0) {
    // a character may be cut at the end
    const {searched, bytesBefore} = readable(line.replace(/[\xc0-\xff][\x80-\xbf]{0,2}$/, ''))
    for (const pattern of patterns)
      for (const {from, to} of findMatches(pattern, searched)) spans.push({from: bytesBefore(from), to: bytesBefore(to)})
  }
  return spans.filter(({from, to}) => to - from <= heldBytes + 2)
}

/** A line as patterns see it, and where its characters are in it; what is no text is matched byte by byte. */
function readable(line: string): {searched: string; isText: boolean; bytesBefore(at: number): number} {
  const text = Buffer.from(line, 'latin1').toString('utf8')
  const isText = Buffer.from(text, 'utf8').toString('latin1') === line
  if (!isText || text.length === line.length) return {searched: line, isText, bytesBefore: at => at}
  return {searched: text, isText, bytesBefore: at => Buffer.byteLength(text.slice(0, at))}
}

/** A channel whose outputs are redacted. */
export interface RedactedChannel extends Channel {
  /** how often something was taken out so far */
  count(): number
}

/** The channel with both its outputs redacted; fields and columns are a matter of stdout. */
export function redacted(channel: Channel, rules: RedactRules | null = null): RedactedChannel {
  const [onStdout, onStderr] = [createRedactor(rules), createRedactor(rules && {...rules, fields: [], columns: null})]
  const through = (source: NodeJS.ReadableStream, redactor: typeof onStdout): Transform =>
    source.pipe(
      new Transform({
        transform: (chunk: Uint8Array, _encoding, done: TransformCallback) => done(null, redactor.push(chunk)),
        flush: done => done(null, redactor.end()),
      }),
    )
  return Object.create(channel, {
    stdout: {value: through(channel.stdout, onStdout)},
    stderr: {value: through(channel.stderr, onStderr)},
    count: {value: () => onStdout.count() + onStderr.count()},
  }) as RedactedChannel
}
