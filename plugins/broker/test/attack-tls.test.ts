/** What stands around the broker, or lies about on its machine, does not decide whom it trusts. */
import {chmodSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, expect, test} from 'vitest'
import type {Config} from '../src/config.ts'
import {openIdentity} from '../src/identity-providers/open.ts'
import {startBroker} from '../src/main.ts'

const dir = mkdtempSync(join(tmpdir(), 'prod-tls-'))
afterAll(() => rmSync(dir, {recursive: true}))

test('TM-Q8 TM-A7: a broker does not start where the environment turns certificate checks off', async () => {
  const {env} = process
  const before = env.NODE_TLS_REJECT_UNAUTHORIZED
  env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  try {
    const started = startBroker({development: true, dir: join(dir, 'broker'), port: 0, alarm: () => {}})
    void started.then(
      broker => broker.stop(),
      () => {},
    )
    await expect(started).rejects.toMatchObject({code: 'INSECURE_URL', message: expect.stringContaining('NODE_TLS_REJECT_UNAUTHORIZED')})
  } finally {
    if (before === undefined) delete env.NODE_TLS_REJECT_UNAUTHORIZED
    else env.NODE_TLS_REJECT_UNAUTHORIZED = before
  }
})

test('TM-U1 TM-Q5: CAs that others on the machine may write vouch for no provider', async () => {
  const caFile = join(dir, 'ca.pem')
  writeFileSync(caFile, '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n')
  const settings = {
    issuer: 'https://id.example',
    clientId: 'c',
    clientSecretFile: null,
    scopes: [],
    groupsClaim: 'g',
    personClaim: 'p',
    caFile,
  }
  const open = () => openIdentity({dir: '', development: false, identity: settings} as unknown as Config)
  chmodSync(caFile, 0o644)
  await expect(open()).resolves.toBeDefined()
  for (const mode of [0o666, 0o664, 0o646]) {
    chmodSync(caFile, mode)
    await expect(open()).rejects.toMatchObject({code: 'CONFIG_INVALID', message: expect.stringContaining('can be written by others')})
  }
})
