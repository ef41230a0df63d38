/** Names and addresses on a network: hosts, addresses and blocks of them, URLs. */
import {isIPv6} from 'node:net'
import type {ValueSpec} from '../grammar.ts'
import {orList, suchAs, type ValueKinds} from '../kind.ts'
import {isBelow, isPath} from './place.ts'

/** `host-name`, `address`, `url`. */
export const netKinds: ValueKinds = {
  'host-name': {
    fields: ['pattern', 'hosts'],
    cedar: 'String',
    test: (value, spec) => isHostName(value) && (spec.hosts === undefined || isOnHosts(value, spec.hosts)),
    describe: spec => (spec.hosts ? `the host ${orList(spec.hosts)}` : `the name of a host${suchAs(spec)}`),
    samples: ({hosts = ['web-1.prod.example']}) => hosts.map(host => host.replace('*', 'web-1').replace(numbered, '$1')),
    findFault: spec => findHostsFault(spec.hosts),
  },
  // one spelling each: no leading zeros, no short forms, no number for four, no zone
  address: {
    fields: ['within', 'max', 'ranges'],
    cedar: 'String',
    test: (value, {within, max = 1, ranges}) => {
      const block = readBlock(value) ?? (ranges ? readOctetRanges(value) : undefined)
      if (!block || block.count > BigInt(max)) return false
      return within === undefined || within.some(one => contains(readBlock(one) as Block, block))
    },
    describe: ({within, max = 1, ranges}) =>
      `${max === 1 ? 'an IP address' : `an IP address, or a block such as 10.0.0.0/28${ranges ? ' or 10.0.0.1-20' : ''}, of at most ${max} addresses`}${within ? `, within ${orList(within)}` : ''}`,
    samples: ({within = ['10.0.0.0/8']}) =>
      within.flatMap(block => [block.replace(/\/.*/, ''), block.replace(/\/.*/, '/28'), block.replace(/\.[0-9]+\/.*/, '.1-5')]),
    findFault: ({within, max = 1}) => {
      const bad = within?.find(one => !readBlock(one))
      if (bad !== undefined) return `\`within\` are blocks such as 10.0.0.0/8: not ${bad}`
      return max >= 1 ? undefined : '`max` is how many addresses one value may stand for'
    },
  },
  url: {
    fields: ['pattern', 'hosts', 'schemes', 'below', 'maxLength'],
    cedar: 'String',
    test: isUrl,
    describe: spec =>
      `a URL ${orList((spec.schemes ?? ['https']).flatMap(scheme => (spec.hosts ?? []).map(host => `${scheme}://${host}${spec.below ? orList(spec.below) : '/…'}`)))}`,
    samples: ({schemes = ['https'], hosts = [], below = ['']}) =>
      schemes.flatMap(scheme =>
        hosts.flatMap(host =>
          below.map(path => `${scheme}://${host.replace('*', 'web-1').replace(numbered, '$1')}${path === '/' ? '' : path}/health?a=b`),
        ),
      ),
    findFault: spec => {
      if (!spec.hosts || spec.hosts.length === 0) return 'a url has `hosts`: the hosts it may name'
      if (spec.schemes?.some(scheme => !/^[a-z][a-z0-9+.-]*$/.test(scheme) || scheme === 'file')) return '`schemes` are names such as https'
      if (spec.below?.some(path => path !== '/' && !isPath(path))) return '`below` are absolute paths without a slash at the end'
      return findHostsFault(spec.hosts.map(host => host.replace(/:[0-9]{1,5}$/, '')))
    },
    maxLength: 4096,
  },
}

const numbered = /\{([0-9]{1,6})\.\.([0-9]{1,6})\}/

/** A name of letters, digits and `-`, in lower case; its last label is no number. Pure. */
export function isHostName(value: string): boolean {
  if (value.length > 253 || !/[a-z]/.test(value.slice(value.lastIndexOf('.') + 1))) return false
  return value.split('.').every(label => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(label))
}

function isOnHosts(host: string, hosts: readonly string[]): boolean {
  return isHostName(host.replace(/:[0-9]{1,5}$/, '')) && hosts.some(allowed => isHost(host, allowed))
}

/** Whether a name is `allowed`: `db`, `*.internal.example`, `web-{1..99}.prod.example`. Pure. */
export function isHost(host: string, allowed: string): boolean {
  if (allowed.startsWith('*.')) return host.endsWith(allowed.slice(1)) && host.length > allowed.length - 1
  const range = numbered.exec(allowed)
  if (!range) return host === allowed
  const [before, after] = [allowed.slice(0, range.index), allowed.slice(range.index + range[0].length)]
  if (!host.startsWith(before) || !host.endsWith(after) || host.length <= before.length + after.length) return false
  const number = host.slice(before.length, host.length - after.length)
  return /^(?:0|[1-9][0-9]{0,5})$/.test(number) && Number(number) >= Number(range[1]) && Number(number) <= Number(range[2])
}

/** What is wrong with such patterns, or undefined. Pure. */
export function findHostsFault(hosts: readonly string[] | undefined): string | undefined {
  const bad = hosts?.find(host => {
    const [all, from, to] = numbered.exec(host) ?? []
    if (all !== undefined && Number(from) > Number(to)) return true
    return !isHostName((host.startsWith('*.') ? host.slice(2) : host).replace(numbered, '$1'))
  })
  return bad === undefined ? undefined : `\`hosts\` are names in lower case, *.NAME, or NAME{1..99}: not ${bad}`
}

/** Addresses that lie between two, ends included; `count` of them are meant. */
interface Block {
  bits: 32 | 128
  low: bigint
  high: bigint
  count: bigint
}

/** Whether `block` is an address or a block of them. Pure. */
export function isBlock(block: string): boolean {
  return readBlock(block) !== undefined
}

/** Whether an address lies in a block; both in their one spelling. Pure. */
export function isWithin(address: string, block: string): boolean {
  const [outer, inner] = [readBlock(block), readBlock(address)]
  return outer !== undefined && inner !== undefined && contains(outer, inner)
}

function contains(outer: Block, {bits, low, high}: Block): boolean {
  return outer.bits === bits && low >= outer.low && high <= outer.high
}

/** `10.0.0.5`, `10.0.0.0/24`, `2001:db8::/64`. */
function readBlock(text: string): Block | undefined {
  const [, address = '', prefix] = /^([0-9a-f.:]{2,39})(?:\/(0|[1-9][0-9]{0,2}))?$/.exec(text) ?? []
  const four = readFour(address)
  const value = four ?? readSix(address)
  if (value === undefined) return undefined
  const bits = four === undefined ? 128 : 32
  const fixed = prefix === undefined ? bits : Number(prefix)
  if (fixed > bits) return undefined
  const count = 1n << BigInt(bits - fixed)
  const low = value - (value % count)
  return {bits, low, high: low + count - 1n, count}
}

/** `10.0.0.1-20`, `10.0.0,1.5`: lists and ranges in place of numbers, as nmap reads them. */
function readOctetRanges(text: string): Block | undefined {
  const octets = text.split('.').map(octet => octet.split(',').map(readRange))
  if (octets.length !== 4 || octets.some(items => items.includes(undefined))) return undefined
  const ranges = octets as [number, number][][]
  const join = (pick: (items: [number, number][]) => number): bigint => ranges.reduce((sum, items) => sum * 256n + BigInt(pick(items)), 0n)
  return {
    bits: 32,
    low: join(items => Math.min(...items.map(([from]) => from))),
    high: join(items => Math.max(...items.map(([, to]) => to))),
    count: ranges.reduce((product, items) => product * BigInt(items.reduce((sum, [from, to]) => sum + to - from + 1, 0)), 1n),
  }
}

function readRange(text: string): [number, number] | undefined {
  const [, from, to = from] = /^(0|[1-9][0-9]{0,2})(?:-(0|[1-9][0-9]{0,2}))?$/.exec(text) ?? []
  return from === undefined || Number(to) > 255 || Number(from) > Number(to) ? undefined : [Number(from), Number(to)]
}

function readFour(text: string): bigint | undefined {
  const octets = text.split('.')
  if (octets.length !== 4 || octets.some(octet => !/^(?:0|[1-9][0-9]{0,2})$/.test(octet) || Number(octet) > 255)) return undefined
  return octets.reduce((sum, octet) => sum * 256n + BigInt(octet), 0n)
}

function readSix(text: string): bigint | undefined {
  if (text.includes('.') || !isIPv6(text)) return undefined
  const [head = '', tail] = text.split('::')
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const [first, last] = [groups(head), groups(tail ?? '')]
  const all = tail === undefined ? first : [...first, ...Array<string>(8 - first.length - last.length).fill('0'), ...last]
  return all.reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n)
}

/** RFC 3986, narrowed: no user part, no fragment, no dot segments however written, nothing that a tool expands by itself. */
function isUrl(value: string, spec: ValueSpec): boolean {
  const [whole, scheme, host, path] =
    /^([a-z][a-z0-9+.-]*):\/\/([a-z0-9.-]+(?::[0-9]{1,5})?)(\/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?$/.exec(
      value,
    ) ?? []
  if (whole !== value || !scheme || !host || !path) return false
  if (/%(?![0-9A-Fa-f]{2})|%(?:00|0[ad])/i.test(value) || /%(?:2e|2f|5c)/i.test(path)) return false
  if (path.split('/').some(part => part === '.' || part === '..')) return false
  return (spec.schemes ?? ['https']).includes(scheme) && isOnHosts(host, spec.hosts ?? []) && isBelow(path, spec.below)
}
