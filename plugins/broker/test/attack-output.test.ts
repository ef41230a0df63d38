/** Output made to slip past what a definition takes out of it. */
import fc from 'fast-check'
import {expect, test} from 'vitest'
import type {RedactRules} from '../src/catalog/catalog.ts'
import {createRedactor} from '../src/runs/redact.ts'

function redact(rules: Partial<RedactRules>, text: string, size = text.length): string {
  const redactor = createRedactor({patterns: [], fields: [], columns: null, ...rules})
  const bytes = Buffer.from(text)
  const out: Buffer[] = []
  for (let at = 0; at < bytes.length; at += size) out.push(redactor.push(bytes.subarray(at, at + size)))
  return Buffer.concat([...out, redactor.end()]).toString()
}

test('TM-J1, TM-E9: a field inside of JSON that is a string of JSON goes too, at any depth, and what is around it stays JSON', () => {
  fc.assert(
    fc.property(
      fc.jsonValue({maxDepth: 3}),
      fc.integer({min: 1, max: 4}),
      fc.integer({min: 1, max: 9}),
      fc.boolean(),
      (value, depth, size, pretty) => {
        let inner: unknown = {before: 1, pin: {canary: value, more: 'canary-7'}, list: [{pin: 'canary-8'}, {pin: 90210}], after: 'kept'}
        for (let left = depth; left > 0; left--) inner = {log: JSON.stringify(inner, null, pretty ? 2 : undefined), ok: true}
        const got = redact({fields: ['pin']}, JSON.stringify(inner), size)
        expect(got).not.toMatch(/canary|90210/)
        let read = JSON.parse(got)
        for (let left = depth; left > 0; left--) {
          expect(read.ok).toBe(true)
          read = JSON.parse(read.log)
        }
        expect(read).toEqual({before: 1, pin: '[redacted]', list: [{pin: '[redacted]'}, {pin: '[redacted]'}], after: 'kept'})
      },
    ),
    {numRuns: 100},
  )
})

test('TM-J1: a quotation mark before a field, or many blanks after its name, hide nothing of it', () => {
  const lines = [
    'disk 3.5" of {"pin":"canary-1","ok":1}',
    'msg="5\\" {\\"pin\\":\\"canary-2\\"}" next',
    `{"pin"${' '.repeat(5000)}:${' '.repeat(5000)}"canary-3"}`,
    'it\'s 5" {"a":[{"pin":"canary-4 \\" canary-5"}]}',
  ].join('\n')
  for (const size of [1, 7, lines.length]) {
    const got = redact({fields: ['pin']}, lines, size)
    expect(got).not.toContain('canary')
    expect(got).toContain('disk 3.5" of {"pin":"[redacted]","ok":1}\nmsg="5\\" {\\"pin\\":\\"[redacted]\\"}" next\n')
  }
})

test('TM-J1: text of backslashes and quotation marks alone takes time in proportion', () => {
  const began = performance.now()
  redact({fields: ['pin']}, `${'\\'.repeat(400_000)}x${'\\"'.repeat(200_000)}`, 65_536)
  expect(performance.now() - began).toBeLessThan(5000)
})

test('TM-E9: in a line without blanks no secret goes out in pieces, wherever it stands and however the line comes', () => {
  const secrets = ['AKIA' + 'ABCDEFGHIJKLMNOP', Buffer.from(`password: ${'hunter2-hunter2'}`).toString('base64'), 'cust-123456é']
  for (const secret of secrets)
    for (const size of [1, 4096, 65_536])
      for (const before of size === 1 ? [20_000] : [3, 8, 13, 18].flatMap(part => [32_768 - part, 57_344 - part])) {
        const line = `${'x=1&'.repeat(20_000).slice(0, before - 1)}&${secret}&${'y=2&'.repeat(5000)}`
        const got = redact({patterns: ['cust-\\d{6}é?']}, line, size)
        expect(got.replace('&[redacted]&', ''), `${secret} ${size} ${before}`).toMatch(/^[xy=&12]+$/)
      }
})

test('TM-J1: a quotation mark that somebody wrote into a field keeps no column from being masked', () => {
  for (const size of [1, 5, 1000]) {
    const tabs = redact(
      {columns: {separator: '\t', names: ['email'], positions: []}},
      'name\temail\tn\n"Bob\tcanary-1\t1\nAl\tcanary-2\t2\n',
      size,
    )
    expect(tabs).toBe('name\temail\tn\n"Bob\t[redacted]\t1\nAl\t[redacted]\t2\n')
    const commas = redact({columns: {separator: ',', names: [], positions: [2]}}, '"Bob,canary-1,1\nAl,canary-2\n"C" D,canary-3,x\n', size)
    expect(commas).not.toContain('canary')
    // and where a mark stands inside of a field, it begins nothing
    expect(redact({columns: {separator: ',', names: [], positions: [2]}}, 'disk 5" wide,canary-4,x\n', size)).toBe(
      'disk 5" wide,[redacted],x\n',
    )
    // quotes that are quotes: the columns after them are counted right, and what is between them stays between them
    expect(redact({columns: {separator: ',', names: [], positions: [3]}}, '1,"Doe, Jane","canary, 5",x\n', size)).toBe(
      '1,"Doe, [redacted]",[redacted],x\n',
    )
  }
})
