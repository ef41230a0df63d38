/** What an agent can, by the version it names in its handshake, §13. Pure. */

/** What differs between agents. */
export interface AgentCan {
  /** many connections in one session */
  multiplexing: boolean
  /** leave the keep-alive of smux to us: it is off on both sides */
  quietSmux: boolean
  /** end when it is told so in the channel; else the API must be called */
  terminateFlag: boolean
}

/** An absent or unreadable version is an old one. */
export function whatAgentCan(version: string | undefined): AgentCan {
  return {
    multiplexing: isNewer(version, '3.0.196.0'),
    quietSmux: isNewer(version, '3.1.1511.0'),
    terminateFlag: isNewer(version, '2.3.722.0'),
  }
}

/** Newer than, part by part as numbers. Another count of parts, or a part that must be compared and is no number: no. */
export function isNewer(version: string | undefined, than: string): boolean {
  const parts = (version ?? '').split('.')
  const others = than.split('.')
  if (parts.length !== others.length) return false
  for (const [index, part] of parts.entries()) {
    if (!/^\d+$/.test(part)) return false
    const difference = Number(part) - Number(others[index])
    if (difference !== 0) return difference > 0
  }
  return false
}
