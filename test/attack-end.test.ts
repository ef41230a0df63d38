import {generateKeyPairSync} from 'node:crypto'
import {CompactSign} from 'jose'
import {expect, test} from 'vitest'
import {openEnd} from '../src/channel/proof.ts'

test('TM-H18: a signed end of another run, or without a start, is no end of this one', async () => {
  const {privateKey, publicKey} = generateKeyPairSync('ed25519')
  const pins = {receiptKey: publicKey.export({format: 'jwk'}) as Record<string, string>, logKey: ''}
  const end = {id: 'run_0000000000001', exit: {status: 0}, endedBy: null, stdoutBytes: 0, stderrBytes: 0, iat: 0}
  const signed = (typ: string) => new CompactSign(Buffer.from(JSON.stringify(end))).setProtectedHeader({alg: 'EdDSA', typ}).sign(privateKey)
  const jws = await signed('prod-end+jws')
  expect(openEnd(pins, jws, end.id)).toEqual(end)
  expect(() => openEnd(pins, jws, 'run_0000000000002')).toThrow('the end that came')
  expect(() => openEnd(pins, jws, undefined)).toThrow('the end that came')
  expect(() => openEnd(pins, `${jws}x`, end.id)).toThrow('not signed')
  const receipt = await signed('prod-receipt+jws')
  expect(() => openEnd(pins, receipt, end.id)).toThrow('not signed')
})
