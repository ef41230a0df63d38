import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {codes, type ErrorCode} from '@prod/sdk/errors'
import {expect, test} from 'vitest'

const page = readFileSync(join(import.meta.dirname, '../docs/errors.md'), 'utf8')

/** Each row of the page's tables of codes, with the exit status of its chapter. */
const rows = page.split(/^## /m).flatMap(chapter => {
  const exit = Number(/^(\d{3}): /.exec(chapter)?.[1])
  return [...chapter.matchAll(/^\| `([A-Z_]+)` \| (\d{3}) \| (.+?) \| (.+?) \|$/gm)].map(([, code, status, means, mend]) => ({
    code: code as ErrorCode,
    exit,
    status: Number(status),
    means,
    mend,
  }))
})

test('docs/errors.md has each code of errors.ts once, and no other', () => {
  expect(rows.map(row => row.code).sort()).toEqual(Object.keys(codes).sort())
})

test('docs/errors.md says the exit status and the HTTP status that errors.ts has', () => {
  for (const {code, exit, status} of rows) expect({code, exit, status}).toEqual({code, ...codes[code]})
})

test('docs/errors.md says of each code what is so and what to do', () => {
  for (const {code, means, mend} of rows) {
    expect(means?.length, code).toBeGreaterThan(10)
    expect(mend?.length, code).toBeGreaterThan(3)
  }
})
