import {mkdtemp, rm, writeFile} from 'node:fs/promises'
import {request} from 'node:https'
import {connect as connectPlain} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {connect} from 'node:tls'
import {expect, test} from 'vitest'
import {startServer} from '../src/http/server.ts'
import {type OnFinished, openDoor, type TestDoor} from './door.ts'

// for prod.example, by itself, for a hundred years: a key that guards nothing
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgwO24/iavkDAGOkqy
NHe2Q+fcIquqYfvkvJUPyH70SXShRANCAARvhl71eXQHNJT8X2xN/2BrY0XXd1Cg
fbOzsEJpDD0XXHEyBukjhHSSAeS75IHu/TOxSitL/YqCKtTwEEJ/4Z/T
-----END PRIVATE KEY-----`
const cert = `-----BEGIN CERTIFICATE-----
MIIBnjCCAUSgAwIBAgIUbGBlQCSEQs7dArLYTTLdK1p5hFMwCgYIKoZIzj0EAwIw
FzEVMBMGA1UEAwwMcHJvZC5leGFtcGxlMCAXDTI2MTEyMjA3MTgxMloYDzIxMjYx
MDI5MDcxODEyWjAXMRUwEwYDVQQDDAxwcm9kLmV4YW1wbGUwWTATBgcqhkjOPQIB
BggqhkjOPQMBBwNCAARvhl71eXQHNJT8X2xN/2BrY0XXd1CgfbOzsEJpDD0XXHEy
BukjhHSSAeS75IHu/TOxSitL/YqCKtTwEEJ/4Z/To2wwajAdBgNVHQ4EFgQU0OkI
lb9WfkZWVw2rH5UUhlYuxx0wHwYDVR0jBBgwFoAU0OkIlb9WfkZWVw2rH5UUhlYu
xx0wDwYDVR0TAQH/BAUwAwEB/zAXBgNVHREEEDAOggxwcm9kLmV4YW1wbGUwCgYI
KoZIzj0EAwIDSAAwRQIhAJKv9EkQPrt4BA0kPBFR264WtPlJ5NDoqrdsaiepXhkY
AiBKByZ0/+h2qwiCWab6O3oS3MiGCaV9mru/J23o7LZVcg==
-----END CERTIFICATE-----`

async function openTlsDoor(onFinished: OnFinished): Promise<TestDoor> {
  const dir = await mkdtemp(join(tmpdir(), 'prod-tls-'))
  onFinished(() => rm(dir, {recursive: true, force: true}))
  const tls = {certFile: join(dir, 'cert.pem'), keyFile: join(dir, 'key.pem')}
  await writeFile(tls.certFile, cert)
  await writeFile(tls.keyFile, key, {mode: 0o600})
  return openDoor(onFinished, {config: {tls, development: false, origin: 'https://prod.example'}})
}

function get({port}: TestDoor, host: string): Promise<{status: number; hsts: string | undefined}> {
  return new Promise((resolve, reject) => {
    const call = request(
      {host: '127.0.0.1', port, servername: 'prod.example', ca: cert, path: '/v1/login/configuration', headers: {host}},
      response => {
        response.resume()
        resolve({status: response.statusCode ?? 0, hsts: response.headers['strict-transport-security']})
      },
    )
    call.on('error', reject)
    call.end()
  })
}

test('TM-A4: over TLS the configured origin alone is answered, and told to stay with TLS', async ({onTestFinished}) => {
  const door = await openTlsDoor(onTestFinished)
  expect(await get(door, 'prod.example')).toEqual({status: 200, hsts: 'max-age=31536000'})
  expect((await get(door, 'prod.example:443')).status).toBe(200)
  for (const host of ['prod.example.attacker.example', `127.0.0.1:${door.port}`, `prod.example:${door.port}`, 'localhost'])
    expect((await get(door, host)).status, host).toBe(421)
})

test('TM-Q8: old TLS is refused, and so is a listener without TLS beyond loopback', async ({onTestFinished}) => {
  const door = await openTlsDoor(onTestFinished)
  const old = connect({
    port: door.port,
    host: '127.0.0.1',
    servername: 'prod.example',
    ca: cert,
    minVersion: 'TLSv1.1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  })
  await expect(new Promise((resolve, reject) => old.once('secureConnect', resolve).once('error', reject))).rejects.toThrow()
  const bare = {...door.parts, config: {...door.parts.config, tls: null, listen: {host: '0.0.0.0', port: 0, metricsPort: 0}}}
  await expect(startServer(bare, {routes: () => {}, stream: () => {}})).rejects.toMatchObject({code: 'CONFIG_INVALID'})
})

test('TM-A15: half a TLS handshake ends in 10 s, and others are answered meanwhile', async ({onTestFinished}) => {
  const door = await openTlsDoor(onTestFinished)
  const start = performance.now()
  const ends = Array.from({length: 200}, (_, at) => {
    const socket = connectPlain(door.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.resume()
    if (at % 2 === 0) socket.write(Buffer.from('1603010200010001fc0303', 'hex'))
    return new Promise<void>(resolve => socket.once('close', () => resolve()))
  })
  expect((await get(door, 'prod.example')).status).toBe(200)
  expect(performance.now() - start).toBeLessThan(2000)
  await Promise.all(ends)
  expect(performance.now() - start).toBeLessThan(12_000)
})
