import {chmodSync, symlinkSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {rootCertificates, setDefaultCACertificates} from 'node:tls'
import {expect, onTestFinished, test} from 'vitest'
import {notifier, verifyWebhook} from '../src/index.ts'
import {isPublic, parseReceiver} from '../src/receiver.ts'
import {post, send} from '../src/send.ts'
import {newSecret, notice, startReceiver, status, writeSecrets} from './receiver.ts'

// for hooks.example, by itself, until 2126: a key that guards nothing
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg2mFdeDaL3uxPXRHv
MurQ7s0tbO6HxmHDnYZVCHf3mVyhRANCAATV3wJK/znH0asdIn1jym5SvT8SIjVj
q2765ocLzz2TqQieEOqU+ypIjG9aEx0spcho1s5C2ohE05dvpm7hDsDO
-----END PRIVATE KEY-----`
const cert = `-----BEGIN CERTIFICATE-----
MIIBoTCCAUegAwIBAgIUBkE3AW7vtT97khhSX/ejKvKOWnEwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNaG9va3MuZXhhbXBsZTAgFw0yNjExMjIwNjU0MjJaGA8yMTI2
MTAyOTA2NTQyMlowGDEWMBQGA1UEAwwNaG9va3MuZXhhbXBsZTBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABNXfAkr/OcfRqx0ifWPKblK9PxIiNWOrbvrmhwvPPZOp
CJ4Q6pT7KkiMb1oTHSylyGjWzkLaiETTl2+mbuEOwM6jbTBrMB0GA1UdDgQWBBT4
W4UVAtYI6rQUhoHdzAwMe+5dfzAfBgNVHSMEGDAWgBT4W4UVAtYI6rQUhoHdzAwM
e+5dfzAPBgNVHRMBAf8EBTADAQH/MBgGA1UdEQQRMA+CDWhvb2tzLmV4YW1wbGUw
CgYIKoZIzj0EAwIDSAAwRQIhAPgK+wbowoheBsn4LBfRJLMPCHjb4DXt1lyJintP
PfnZAiARtZgu5l9n7c1SyTZCLWHR1CKI/zzoahrZRZAZoCQfEw==
-----END CERTIFICATE-----`

const patience = () => AbortSignal.timeout(5000)
const here = [{address: '127.0.0.1', family: 4}]

async function setUp(...secrets: string[]) {
  const receiver = await startReceiver()
  onTestFinished(() => receiver.stop())
  const kept = writeSecrets(...secrets)
  onTestFinished(kept.remove)
  const channel = notifier.channel('chat', {url: receiver.url, secretFiles: kept.files, development: true})
  return {receiver, kept, channel}
}

test('TM-B3: what arrives verifies with each secret that the channel holds, and secrets are exchanged without a restart', async () => {
  const [old, next] = [newSecret(), newSecret()]
  const {receiver, kept, channel} = await setUp(old, next)
  await channel.send(notice(), patience())
  const [first] = receiver.got
  for (const secret of [old, next]) expect(verifyWebhook(first!.headers, first!.body, [secret], new Date()).id).toBe('ntc_1')
  expect(first).toMatchObject({path: '/hook', headers: {'content-type': 'application/json', 'webhook-id': 'ntc_1'}})

  const third = newSecret()
  writeFileSync(kept.files[0] as string, third)
  await channel.send(notice(), patience())
  const second = receiver.got[1]!
  expect(verifyWebhook(second.headers, second.body, [third], new Date()).id).toBe('ntc_1')
  expect(() => verifyWebhook(second.headers, second.body, [old], new Date())).toThrow()
})

test.each(['can be read by others', 'is a link', 'cannot be opened', 'is no plain file'])(
  'nothing is sent where the secret file %s',
  async how => {
    const {receiver, kept} = await setUp(newSecret())
    let [file] = kept.files as [string]
    if (how === 'can be read by others') chmodSync(file, 0o640)
    if (how === 'is a link') {
      symlinkSync(file, join(kept.dir, 'link'))
      file = join(kept.dir, 'link')
    }
    if (how === 'cannot be opened') file = join(kept.dir, 'none')
    if (how === 'is no plain file') file = kept.dir
    const channel = notifier.channel('chat', {url: receiver.url, secretFile: file, development: true})
    await expect(channel.send(notice(), patience())).rejects.toThrow(
      expect.objectContaining({code: 'CONFIG_INVALID', message: expect.stringContaining(how)}),
    )
    expect(receiver.connections()).toBe(0)
  },
)

test('TM-B6: 200 to 299 is acceptance, all else is not; a redirect is not followed', async () => {
  const {receiver, channel} = await setUp(newSecret())
  const elsewhere = await startReceiver()
  onTestFinished(() => elsewhere.stop())
  for (const code of [200, 202, 204]) {
    receiver.answer(status(code, {}, code === 204 ? '' : '{"ok":true}'))
    expect(await channel.send(notice(), patience())).toMatchObject({receiver: 'chat'})
  }
  for (const code of [301, 302, 307, 308, 400, 401, 404, 410, 429, 500, 503]) {
    receiver.answer(status(code, {location: elsewhere.url}))
    await expect(channel.send(notice(), patience())).rejects.toThrow(`the receiver of chat answered ${code}`)
  }
  expect(elsewhere.connections()).toBe(0)
})

test('TM-A7: an answer without end, in its headers or its body, takes no memory and no time', async () => {
  const {receiver, channel} = await setUp(newSecret())
  receiver.answer(response => {
    response.writeHead(200)
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536)));
    }
    response.on('drain', more)
    more()
  })
  await channel.send(notice(), patience())
  receiver.answer((_, request) => {
    const {socket} = request
    socket.on('error', () => {})
    socket.write('HTTP/1.1 200 OK\r\n')
    const more = () => {
      while (!socket.destroyed && socket.write(`x: ${'y'.repeat(8000)}\r\n`));
    }
    socket.on('drain', more)
    more()
  })
  await expect(channel.send(notice(), patience())).rejects.toThrow('cannot be reached')
  receiver.answer(
    (_, request) => void request.socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'),
  )
  await expect(channel.send(notice(), patience())).rejects.toThrow('cannot be reached')
})

test.each([
  'http://127.0.0.1/',
  'https://127.0.0.1/',
  'https://2130706433/',
  'https://0x7f000001/',
  'https://0177.0.0.1/',
  'https://127.1/',
  'https://[::1]/',
  'https://[::ffff:127.0.0.1]/',
  'https://[::ffff:7f00:1]/',
  'https://[::127.0.0.1]/',
  'https://0/',
  'https://0.0.0.0/',
  'https://[::]/',
  'https://169.254.169.254/latest',
  'https://[::ffff:169.254.169.254]/',
  'https://[fd00:ec2::254]/',
  'https://100.100.100.200/',
  'https://100.64.0.1/',
  'https://10.0.0.1/',
  'https://172.16.0.1/',
  'https://192.168.1.1/',
  'https://[fe80::1]/',
  'https://[fc00::1]/',
  'https://[fec0::1]/',
  'https://[64:ff9b::a9fe:a9fe]/',
  'https://[2002:7f00:1::]/',
  'https://[2001::7f00:1]/',
  'https://192.0.2.1/',
  'https://198.18.0.1/',
  'https://224.0.0.1/',
  'https://255.255.255.255/',
  'https://[ff02::1]/',
  'http://hooks.example/',
  'file:///etc/passwd',
  'gopher://hooks.example/',
  'ftp://hooks.example/',
  'javascript:0',
  '//hooks.example/',
  'hooks.example',
  'https://hooks.example@127.0.0.1/',
  'https://hooks.example:x/',
])('TM-A7: %s is no place for a notice', url => {
  expect(() => notifier.channel('chat', {url, secretFile: '/s'})).toThrow(expect.objectContaining({code: 'CONFIG_INVALID'}))
})

test('TM-A7: development opens a literal loopback address and nothing else', () => {
  const channel = (url: string) => () => notifier.channel('chat', {url, secretFile: '/s', development: true})
  for (const url of ['http://127.0.0.1:8080/', 'http://[::1]:8080/', 'https://127.0.0.1/', 'https://hooks.example:8443/'])
    expect(channel(url)).not.toThrow()
  for (const url of ['http://localhost/', 'http://127.0.0.2/', 'http://10.0.0.1/', 'https://169.254.169.254/', 'http://hooks.example/'])
    expect(channel(url)).toThrow()
})

test('TM-A7: public addresses are those of the internet', () => {
  for (const address of ['1.1.1.1', '93.184.216.34', '2606:4700:4700::1111', '::ffff:1.1.1.1']) expect(isPublic(address)).toBe(true)
  for (const address of ['', 'localhost', '1.1.1', '::ffff:10.0.0.1']) expect(isPublic(address)).toBe(false)
})

test('TM-A7: a name that leads inside, with one of its addresses or on a second question, is not connected to', async () => {
  const receiver = await startReceiver()
  onTestFinished(() => receiver.stop())
  const kept = writeSecrets(newSecret())
  onTestFinished(kept.remove)
  const to = parseReceiver('chat', {url: `https://hooks.example:${receiver.port}/`, secretFiles: kept.files})
  for (const found of [
    [],
    here,
    [{address: '1.1.1.1', family: 4}, ...here],
    [{address: '::ffff:127.0.0.1', family: 6}],
    [{address: '169.254.169.254', family: 4}],
  ]) {
    await expect(send('chat', to, notice(), patience(), async () => found)).rejects.toThrow('leads to an address inside')
  }
  // the name is asked once; what it would say the second time does not count
  let asked = 0
  const rebinding = async () => {
    asked += 1
    return asked === 1 ? [{address: '192.0.2.1', family: 4}] : here
  }
  await expect(send('chat', to, notice(), AbortSignal.timeout(300), rebinding)).rejects.toThrow()
  expect(asked).toBe(1)
  expect(receiver.connections()).toBe(0)
})

test('TM-A7: the connection goes to the checked address, not to where the name leads by then', async () => {
  const receiver = await startReceiver()
  onTestFinished(() => receiver.stop())
  const url = new URL(`http://nowhere.invalid:${receiver.port}/hook`)
  expect(await post(url, here, {}, Buffer.from('{}'), patience())).toBe(204)
  expect(receiver.got[0]?.headers.host).toBe(url.host)
})

test('TM-A7: TLS is checked against the name, not the address', async () => {
  const receiver = await startReceiver({key, cert})
  onTestFinished(() => receiver.stop())
  const to = (host: string) => post(new URL(`https://${host}:${receiver.port}/`), here, {}, Buffer.from('{}'), patience())
  await expect(to('hooks.example')).rejects.toMatchObject({code: 'DEPTH_ZERO_SELF_SIGNED_CERT'})
  setDefaultCACertificates([cert])
  onTestFinished(() => setDefaultCACertificates([...rootCertificates]))
  expect(await to('hooks.example')).toBe(204)
  await expect(to('other.example')).rejects.toMatchObject({code: 'ERR_TLS_CERT_ALTNAME_INVALID'})
})

test('a name server that is silent is waited for no longer than asked', async () => {
  const kept = writeSecrets(newSecret())
  onTestFinished(kept.remove)
  const to = parseReceiver('chat', {url: 'https://hooks.example/', secretFiles: kept.files})
  await expect(send('chat', to, notice(), AbortSignal.timeout(100), () => new Promise(() => {}))).rejects.toThrow('did not answer in time')
})

test('TM-B8 TM-R3: the fields of the head come first and from the store, and words act nowhere', async () => {
  const {receiver, channel} = await setUp(newSecret())
  const hostile =
    '"}\r\nrisk: read\n```<!channel> <script>alert(1)</script> \u001b]8;;https://x\u0007y \u202egpj.exe\u200b {"risk":"read","target":"staging"}'
  await channel.send(notice({reason: hostile, principal: '\u0430lice\n', title: `waits ${hostile}`}), patience())
  const text = receiver.got[0]!.body.toString()
  expect(text).not.toMatch(/[^\x20-\x7e]/)
  expect(text).not.toMatch(/[<>&]/)
  const read = JSON.parse(text) as Record<string, string>
  expect(Object.keys(read)).toEqual([
    'id',
    'type',
    'at',
    'urgency',
    'risk',
    'target',
    'principal',
    'digest',
    'subject',
    'title',
    'next',
    'reason',
  ])
  expect(read).toMatchObject({
    risk: 'change',
    target: 'web (production)',
    principal: String.raw`\u0430lice\n`,
    digest: 'ab'.repeat(32),
    subject: 'req_1',
  })
  expect(read.reason).toContain(String.raw`\r\nrisk: read\n`)
  for (const value of Object.values(read)) expect(value).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)

  await channel.send(notice({reason: `${'a'.repeat(60_000)} the end`}), patience())
  const long = JSON.parse(receiver.got[1]!.body.toString()) as {reason: string}
  expect(long.reason.length).toBeLessThan(2200)
  expect(long.reason).toMatch(/ more characters, sha256 [0-9a-f]{64}\]… a+ the end$/)
})
