import {DatabaseSync} from 'node:sqlite'
import {beforeAll, describe, expect, test, vi} from 'vitest'
import {checkGrammar} from '../src/grammar/check.ts'
import {findStatementFault} from '../src/grammar/kinds/sql.ts'
import {parse} from '../src/grammar/parse.ts'
import {prepareGrammar} from '../src/grammar/prepare.ts'
import type {Dialect} from '../src/grammar/sql/judge.ts'
import {dialects} from '../src/grammar/sql/judge.ts'
import {describeValue, findTypeFault, testValue} from '../src/grammar/values.ts'
import * as mongosh from './data/sql/mongosh.ts'
import * as mysql from './data/sql/mysql.ts'
import * as postgresql from './data/sql/postgresql.ts'
import * as sqlite from './data/sql/sqlite.ts'

const statements = {postgresql, mysql, sqlite}
const specOf = (dialect: Dialect) => ({type: 'sql', dialect, statements: ['select', 'explain', 'show'], lines: true})
const written = (line: string): string => line.replaceAll('⏎', '\n')
const grammarOf = (type: unknown) => checkGrammar({commands: [{path: [], class: 'read', operands: [{name: 'statement', type}]}]}, 'ask')

test('TM-H15: without its parser every statement is refused', async () => {
  vi.resetModules()
  const {testValue} = await import('../src/grammar/values.ts')
  for (const dialect of dialects) expect(testValue('select 1', specOf(dialect))).toBe(false)
  expect(testValue('db.orders.find()', 'mongosh')).toBe(false)
})

describe('with its parser', () => {
  beforeAll(async () => {
    for (const dialect of dialects) await prepareGrammar(grammarOf({type: 'any', of: [specOf(dialect), 'mongosh']}))
  })

  test.each(dialects)('TM-H15: what people ask of %s is allowed', dialect => {
    for (const line of statements[dialect].reads)
      expect([line, findStatementFault(written(line), specOf(dialect))]).toEqual([line, undefined])
  })

  test.each(dialects)('TM-H15: what writes, locks, acts outside, waits or tells secrets is refused in %s', dialect => {
    for (const line of statements[dialect].refused) expect([line, testValue(written(line), specOf(dialect))]).toEqual([line, false])
  })

  test('TM-H15: an expression of mongosh reads, or is refused', () => {
    for (const line of mongosh.reads) expect([line, testValue(written(line), {type: 'mongosh', lines: true})]).toEqual([line, true])
    for (const line of mongosh.refused) expect([line, testValue(written(line), {type: 'mongosh', lines: true})]).toEqual([line, false])
  })

  test('TM-H15: the kinds of statements are those that the definition names', () => {
    const only = (kind: string) => ({...specOf('postgresql'), statements: [kind]})
    expect(testValue('select 1', only('select'))).toBe(true)
    expect(testValue('table orders', only('select'))).toBe(true)
    expect(testValue('explain select 1', only('select'))).toBe(false)
    expect(testValue('show all', only('select'))).toBe(false)
    expect(testValue('select 1', only('explain'))).toBe(false)
    expect(testValue('select 1', {type: 'sql', dialect: 'sqlite'})).toBe(true)
    expect(testValue('explain query plan select 1', {type: 'sql', dialect: 'sqlite'})).toBe(false)
    expect(testValue('explain query plan select 1', specOf('sqlite'))).toBe(true)
    expect(testValue('desc orders', {...specOf('mysql'), statements: ['select']})).toBe(false)
  })

  test('TM-H15: a definition may add functions by name, in their schema or without', () => {
    const more = {...specOf('postgresql'), functions: ['st_area', 'app.total']}
    expect(testValue('select st_area(geom), app.total(id) from plot', more)).toBe(true)
    expect(testValue('select app.st_area(geom) from plot', more)).toBe(false)
    expect(testValue('select total(id) from plot', more)).toBe(false)
    expect(testValue('select app.total(id) from plot', {...specOf('mysql'), functions: ['app.total']})).toBe(true)
    expect(testValue('select mine(id) from plot', {...specOf('sqlite'), functions: ['mine']})).toBe(true)
  })

  test('TM-H15: deep and long statements end in an answer', () => {
    const bombs = [
      '('.repeat(8000),
      '1+'.repeat(4000),
      'not '.repeat(2000),
      'case when '.repeat(800),
      '(select '.repeat(1000),
      '- '.repeat(4000),
    ]
    for (const dialect of dialects)
      for (const bomb of bombs) {
        expect(findStatementFault(`select ${bomb}1${')'.repeat(bomb.split('(').length - 1)}`, specOf(dialect))).toBeOneOf([
          undefined,
          expect.any(String),
        ])
        expect(findStatementFault(`select ${bomb}`, specOf(dialect))).toBeTypeOf('string')
      }
    // and the parsers are as they were
    for (const dialect of dialects) expect(testValue('select 1', specOf(dialect))).toBe(true)
    expect(testValue(`select '${'x'.repeat(9000)}'`, specOf('postgresql'))).toBe(false)
  })

  test('TM-H15: brackets that could be tried in many ways do not cost time', () => {
    const started = performance.now()
    const tables = `select * from ${'('.repeat(90)}t${')'.repeat(90)}`
    findStatementFault(tables, specOf('mysql'))
    findStatementFault(`select ${'('.repeat(90)}1${', 2)'.repeat(90)} where`, specOf('mysql'))
    expect(performance.now() - started).toBeLessThan(1000)
  })

  test('TM-H15: SQLite itself reads each statement that is allowed, and sees nothing in it but reading', () => {
    const database = new DatabaseSync(':memory:')
    const seen = new Set<number>()
    database.setAuthorizer(action => {
      seen.add(action)
      return 0
    })
    for (const line of sqlite.reads) {
      try {
        database.prepare(written(line))
      } catch (error) {
        expect(`${line}: ${(error as Error).message}`).toMatch(
          /no such (?:table|column|index|module|function)|no tables specified|unable to use/,
        )
      }
    }
    // SQLITE_READ, SQLITE_SELECT, SQLITE_FUNCTION, SQLITE_RECURSIVE; SQLITE_PRAGMA of the tables pragma_…
    expect([...seen].filter(action => ![20, 21, 31, 33, 19].includes(action))).toEqual([])
    database.close()
  })

  test('TM-H15: a statement stands where the grammar says, byte for byte, and never begins with a dash as an operand', () => {
    const grammar = grammarOf(specOf('sqlite'))
    const parsed = parse(grammar, ['ask', "select 'a  b'  from t ;"])
    expect(parsed).toMatchObject({ok: true, structure: {arguments: {statement: ["select 'a  b'  from t ;"]}}})
    expect(parse(grammar, ['ask', '-- x\nselect 1'])).toMatchObject({ok: false, refusal: {position: 1}})
    expect(parse(grammarOf({type: 'sql', dialect: 'sqlite'}), ['ask', 'select 1\nfrom t'])).toMatchObject({ok: false})
    expect(parse(grammar, ['ask', 'delete from t'])).toMatchObject({
      ok: false,
      refusal: {position: 1, allowed: [expect.stringContaining('one SELECT or EXPLAIN or SHOW statement of SQLite that only reads')]},
    })
  })
})

test('the type sql says what is wrong with its definition', () => {
  expect(findTypeFault({type: 'sql'})).toContain('postgresql, mysql, sqlite')
  expect(findTypeFault({type: 'sql', dialect: 'oracle'})).toContain('dialect')
  expect(findTypeFault({type: 'sql', dialect: 'mysql', statements: ['drop']})).toContain('select, explain, show')
  expect(findTypeFault({type: 'sql', dialect: 'mysql', functions: ['Sleep()']})).toContain('lower case')
  expect(findTypeFault({type: 'sql', dialect: 'mysql', functions: ['app.total']})).toBeUndefined()
  expect(describeValue('mongosh')).toContain('db.orders.find')
})
