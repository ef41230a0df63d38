import {chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {configDigest, readConfig} from '../src/config.ts'
import {startBroker} from '../src/main.ts'

const good = `dir: data
origin: https://prod.example.com
identity: {kind: oidc, issuer: "https://id.example", clientId: prod, personClaim: person}
catalogDir: catalog
policyDir: policy
channels: [{name: a, notifier: webhook, config: {}}, {name: b, notifier: webhook, config: {}}]
alertChannels: [a, b]
places: [10.0.0.0/8]
recordingRecipients: [age1x]
`

function folder(onFinished: (fn: () => void) => void): {write: (text: string, mode?: number) => string; dir: string} {
  const dir = mkdtempSync(join(tmpdir(), 'prod-config-'))
  onFinished(() => rmSync(dir, {recursive: true, force: true}))
  const file = join(dir, 'broker.yaml')
  return {
    dir,
    write(text, mode = 0o600) {
      writeFileSync(file, text)
      chmodSync(file, mode)
      return file
    },
  }
}

test('TM-G5: a configuration with an unknown, doubled or misformed key does not start a broker, and each finding is named', async ({
  onTestFinished,
}) => {
  const {write} = folder(onTestFinished)
  const faults: [string, RegExp][] = [
    [`${good}aproval: 1\n`, /additional properties: aproval/],
    [`${good}places: [0.0.0.0/0]\n`, /Map keys must be unique/],
    [good.replace('kind: oidc', 'kind: oidc, kind: oidc'), /Map keys must be unique/],
    [good.replace('clientId: prod', 'clientId: prod, admin: true'), /\/identity .*additional properties: admin/],
    [`${good}requestSeconds: 0\nretentionDays: {recordings: 0}\n`, /requestSeconds.*retentionDays/],
    [`${good}policy: {bundle: x, keys: [y], extra: 1}\n`, /\/policy .*additional properties: extra/],
    [`${good}policy: {bundle: x, keys: []}\n`, /\/policy\/keys/],
    ['[]\n', /must be object/],
    ['a: &a [1]\nb: *a\n', /aliases/],
  ]
  for (const [text, said] of faults) {
    const configFile = write(text)
    const started = startBroker({configFile, alarm: () => {}})
    await expect(started, text.slice(good.length)).rejects.toMatchObject({code: 'CONFIG_INVALID', message: expect.stringMatching(said)})
  }
})

test('TM-G5: a configuration that others could write or exchange, or that is a link, does not start a broker', async ({onTestFinished}) => {
  const {write, dir} = folder(onTestFinished)
  for (const mode of [0o666, 0o620, 0o602])
    await expect(readConfig(write(good, mode)), mode.toString(8)).rejects.toMatchObject({code: 'CONFIG_INVALID'})
  const file = write(good)
  expect((await readConfig(file)).dir).toBe(join(dir, 'data'))
  symlinkSync(file, join(dir, 'link.yaml'))
  await expect(readConfig(join(dir, 'link.yaml'))).rejects.toMatchObject({code: 'CONFIG_INVALID'})
  const open = join(dir, 'open')
  mkdirSync(open)
  writeFileSync(join(open, 'broker.yaml'), good, {mode: 0o600})
  chmodSync(open, 0o777)
  await expect(readConfig(join(open, 'broker.yaml'))).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringContaining('the folder of'),
  })
  chmodSync(open, 0o1777)
  await expect(readConfig(join(open, 'broker.yaml'))).resolves.toBeDefined()
})

test('TM-G5: the digest of a configuration changes with every value of it', async ({onTestFinished}) => {
  const {write} = folder(onTestFinished)
  const digest = async (text: string) => configDigest(await readConfig(write(text)))
  const first = await digest(good)
  expect(first).toMatch(/^[0-9a-f]{64}$/)
  expect(await digest(good)).toBe(first)
  for (const other of [good.replace('10.0.0.0/8', '0.0.0.0/0'), `${good}requestSeconds: 60\n`, good.replace('id.example', 'id2.example')])
    expect(await digest(other)).not.toBe(first)
})
