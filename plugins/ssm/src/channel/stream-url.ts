/** Which URL of a session may be connected to at all: the answer of an API is not trusted with the address of a socket (§2.1). Pure. */
import {ProdError} from '@prod/sdk/errors'

/** DNS suffixes of AWS's partitions. */
const suffixes = [
  'amazonaws.com',
  'amazonaws.com.cn',
  'api.aws',
  'api.amazonwebservices.com.cn',
  'amazonaws.eu',
  'api.amazonwebservices.eu',
  'c2s.ic.gov',
  'sc2s.sgov.gov',
  'cloud.adc-e.uk',
  'csp.hci.ic.gov',
]
const sessionManagerHost = new RegExp(
  `^ssmmessages(-fips)?\\.([a-z]{2,}(?:-[a-z]+)+-\\d+)\\.(${suffixes.join('|').replaceAll('.', '\\.')})$`,
)

/** What besides Session Manager's own hosts is allowed. */
export interface AllowedHosts {
  /** the session's region: a host of another one is refused */
  region?: string
  /** configured endpoints, each as `host` or `host:port`, such as a VPC endpoint; at a loopback address `ws:` is allowed too */
  hosts?: readonly string[]
}

/**
 * The URL, if it leads to Session Manager, or to a host that was configured. Its text is never part of what is thrown: it opens the
 * session (TM-X3). Throws TARGET_UNREACHABLE.
 */
export function checkStreamUrl(streamUrl: string, {region, hosts = []}: AllowedHosts): URL {
  const refuse = (why: string) =>
    new ProdError('TARGET_UNREACHABLE', `the address that came for the session's stream is refused: ${why}`, 'prod doctor')
  if (!/^[\x21-\x7e]{1,8192}$/.test(streamUrl)) throw refuse('it is no URL')
  const url = URL.parse(streamUrl)
  if (!url) throw refuse('it is no URL')
  if (url.username || url.password) throw refuse('it names a user')
  if (url.hash) throw refuse('it has a fragment')
  const host = url.hostname
  const configured = hosts.includes(url.host) || (url.port === '' && hosts.includes(host))
  if (url.protocol !== 'wss:' && !(url.protocol === 'ws:' && configured && isLoopback(host))) throw refuse('it is not wss:')
  if (configured) return url
  const [, , hostRegion] = sessionManagerHost.exec(host) ?? []
  if (!hostRegion || url.port !== '') throw refuse('its host is none of Session Manager, and no configured endpoint')
  if (region !== undefined && hostRegion !== region) throw refuse('its host belongs to another region')
  return url
}

/** The URL's path and query as they came: `cell-number` goes as it is, byte for byte (§2.1). */
export function requestPath(streamUrl: string): string {
  const rest = streamUrl.slice(streamUrl.indexOf('//') + 2)
  const from = rest.search(/[/?]/)
  if (from < 0) return '/'
  return rest[from] === '?' ? `/${rest.slice(from)}` : rest.slice(from)
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)
}
