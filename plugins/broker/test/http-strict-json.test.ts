import fc from 'fast-check'
import {expect, test} from 'vitest'
import {parseStrictJson} from '../src/http/strict-json.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)

test('TM-A13: what is JSON comes out as JSON.parse gives it', () => {
  fc.assert(
    fc.property(fc.json({maxDepth: 8}), text => {
      // the generator may make keys that are refused here
      if (/"(?:__proto__|constructor|prototype)"\s*:/.test(text)) return
      expect(parseStrictJson(bytes(text))).toEqual(JSON.parse(text))
    }),
  )
})

test.each([
  ['nothing', ''],
  ['two values', '{} {}'],
  ['text after the value', '{"a":1}x'],
  ['a key twice', '{"argv":["a"],"argv":["b"]}'],
  ['a key twice, once escaped', '{"argv":1,"\\u0061rgv":2}'],
  ['__proto__', '{"__proto__":{"admin":true}}'],
  ['__proto__, escaped', '{"\\u005f_proto__":1}'],
  ['constructor', '{"a":{"constructor":{"prototype":1}}}'],
  ['a comment', '{/* */}'],
  ['a comma at the end', '[1,]'],
  ['single quotes', "{'a':1}"],
  ['a bare key', '{a:1}'],
  ['NaN', '[NaN]'],
  ['a leading zero', '[01]'],
  ['a leading plus', '[+1]'],
  ['a hexadecimal number', '[0x10]'],
  ['a number without end', '[1e999]'],
  ['half a word', 'tru'],
  ['an open string', '"abc'],
  ['an open escape', '"abc\\'],
  ['an unknown escape', '"\\x41"'],
  ['a raw newline in a string', '"a\nb"'],
  ['a NUL', '"a\u0000b"'],
  ['half a surrogate pair', '"\\ud800"'],
  ['a byte order mark', '\ufeff{}'],
  ['a no-break space', '\u00a0{}'],
  ['33 levels', nested(33)],
  ['100,000 levels', nested(100_000)],
])('TM-A13: refused: %s', (_what, text) => {
  expect(() => parseStrictJson(bytes(text))).toThrow(expect.objectContaining({code: 'BAD_REQUEST'}))
})

test('TM-A13: 32 levels are allowed, bytes that are not UTF-8 never', () => {
  expect(parseStrictJson(bytes(nested(32)))).toEqual(JSON.parse(nested(32)))
  for (const bad of [
    [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00],
    [0x22, 0xc0, 0xaf, 0x22],
    [0x22, 0xed, 0xa0, 0x80, 0x22],
  ]) {
    expect(() => parseStrictJson(Uint8Array.from(bad))).toThrow(expect.objectContaining({code: 'BAD_REQUEST'}))
  }
})

test('TM-A13: the prototype of what comes out is untouched, and a megabyte is read in linear time', () => {
  const value = parseStrictJson(bytes('{"a":{"toString":"x"}}')) as Record<string, object>
  expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
  const large = JSON.stringify(Array.from({length: 20_000}, (_, at) => ({[`key${at}`]: '\\"'.repeat(10)})))
  const start = performance.now()
  expect(parseStrictJson(bytes(large))).toEqual(JSON.parse(large))
  expect(performance.now() - start).toBeLessThan(2000)
})
