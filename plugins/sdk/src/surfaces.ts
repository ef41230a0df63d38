/**
 * Foreign text for each place that shows it, after {@link showLine} and its kin of text.ts have taken away what acts. One function
 * for one context: the name says where the result may stand, and nowhere else. All pure.
 */
import {type Foreign, showLine, showText} from './text.ts'

const entities: Record<string, string> = {'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;', '`': '&#96;'}

function encode(text: string): string {
  return text.replace(/[&<>"'`]/g, character => entities[character] as string)
}

/** One line between tags. Put it into `<bdi>` where it shares a line with others. */
export function forHtml(foreign: Foreign): string {
  return encode(showLine(foreign))
}

/** Many lines between tags, inside `<pre>` or `white-space: pre-wrap`. */
export function forHtmlText(foreign: Foreign): string {
  return encode(showText(foreign))
}

/** A value inside a quoted attribute that is no address, style or script. */
export function forHtmlAttribute(foreign: Foreign): string {
  return encode(showLine(foreign))
}

/** The value of `href`: `https:` without a user part, or a path of our own. Undefined for all else: show it as text then. */
export function forHtmlLink(link: string): string | undefined {
  if (/[^\x21-\x7e]/.test(link.trim()) || link !== link.trim()) return undefined
  if (/^\/(?![/\\])/.test(link) && !link.includes('\\')) return encode(link)
  if (!/^https:\/\//i.test(link) || !URL.canParse(link)) return undefined
  const url = new URL(link)
  return url.username === '' && url.password === '' ? encode(url.href) : undefined
}

/** A JSON value inside `<script type="application/json">`. Parses to the same value. */
export function forInlineJson(value: unknown): string {
  return forLog(value).replace(/[<>&]/g, escapeInJson)
}

/** A cell of a CSV file (RFC 4180), quoted; no spreadsheet takes it for a formula. */
export function forCsv(foreign: Foreign): string {
  const shown = showLine(foreign)
  const inert = /^\s*[=+\-@\uff1d\uff0b\uff0d\uff20|%]/.test(shown) ? `'${shown}` : shown
  return `"${inert.replaceAll('"', '""')}"`
}

/** A value as one line of JSON that any reader of lines keeps whole: parses to the same value, and nothing in it acts or hides. */
export function forLog(value: unknown): string {
  const text = JSON.stringify(value)
  return text === undefined ? 'null' : text.replace(/[[\p{C}\p{Z}\p{DI}\u2800\ufffc]--[ ]]/gv, escapeInJson)
}

function escapeInJson(character: string): string {
  let out = ''
  for (let i = 0; i < character.length; i += 1) out += `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`
  return out
}

/** Text in a Slack `mrkdwn` field: no mention, no link with a label, no code fence to close. */
export function forSlackText(foreign: Foreign): string {
  return showText(foreign)
    .replace(/[&<>]/g, character => entities[character] as string)
    .replaceAll('`', "'")
}

/** Text in a Markdown block (Teams, web notices): every sign that Markdown knows stands for itself. */
export function forMarkdownFreeText(foreign: Foreign): string {
  return showLine(foreign)
    .replace(/[\\`*_{}[\]()#+\-.!|~>@:]/g, '\\$&')
    .replace(/[&<]/g, character => entities[character] as string)
}
