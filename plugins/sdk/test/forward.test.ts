import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {type ForwardRule, findRuleFault, isAllowed, isLoopback, isNever, readHost, showHostPort, sortPlaces} from '../src/forward.ts'

test.each([
  ['DB.Internal.Example.', 'db.internal.example'],
  ['localhost', 'localhost'],
  ['10.0.0.5', '10.0.0.5'],
  ['[2001:DB8:0:0::1]', '2001:db8::1'],
  ['::1', '::1'],
  ['::ffff:127.0.0.1', '127.0.0.1'],
  ['[::ffff:a9fe:a9fe]', '169.254.169.254'],
])('%s is spelled %s', (text, host) => expect(readHost(text)).toBe(host))

test.each([
  '',
  ' db',
  'db internal',
  'db:5432',
  '-oProxyCommand=x',
  '127.1',
  '2130706433',
  '0x7f000001',
  '0x7f.1',
  '010.0.0.1',
  '1.2.3.4.5',
  'fe80::1%eth0',
  '[db]',
  'a..b',
  'user@db',
  'db/x',
  'db\n',
  'é.example',
  '*.example',
])('%j names no host', text => expect(readHost(text)).toBeUndefined())

test('a host that was read is read the same again', () => {
  const name = fc.stringMatching(/^[a-zA-Z][a-zA-Z0-9-]{0,8}(\.[a-zA-Z][a-zA-Z0-9]{0,8}){0,3}\.?$/)
  fc.assert(
    fc.property(fc.oneof(name, fc.ipV4(), fc.ipV6(), fc.string()), text => {
      const host = readHost(text)
      if (host !== undefined) expect(readHost(host)).toBe(host)
    }),
  )
})

describe('TM-A7: nobody is ever led to what tells a machine who it is', () => {
  test.each([
    '169.254.169.254',
    '169.254.170.2',
    '168.63.129.16',
    '100.100.100.200',
    '0.0.0.0',
    '255.255.255.255',
    '224.0.0.1',
    '::',
    'fe80::1',
    'ff02::1',
    'fd00:ec2::254',
    'fd00:ec2::23',
    '64:ff9b::a9fe:a9fe',
    '2002:a9fe:a9fe::1',
    '::a9fe:a9fe',
    '64:ff9b:1::a9fe:a9fe',
    '::ffff:0:a9fe:a9fe',
    'metadata.google.internal',
    'metadata',
    'instance-data.eu-west-1.compute.internal',
  ])('%s', host => {
    expect(readHost(host)).toBe(host)
    expect(isNever(host)).toBe(true)
    const everything = [
      {host, ports: ['1-65535']},
      {host: '0.0.0.0/0', ports: ['1-65535']},
      {host: '::/0', ports: ['1-65535']},
      {host: '*.internal', ports: ['1-65535']},
    ]
    expect(isAllowed(everything, {host, port: 80})).toBe(false)
  })

  test.each(['::ffff:169.254.169.254', '::169.254.169.254', '64:ff9b::169.254.169.254'])('%s, as a resolver may write it', host =>
    expect(isNever(host)).toBe(true),
  )

  test.each(['10.0.0.1', '192.168.1.1', '8.8.8.8', '2001:db8::1', 'fd12::1', '64:ff9b::a00:1', 'db.internal', 'metadata.example'])(
    '%s is a place like others',
    host => expect(isNever(host)).toBe(false),
  )
})

test.each(['127.0.0.1', '127.9.9.9', '::1', 'localhost', 'a.localhost', '64:ff9b::7f00:1', '::7f00:1', '::127.0.0.1', '64:ff9b:1::7f00:1'])(
  '%s is the machine itself',
  host => expect(isLoopback(host)).toBe(true),
)

const rules: ForwardRule[] = [
  {host: 'localhost', ports: [5432]},
  {host: 'db.internal.example', ports: [5432, '6000-6010']},
  {host: '*.apps.example', ports: [443]},
  {host: 'web-{1..9}.example', ports: [80]},
  {host: '10.20.0.0/16', ports: [22]},
  {host: '2001:db8::/32', ports: [22]},
]
const asked = (text: string) => {
  const cut = text.lastIndexOf(':')
  return {host: readHost(text.slice(0, cut)) as string, port: Number(text.slice(cut + 1))}
}

test.each([
  'localhost:5432',
  '127.0.0.1:5432',
  '[::1]:5432',
  'db.internal.example:5432',
  'db.internal.example:6000',
  'db.internal.example:6010',
  'a.b.apps.example:443',
  'web-3.example:80',
  '10.20.255.1:22',
  '[2001:db8:1::5]:22',
])('%s is allowed', text => expect(isAllowed(rules, asked(text))).toBe(true))

test.each([
  'localhost:5433',
  '127.0.0.2:5432',
  'db.internal.example:6011',
  'xdb.internal.example:5432',
  'db.internal.example.evil.example:5432',
  'apps.example:443',
  'evilapps.example:443',
  'web-10.example:80',
  'web-0.example:80',
  '10.21.0.1:22',
  '[2001:db9::5]:22',
  '[::ffff:10.21.0.1]:22',
])('TM-A7: %s is not', text => expect(isAllowed(rules, asked(text))).toBe(false))

test('TM-A7: a wide block does not hold the machine itself, which must be named', () => {
  const wide = [
    {host: '0.0.0.0/0', ports: ['1-65535']},
    {host: '::/0', ports: ['1-65535']},
    {host: '*.localhost', ports: ['1-65535']},
  ]
  for (const host of ['127.0.0.1', '127.0.0.2', '::1', 'localhost', 'a.localhost'])
    expect([host, isAllowed(wide, {host, port: 80})]).toEqual([host, false])
  expect(isAllowed(wide, {host: '10.0.0.1', port: 80})).toBe(true)
  expect(isAllowed([{host: '127.0.0.0/8', ports: [80]}], {host: '127.0.0.2', port: 80})).toBe(true)
  expect(isAllowed([], {host: '10.0.0.1', port: 80})).toBe(false)
})

test.each([
  [{host: 'DB.example', ports: [1]}, 'host'],
  [{host: 'db_example', ports: [1]}, 'host'],
  [{host: '*', ports: [1]}, 'host'],
  [{host: '127.1', ports: [1]}, 'host'],
  [{host: '169.254.169.254', ports: [80]}, 'host'],
  [{host: '169.254.0.0/16', ports: [80]}, 'host'],
  [{host: 'metadata.google.internal', ports: [80]}, 'host'],
  [{host: 'db', ports: [0]}, 'ports'],
  [{host: 'db', ports: ['9-1']}, 'ports'],
  [{host: 'db', ports: ['1-70000']}, 'ports'],
] as [ForwardRule, string][])('a rule like %j does not load', (rule, field) => expect(findRuleFault(rule)?.field).toBe(field))

test('the rules above load', () => expect(rules.map(findRuleFault)).toEqual(rules.map(() => undefined)))

test('places are kept once each, in one order', () => {
  const [a, b] = [
    {host: 'db', port: 5432},
    {host: '::1', port: 80},
  ]
  expect(sortPlaces([a, b, {...a}])).toEqual([b, a])
  expect(sortPlaces([b, a])).toEqual([b, a])
  expect([a, b].map(showHostPort)).toEqual(['db:5432', '[::1]:80'])
})
