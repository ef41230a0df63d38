/** The form of `~/.aws/config` and `~/.aws/credentials`. Source: the SDKs and Tools Reference Guide, "Shared config and credentials files". */

/** A section as written: `default`, `profile a`, `sso-session b`, with its keys. A nested key is `key.inner`. */
export interface Section {
  name: string
  keys: ReadonlyMap<string, string>
}

/**
 * Reads whatever is there: a byte order mark, any line ends, comments, keys that nobody knows. A section that stands twice is one,
 * its later keys count. What is no section, key or comment is passed over, as the AWS tools do. Pure, linear in its input.
 */
export function parseIni(text: string): Section[] {
  const sections = new Map<string, Map<string, string>>()
  let keys: Map<string, string> | undefined
  let outer: string | undefined
  for (const raw of text.replace(/^\ufeff/, '').split(/\r\n|\n|\r/)) {
    const line = withoutComment(raw)
    if (line === '') continue
    if (line.startsWith('[')) {
      outer = undefined
      const name = line.endsWith(']') ? sectionName(line.slice(1, -1)) : undefined
      keys = name === undefined ? undefined : (sections.get(name) ?? new Map())
      if (name !== undefined && keys) sections.set(name, keys)
      continue
    }
    const at = line.indexOf('=')
    if (!keys || at < 1) continue
    const key = line.slice(0, at).trim()
    const value = line.slice(at + 1).trim()
    const nested = outer !== undefined && /^[ \t]/.test(raw)
    if (!nested) outer = value === '' ? key : undefined
    if (value !== '') keys.set(nested ? `${outer}.${key}` : key, value)
  }
  return [...sections].map(([name, found]) => ({name, keys: found}))
}

/** A comment begins a line, or follows a blank. */
function withoutComment(raw: string): string {
  const line = raw.trim()
  // most lines have none, and there are thousands
  if (!line.includes('#') && !line.includes(';')) return line
  if (line.startsWith('#') || line.startsWith(';')) return ''
  const at = line.search(/[ \t][#;]/)
  return at < 0 ? line : line.slice(0, at).trim()
}

/** `profile "a b"` is `profile a b`: quotes are no part of a name. */
function sectionName(text: string): string {
  const [, kind, name] = /^(\S+)\s+(.*)$/.exec(text.trim()) ?? []
  if (kind === undefined || name === undefined) return text.trim()
  return `${kind} ${name.replace(/^(["'])(.*)\1$/, '$2').trim()}`
}
