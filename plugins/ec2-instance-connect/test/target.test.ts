import {execFileSync} from 'node:child_process'
import {createHash, randomBytes} from 'node:crypto'
import fc from 'fast-check'
import ssh from 'ssh2'
import {describe, expect, test} from 'vitest'
import {programText} from '../src/command.ts'
import {fingerprintOf, keysOnConsole, typeOf, typesFor} from '../src/host-keys.ts'
import {makeKey} from '../src/one-key.ts'
import {machine, parse, permissions} from '../src/target.ts'
import {checkName, tunnelUrl} from '../src/tunnel.ts'
import {instanceId, limits} from './instance.ts'

const shell = {kind: 'shell', size: {columns: 80, rows: 24}, env: {}, limits} as const
const here = `eu-west-1/${instanceId}`

test('an address says who, by which way and which host key; what it leaves out is the careful choice', () => {
  expect(parse(here)).toMatchObject({
    region: 'eu-west-1',
    instanceId,
    user: 'ec2-user',
    via: 'endpoint',
    port: 22,
    hostKey: 'console',
    tags: {},
  })
  const pin = `SHA256:${'a+/'.repeat(14)}a`
  expect(parse(`${here}?user=ubuntu&via=private&port=2222&hostkey=${pin},${pin}&account=111122223333&tag:Name=web%201`)).toMatchObject({
    user: 'ubuntu',
    via: 'private',
    port: 2222,
    hostKey: {fingerprints: [pin, pin]},
    account: '111122223333',
    tags: {Name: 'web 1'},
  })
  expect(parse('eu-west-1/*?tag:Role=web')).toMatchObject({instanceId: '*', pins: '?tag:Role=web'})
})

test.each([
  '?user=a b',
  '?user=-oProxyCommand',
  '?via=any',
  '?port=0',
  '?port=70000',
  '?hostkey=yes',
  '?hostkey=SHA256:abc',
  '?account=1',
  '?user=a&user=b',
  '?tag:=x',
  '?%zz=1',
])('the address with %j is refused', pins => expect(() => parse(here + pins)).toThrow(expect.objectContaining({code: 'TARGET_INVALID'})))
test('a star without a tag is refused', () => expect(() => parse('eu-west-1/*')).toThrow(expect.objectContaining({code: 'TARGET_INVALID'})))

test('TM-J2: a use may push a key for one account of one instance, and open a tunnel to one port', () => {
  const [push, tunnel] = permissions(parse(`${here}?user=ubuntu`), shell)
  expect(push).toMatchObject({
    actions: ['ec2-instance-connect:SendSSHPublicKey'],
    resources: [`arn:aws:ec2:eu-west-1:*:instance/${instanceId}`],
    conditions: {StringEquals: {'ec2:osuser': 'ubuntu'}},
  })
  expect(tunnel).toMatchObject({
    actions: ['ec2-instance-connect:OpenTunnel'],
    conditions: {NumericEquals: {'ec2-instance-connect:remotePort': '22'}},
  })
  expect(permissions(parse(here), {...shell, runAs: 'ops'})[0]).toMatchObject({conditions: {StringEquals: {'ec2:osuser': 'ops'}}})
  const direct = permissions(parse(`${here}?via=private&hostkey=unchecked`), shell).flatMap(({actions}) => actions)
  expect(direct).toEqual(['ec2-instance-connect:SendSSHPublicKey', 'ec2:DescribeInstances'])
  const raw = permissions(parse(here), {kind: 'forward', to: {host: 'localhost', port: 3389}}).flatMap(({actions}) => actions)
  expect(raw).toEqual(['ec2-instance-connect:OpenTunnel', 'ec2:DescribeInstances', 'ec2:DescribeInstanceConnectEndpoints'])
})

describe('host keys', () => {
  const blobOf = (type: string): Buffer => Buffer.concat([Buffer.from([0, 0, 0, type.length]), Buffer.from(type), randomBytes(36)])
  const line = (blob: Buffer): string => `${typeOf(blob)} ${blob.toString('base64')} root@ip-10-0-1-11`
  const block = (...lines: string[]): string =>
    `-----BEGIN SSH HOST KEY KEYS-----\r\n${lines.join('\r\n')}\r\n-----END SSH HOST KEY KEYS-----\r\n`
  const [ed, rsa, old] = [blobOf('ssh-ed25519'), blobOf('ssh-rsa'), blobOf('ssh-ed25519')]

  test('are those of the last whole block on the console', () => {
    const text = `login: ${line(old)}\r\n${block(line(old))}more\r\n${block(`[  12.3] cloud-init: ${line(ed)}`, 'not a key', line(rsa))}-----BEGIN SSH HOST KEY KEYS-----\r\n${line(old)}`
    expect(keysOnConsole(text)).toEqual([
      {type: 'ssh-ed25519', blob: ed},
      {type: 'ssh-rsa', blob: rsa},
    ])
  })
  test('are none where there is no block, or a line says another type than its key', () => {
    expect(keysOnConsole(line(ed))).toEqual([])
    expect(keysOnConsole(block(`ssh-rsa ${ed.toString('base64')} root@x`))).toEqual([])
  })
  test('are asked for by their type; RSA never with SHA-1', () => {
    expect(typesFor(keysOnConsole(block(line(rsa))))).toEqual(['rsa-sha2-512', 'rsa-sha2-256'])
    expect(typesFor(keysOnConsole(block(line(rsa), line(ed))))[0]).toBe('ssh-ed25519')
  })
  test('have the fingerprint that ssh-keygen shows', () => {
    expect(fingerprintOf(ed)).toBe(`SHA256:${createHash('sha256').update(ed).digest('base64').replace(/=*$/, '')}`)
    expect(fingerprintOf(ed)).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/)
  })
})

describe('TM-H5: every word reaches the program byte for byte, whatever login shell reads the text', () => {
  const shells = ['sh', 'bash', 'dash', 'zsh', 'fish', 'tcsh'].flatMap(name => {
    try {
      return [execFileSync('/bin/sh', ['-c', `command -v ${name}`], {encoding: 'utf8'}).trim()]
    } catch {
      return []
    }
  })
  const words = (login: string, args: string[]): string[] => {
    const text = programText('mark', {path: '/usr/bin/printf', args: ['%s\\0', ...args], env: {}, cpuSeconds: 60})
    expect(text).not.toMatch(/[\r\n!]/)
    return execFileSync(login, ['-c', text]).toString('utf8').split('\0').slice(0, -1)
  }
  const hostile = [
    'a b',
    "it's",
    '$(id)',
    '`id`',
    '$HOME',
    '*',
    '~',
    'a\nb\n',
    '\n',
    '\\',
    '\\0101',
    '%s',
    '-n',
    '!!',
    '"',
    '#',
    '\u00e9\u4e16',
    '\u0001\u007f',
  ]
  test.each(shells)('%s', login => expect(words(login, hostile)).toEqual(hostile))
  test('and so do drawn ones', () => {
    const word = fc.string({unit: 'binary', minLength: 1, maxLength: 20}).filter(text => text.isWellFormed() && !text.includes('\0'))
    fc.assert(
      fc.property(fc.array(word, {minLength: 1, maxLength: 8}), args => {
        expect(words('/bin/sh', args)).toEqual(args)
      }),
      {numRuns: 15},
    )
  })
})

test('every key that is made is one', () => {
  for (let at = 0; at < 300; at++) {
    const {publicKey} = makeKey()
    const parsed = ssh.utils.parseKey(publicKey)
    if (parsed instanceof Error) throw parsed
    expect([parsed.type, publicKey.length]).toEqual(['ssh-ed25519', 80])
  }
})

describe('the URL of a tunnel', () => {
  const keys = {accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'}
  test('is signed as AWS signs it, with and without a duration', () => {
    const endpoint = {
      id: 'eice-0123456789abcdef0',
      dnsName: 'eice-0123456789abcdef0.8be41ab9.ec2-instance-connect-endpoint.us-east-1.amazonaws.com',
    }
    const url = tunnelUrl({endpoint, privateIp: '10.0.1.17', port: 22}, 'us-east-1', keys, new Date('2026-01-02T03:04:05Z'))
    expect(url).toContain('X-Amz-Signature=8b32d4cff4f38fbd578716d2b3907bf7bb90b1a695dbbc865ec678a34838d79a')
    expect(url).toContain(
      `wss://${endpoint.dnsName}/openTunnel?instanceConnectEndpointId=${endpoint.id}&remotePort=22&privateIpAddress=10.0.1.17&X-Amz-Algorithm=AWS4-HMAC-SHA256&`,
    )
    const far = {
      id: 'eice-00000000000000abc',
      dnsName: 'eice-00000000000000abc.ffffffff.ec2-instance-connect-endpoint.ap-southeast-2.amazonaws.com',
    }
    const at = new Date('2026-09-10T11:12:13Z')
    expect(
      tunnelUrl({endpoint: far, privateIp: '10.255.0.1', port: 22}, 'ap-southeast-2', keys, at, {maxTunnelDuration: '3600'}),
    ).toContain('X-Amz-Signature=208e936cdf6fbc5a2c2cdeff56f1ea1bb5fa93f0628e615b3264746f5df07083')
  })
  test.each([
    'evil.example',
    'us-east-1.amazonaws.com.evil.example',
    '169.254.169.254',
    '127.0.0.1:80',
    'a@b.us-east-1.amazonaws.com',
    'x.eu-west-1.amazonaws.com',
  ])('goes to names of AWS in its region alone, and never to %s', dnsName => {
    const before = process.env.AWS_ENDPOINT_URL
    delete process.env.AWS_ENDPOINT_URL
    try {
      expect(() => checkName({id: 'eice-1', dnsName}, 'us-east-1')).toThrow(expect.objectContaining({code: 'TARGET_UNREACHABLE'}))
    } finally {
      if (before !== undefined) process.env.AWS_ENDPOINT_URL = before
    }
  })
})

test('TM-N1: an instance is called as by every other way in, whatever its pins', () => {
  for (const pins of ['', '?via=private&user=ops']) expect(machine(parse(here + pins))).toBe(`aws:${here}`)
  expect(machine(parse('eu-west-1/*?tag:Role=web'))).toBeUndefined()
})
