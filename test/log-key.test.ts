/** A log's new key, as the people of a running broker meet it. */
import {generateKeyPairSync} from 'node:crypto'
import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {Receipt} from '@prod/sdk'
import {api, type LoginConfiguration} from '@prod/sdk/api'
import {checkPin, findPin, pinBroker} from '@prod/sdk/cli/broker-pins'
import {createClient} from '@prod/sdk/client'
import {verifyExport} from '@prod/sdk/log/export'
import {signHandOver} from '@prod/sdk/log/hand-over'
import {verifierKey} from '@prod/sdk/log/note'
import type {EndPayload} from '@prod/sdk/wire'
import {afterAll, beforeAll, expect, test, vi} from 'vitest'
import {rotateLogKey} from '../plugins/broker/src/rotate-key.ts'
import {type Core, startCore} from '../plugins/broker/test/core.ts'
import {exportLines} from '../src/audit/export-lines.ts'
import {checkReceipt, type Pins} from '../src/channel/proof.ts'

const ends: (() => Promise<void> | void)[] = []
let core: Core
let old: LoginConfiguration
beforeAll(async () => {
  const home = mkdtempSync(join(tmpdir(), 'prod-home-'))
  for (const name of ['XDG_CONFIG_HOME', 'XDG_STATE_HOME', 'XDG_CACHE_HOME']) vi.stubEnv(name, join(home, name))
  ends.push(() => rmSync(home, {recursive: true, force: true}))
  core = await startCore(end => ends.push(end))
  old = await configuration()
})
afterAll(async () => {
  for (const end of ends.toReversed()) await end()
  vi.unstubAllEnvs()
})

const configuration = () => createClient({broker: {name: 'core', url: core.url}}).call(api.loginConfiguration)

async function run(): Promise<{receipt: Receipt; end: EndPayload}> {
  const {receipt, end} = await (await core.as('alice')).exec(['job', 'say', 'x']).done
  return {receipt: receipt!, end: end!}
}

const holds = ({receiptKey, logKey, handOvers}: Pins, {receipt, end}: {receipt: Receipt; end: EndPayload}) =>
  checkReceipt({receiptKey, logKey, ...(handOvers ? {handOvers} : {})}, receipt, end, undefined)

test('TM-Q8 TM-E14: a running broker hands its log over while people work; who knows the old key follows, who knows another is warned', async () => {
  const broker = {name: 'core', url: core.url}
  pinBroker(broker, old, new Date())
  const before = await run()
  holds(old, before)
  const [rotated, during] = await Promise.all([rotateLogKey({dir: core.dir}), Promise.all(Array.from({length: 6}, run))])
  expect(rotated).toMatchObject({from: old.logKey, doneBy: 'broker'})
  const now = await configuration()
  expect(now).toMatchObject({logKey: rotated.to, receiptKey: old.receiptKey})
  const after = await run()

  // receipts of every time, by what was remembered before and by what is remembered since
  for (const one of [before, ...during, after]) for (const pins of [old, now]) holds(pins, one)
  const stranger = verifierKey('core', generateKeyPairSync('ed25519').publicKey)
  expect(() => holds({...old, logKey: stranger}, after)).toThrow(expect.objectContaining({code: 'OUTCOME_UNKNOWN'}))
  expect(core.alarms).toContainEqual(expect.objectContaining({what: 'the log has a new key', from: rotated.from, to: rotated.to}))

  // the pin follows at the next login, and only by a hand-over
  const {privateKey: thief} = generateKeyPairSync('ed25519')
  const name = old.logKey.split('+')[0]!
  const forged = {...now, logKey: verifierKey(name, thief), handOvers: [signHandOver(name, thief, thief, 1, Buffer.alloc(32))]}
  const bare = {...now, handOvers: []}
  for (const said of [forged, bare, {...forged, handOvers: now.handOvers!}]) {
    expect(() => checkPin(broker, said)).toThrow(expect.objectContaining({code: 'SERVER_IDENTITY_CHANGED'}))
    pinBroker(broker, said, new Date())
    expect(findPin(broker)?.logKey).toBe(old.logKey)
  }
  expect(checkPin(broker, now)).toEqual({first: false})
  pinBroker(broker, now, new Date())
  expect(findPin(broker)).toMatchObject({logKey: rotated.to, handOvers: now.handOvers})
  // and never back
  expect(() => checkPin(broker, old)).toThrow(expect.objectContaining({code: 'SERVER_IDENTITY_CHANGED'}))

  const {client} = await core.as('carol')
  for (const key of [old.logKey, now.logKey]) {
    expect(await verifyExport(exportLines(client, key), key)).toMatchObject({
      ok: true,
      keys: [
        {key: old.logKey, until: rotated.size},
        {key: now.logKey, until: null},
      ],
    })
  }
})
