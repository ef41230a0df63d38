/** Filters of packets as libpcap reads them (pcap-filter(7)), without names that it would ask a name server for. */
import {isIPv6} from 'node:net'
import type {ValueKinds} from '../kind.ts'

const words = new Set(
  `and or not host src dst net port portrange mask less greater len inbound outbound broadcast multicast proto
  ether ip ip6 arp rarp tcp udp icmp icmp6 igmp sctp esp ah vrrp vlan mpls llc stp
  tcpflags tcp-fin tcp-syn tcp-rst tcp-push tcp-ack tcp-urg tcp-ece tcp-cwr
  icmptype icmpcode icmp-echo icmp-echoreply icmp-unreach icmp-redirect icmp-timxceed icmp-paramprob
  icmp6type icmp6code icmp6-echo icmp6-echoreply icmp6-destinationrunreach icmp6-timeexceeded
  http https ssh domain smtp smtps submission imap imaps pop3 pop3s ftp telnet ntp snmp syslog bootps bootpc
  ldap ldaps mysql postgresql redis amqp amqps kerberos sunrpc nfs ms-sql-s - /`.split(/\s+/),
)

/** `capture-filter`. */
export const captureKinds: ValueKinds = {
  // one word of a filter, or several, as it is quoted or not
  'capture-filter': {
    fields: ['maxLength'],
    samples: () => ['tcp port 443', 'host 10.0.0.5', 'tcp'],
    cedar: 'String',
    test: value =>
      !value.startsWith('-') &&
      /^[A-Za-z0-9 .:/()[\]&|!=<>+*\\-]+$/.test(value) &&
      value.split(/[ ()[\]&|!=<>+*]+/).every(token => token === '' || words.has(token.replace(/^\\/, '')) || isNumber(token)),
    describe: () => 'a capture filter such as tcp port 443 and host 10.0.0.5: its own words, addresses and numbers, no names of hosts',
    maxLength: 1024,
  },
}

/** A number, a range or slice of two or the end of one behind a bracket (`tcp[(…):4]`, `ip[2:2]-20`), an IP address or the beginning of one with or without a prefix, a MAC address. */
function isNumber(token: string): boolean {
  const [address = '', prefix] = token.split('/')
  return (
    /^(?:0x[0-9a-fA-F]{1,8}|[0-9]{1,10}(?:[-:][0-9]{1,10})?|[-:][0-9]{1,10})$/.test(token) ||
    /^[0-9]{1,3}(?:\.[0-9]{1,3}){0,3}(?:\/[0-9]{1,2})?$/.test(token) ||
    /^(?:[0-9a-fA-F]{1,2}:){5}[0-9a-fA-F]{1,2}$/.test(token) ||
    (isIPv6(address) && !address.includes('%') && (prefix === undefined || /^[0-9]{1,3}$/.test(prefix)) && token.split('/').length <= 2)
  )
}
