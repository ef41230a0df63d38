/** Where a forward may lead: each host in one spelling, what the catalog allows, and where nobody is ever led (TM-A7). Pure. */
import {BlockList, isIPv4, isIPv6} from 'node:net'
import type {HostPort} from './domain.ts'
import {findHostsFault, isBlock, isHost, isHostName, isWithin} from './grammar/kinds/net.ts'

/** What a target of the catalog lets its forwards lead to: one host, or several by one pattern, and its ports. */
export interface ForwardRule {
  /** a name, `*.internal.example`, `web-{1..9}.internal.example`, an address, or a block such as `10.20.0.0/16`; `localhost` is the target itself */
  host: string
  /** numbers, and ranges such as `8000-8100` */
  ports: (number | string)[]
}

/**
 * Whatever says who a machine is to its cloud, and what is no single place: of IPv4 (this network, link-local with every cloud's
 * metadata, multicast, reserved) and of IPv6, and the metadata services that lie elsewhere (Azure, Alibaba, Oracle, AWS and Google
 * over IPv6).
 */
const never = blocks([
  '0.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '168.63.129.16/32',
  '100.100.100.200/32',
  '192.0.0.192/32',
  '::/128',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
  'fd00:ec2::/32',
  'fd20:ce::254/128',
])
const loopback = blocks(['127.0.0.0/8', '::1/128'])
/** names by which clouds serve metadata */
const metadataNames = /^(?:metadata(?:\.google\.internal|\.goog)?|instance-data(?:\..+)?)$/
/** what `localhost` in the catalog stands for */
const itself = ['localhost', '127.0.0.1', '::1']

function blocks(list: readonly string[]): BlockList {
  const made = new BlockList()
  for (const block of list) {
    const [address, bits] = block.split('/') as [string, string]
    made.addSubnet(address, Number(bits), address.includes(':') ? 'ipv6' : 'ipv4')
  }
  return made
}

/**
 * A host in its one spelling, or undefined: a name in lower case without a dot at its end, an IPv4 address as four numbers, an IPv6
 * address in its short form without brackets. Neither a number for an address (`2130706433`, `0x7f.1`) nor a zone.
 */
export function readHost(text: string): string | undefined {
  const bare = /^\[(.*)\]$/.exec(text)?.[1] ?? text
  if (isIPv6(bare)) return bare.includes('%') ? undefined : shortest(bare)
  if (bare !== text) return undefined
  const name = text.toLowerCase().replace(/\.$/, '')
  if (isIPv4(name)) return name
  return isHostName(name) && !/^0x[0-9a-f]*$/.test(name.slice(name.lastIndexOf('.') + 1)) ? name : undefined
}

/** An IPv6 address in its short form; an IPv4 address in it as such. */
function shortest(address: string): string {
  const short = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short) ?? []
  return high === undefined || low === undefined ? short : fourOf(high, low)
}

function fourOf(high: string, low: string): string {
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)]
  return [a >> 8, a & 255, b >> 8, b & 255].join('.')
}

/**
 * The IPv4 address that an IPv6 address leads to where one is translated into the other: `64:ff9b::/96` and `64:ff9b:1::/48`, 6to4,
 * `::a.b.c.d`, `::ffff:0:a.b.c.d`.
 */
function translated(address: string): string | undefined {
  const all = isIPv6(address) && !address.includes('%') ? groupsOf(shortest(address)) : undefined
  if (!all) return undefined
  const [at, to] = [(index: number) => all[index] as string, all.map(group => Number.parseInt(group, 16))]
  if (to[0] === 0x2002) return fourOf(at(1), at(2))
  const zeros = (from: number, until: number) => to.slice(from, until).every(group => group === 0)
  const inLast =
    (to[0] === 0x64 && to[1] === 0xff9b && (zeros(2, 6) || to[2] === 1)) ||
    (zeros(0, 6) && !zeros(6, 7)) ||
    (zeros(0, 4) && to[4] === 0xffff && to[5] === 0)
  return inLast ? fourOf(at(6), at(7)) : undefined
}

function groupsOf(address: string): string[] | undefined {
  if (!isIPv6(address)) return undefined
  const [head = '', tail] = address.split('::')
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const [first, last] = [groups(head), groups(tail ?? '')]
  return tail === undefined ? first : [...first, ...Array<string>(8 - first.length - last.length).fill('0'), ...last]
}

function family(address: string): 'ipv4' | 'ipv6' | undefined {
  return isIPv4(address) ? 'ipv4' : isIPv6(address) ? 'ipv6' : undefined
}

/** Whether nobody is ever led there, whatever the catalog says: metadata services, and what is no single host. `host` as of {@link readHost}. */
export function isNever(host: string): boolean {
  const kind = family(host)
  if (!kind) return metadataNames.test(host)
  const inner = translated(host)
  return never.check(host, kind) || (inner !== undefined && never.check(inner, 'ipv4'))
}

/** Whether an address or a name is the machine itself. */
export function isLoopback(host: string): boolean {
  const kind = family(host)
  if (!kind) return host === 'localhost' || host.endsWith('.localhost')
  const inner = translated(host)
  return loopback.check(host, kind) || (inner !== undefined && loopback.check(inner, 'ipv4'))
}

/** Whether one of the rules allows this place. `to.host` as of {@link readHost}. */
export function isAllowed(rules: readonly ForwardRule[], to: HostPort): boolean {
  return !isNever(to.host) && rules.some(({host, ports}) => holds(host, to.host) && ports.some(port => isPort(port, to.port)))
}

function holds(allowed: string, host: string): boolean {
  if (itself.includes(allowed) && itself.includes(host)) return true
  // the machine itself is meant where it is named, and not by a pattern that happens to hold it
  if (isLoopback(host)) return allowed === host || (isLoopbackBlock(allowed) && isWithin(host, allowed))
  return family(host) ? isWithin(host, allowed) : isHostName(host) && isHost(host, allowed)
}

/** An address of the machine itself, or a block of such. */
function isLoopbackBlock(text: string): boolean {
  return isBlock(text) && isLoopback(text.replace(/\/.*/, '')) && !/\/[0-7]$/.test(text)
}

function isPort(allowed: number | string, port: number): boolean {
  if (typeof allowed === 'number') return allowed === port
  const [from, to] = allowed.split('-').map(Number) as [number, number]
  return port >= from && port <= to
}

/** What is wrong with a rule, at which of its fields, or undefined. */
export function findRuleFault({host, ports}: ForwardRule): {field: 'host' | 'ports'; message: string; mend: string} | undefined {
  const known = host.startsWith('*.') || host.includes('{') || isBlock(host) || readHost(host) === host
  if (!known || !(isBlock(host) || findHostsFault([host]) === undefined))
    return {field: 'host', message: `${host} names no host`, mend: 'localhost, db.internal.example, *.internal.example, 10.20.0.0/16'}
  if (isNever(host) || (isBlock(host) && isNever(host.replace(/\/.*/, '')) && !/\/0$/.test(host)))
    return {
      field: 'host',
      message: `nobody is ever led to ${host}: it tells a machine who it is, or is no single host`,
      mend: 'take it out',
    }
  const bad = ports.find(port => {
    const [from = 0, to = from] = typeof port === 'number' ? [port] : port.split('-').map(Number)
    return !(from >= 1 && from <= to && to <= 65_535)
  })
  return bad === undefined ? undefined : {field: 'ports', message: `${bad} is no port, nor a range of them`, mend: '5432, or "8000-8100"'}
}

/** `db.internal:5432`, `[::1]:80`. */
export function showHostPort({host, port}: HostPort): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Several places as a request keeps them: each once, in one order. */
export function sortPlaces(places: readonly HostPort[]): HostPort[] {
  const distinct = new Map(places.map(({host, port}) => [showHostPort({host, port}), {host, port}]))
  return [...distinct.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, place]) => place)
}
