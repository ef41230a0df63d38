/** What an agent does with texts: splitting a command as a POSIX shell splits it, and comparing versions. */

/** The words of a command, quotes and backslashes taken away, nothing expanded; undefined for a quote that does not end. */
export function words(text: string): string[] | undefined {
  const found: string[] = []
  let word: string | undefined
  let quote = ''
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string
    if (quote === "'") {
      if (char === "'") quote = ''
      else word = (word ?? '') + char
    } else if (quote === '"') {
      if (char === '"') quote = ''
      else word = (word ?? '') + (char === '\\' && /["\\$`\n]/.test(text[at + 1] ?? '') ? text[++at] : char)
    } else if (char === "'" || char === '"') {
      quote = char
      word ??= ''
    } else if (char === '\\') word = (word ?? '') + (text[++at] ?? '')
    else if (/\s/.test(char)) {
      if (word !== undefined) found.push(word)
      word = undefined
    } else word = (word ?? '') + char
  }
  if (quote) return undefined
  if (word !== undefined) found.push(word)
  return found
}

/** Whether a version of four dotted numbers is later than another; one that is not so written is not (section 13). */
export function isNewer(version: string, than: string): boolean {
  const [one, other] = [version.split('.'), than.split('.')]
  if (one.length !== other.length) return false
  for (const [at, part] of one.entries()) {
    if (!/^\d+$/.test(part)) return false
    const difference = Number(part) - Number(other[at])
    if (difference !== 0) return difference > 0
  }
  return false
}

/** What of what follows from a version: section 13. */
export function gates(version: string): {multiplexing: boolean; terminateSessionFlag: boolean; smuxKeepAliveDisabled: boolean} {
  return {
    multiplexing: isNewer(version, '3.0.196.0'),
    terminateSessionFlag: isNewer(version, '2.3.722.0'),
    smuxKeepAliveDisabled: isNewer(version, '3.1.1511.0'),
  }
}

/** Whether a ClientVersion of three parts or more is below another. */
export function isOlder(version: string, than: readonly number[]): boolean {
  const parts = version.split('.').map(Number)
  for (const [at, number] of than.entries()) {
    const difference = (parts[at] ?? 0) - number
    if (difference !== 0) return difference < 0
  }
  return false
}

/** Whether the agent's keep-alive is on: for both versions, section 9.3 and 14.3. */
export function keepAlive(agentVersion: string, clientVersion: string): boolean {
  return !(gates(agentVersion).smuxKeepAliveDisabled && isNewer(clientVersion, '1.2.331.0'))
}
