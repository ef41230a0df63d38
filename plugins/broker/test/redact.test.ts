import {expect, test} from 'vitest'
import {createRedactor} from '../src/runs/redact.ts'

const key = `-----BEGIN RSA PRIVATE KEY-----\n${'MIIEpAIBAAKCAQEA7bq2c3Jhbm9tdGhpbmdz\n'.repeat(600)}-----END RSA PRIVATE KEY-----`
// built here, so that no scanner takes this file for a leak
const secrets = [
  `AKIA${'ABCDEFGHIJKLMNOP'}`,
  `eyJ${'hbGciOiJIUzI1NiJ9'}.${'eyJzdWIiOiIxIn0'}.${'c2lnbmF0dXJlLXBhcnQ'}`,
  `gh${'p_'}${'a1B2c3D4e5'.repeat(4)}`,
  `whsec_${'QUJDREVGR0hJSktMTU5PUFFSU1RVVg=='}`,
  'hunter2-and-more',
]
const text = [
  'total 3 files, token bucket is full',
  `id=${secrets[0]} ok`,
  `authorization: Bearer ${secrets[1]}`,
  `clone https://x:${secrets[2]}@git.example/r.git done`,
  `{"hook":"${secrets[3]}","password":"${secrets[4]}","n":1}`,
  key,
  'the end',
].join('\n')

function run(bytes: Buffer, size: number): string {
  const redactor = createRedactor()
  const out: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) out.push(redactor.push(bytes.subarray(at, at + size)))
  out.push(redactor.end())
  return Buffer.concat(out).toString()
}

test('TM-E9: secrets of known forms are gone however the stream is cut, and the rest is untouched', () => {
  const whole = run(Buffer.from(text), text.length)
  for (const secret of [...secrets, 'MIIEpAIBAAKCAQEA']) expect(whole).not.toContain(secret)
  expect(whole).toContain('total 3 files, token bucket is full\n')
  expect(whole).toContain('\n[redacted]\nthe end')
  for (const size of [1, 2, 7, 64, 1000, 4096]) expect(run(Buffer.from(text), size)).toBe(whole)
})

test('TM-E9: bytes that are no text pass unchanged', () => {
  const bytes = Buffer.from(Array.from({length: 100_000}, (_, at) => (at * 7919) % 251))
  const redactor = createRedactor()
  expect(Buffer.concat([redactor.push(bytes), redactor.end()])).toEqual(bytes)
})

test('TM-E9: a line of 10 MiB holds no more than a few KiB back, and a secret in it is found', () => {
  const redactor = createRedactor()
  let out = 0
  let put = 0
  let furthest = 0
  const found: string[] = []
  for (let n = 0; n < 160; n++) {
    const chunk = Buffer.from(n === 80 ? `${'word '.repeat(13_000)}${secrets[0]} ` : 'word '.repeat(13_107))
    put += chunk.length
    const got = redactor.push(chunk)
    out += got.length
    furthest = Math.max(furthest, put - out)
    if (got.includes('[redacted]')) found.push('here')
    expect(got.includes(secrets[0] as string)).toBe(false)
  }
  expect(found).toEqual(['here'])
  expect(furthest).toBeLessThan(20_000)
})
