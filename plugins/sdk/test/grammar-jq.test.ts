import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {findExpressionFault} from '../src/grammar/jq/expression.ts'
import {readFilter} from '../src/grammar/jq/read.ts'
import {findFilterFault} from '../src/grammar/kinds/jq.ts'
import {testValue} from '../src/grammar/values.ts'

const honest = String.raw`
.
.items[].metadata.name
.a.b.c? // "none"
.["a b"], ."$ENV", .env, .environment, .input_filename
.[2:5], .[:-1], .[-1]
.. | objects | select(has("id")) | .id
map(select(.level == "error" and (.code >= 500 or .retry | not)))
to_entries | map("\(.key)=\(.value)") | join(", ")
with_entries(select(.value != null) | .key |= ascii_downcase)
group_by(.status) | map({status: .[0].status, count: length, total: (map(.ms) | add)})
[.[].ms] | sort | .[(length * 95 / 100 | floor)]
.gb * 1073741824
.[] | [.a, (.b | tostring), .c // "-"] | @csv
@sh "echo \(.name)"
.token | split(".")[1] | @base64d | fromjson | .exp | todate
reduce .[] as $x ({}; .[$x.k] += [$x.v])
reduce .[] as $x ({}; . * $x)
foreach .[] as $x (0; . + $x; [$x, .])
. as {$name, tags: [$first]} | {$name, $first, $__loc__}
. as [$a] ?// $a | $a
.items[] | .metadata.name as $n | .spec.containers[] | [$n, .image] | @tsv
if .a > 10 then "big" elif .a then "mid" else "small" end
try error("x") catch .
label $out | .[] | if . > 3 then break $out else . end
def pct(x; $of): x / $of * 100 | round; pct(.used; .total)
del(.items[].secret, .token) | .a = 1 | .b |= . + 1 | .c //= {}
walk(if type == "object" then with_entries(select(.value != null)) elif type == "string" then gsub("\\s+"; " ") else . end)
recurse(.children[]?) | .name
recurse(.next // empty)
[limit(3; .[] | select(.x))], first(.[]), [range(0; 10; 2)], [range(length)]
.name | gsub("^\\s+|\\s+$"; "") | test("time.?out"; "i")
{if: 1, "import": .import, (.k): .v, "x\(.y)": 1, debug}
.a?//"x"
[paths(type == "number")], [leaf_paths], path(..), getpath(["a", "b"])
map(.a) | map(.b) | unique | map(.c) | sort | reverse | map(.d) | .[0:5] | join(" ")
.[] as $a | .[] as $b | select($a.id == $b.parent) | [$a.id, $b.id]
[., inputs] | length
-(.a) - -1 % 2`
  .trim()
  .split('\n')

test.each(honest)('TM-H2: %s is a filter', filter => {
  expect(findFilterFault(filter)).toBeUndefined()
})

describe('TM-H4: nothing but the input is read', () => {
  test.each([
    'env',
    '$ENV',
    '$ENV.HOME',
    '.a, env.HOME',
    '"\\($ENV | tojson)"',
    '@base64 "\\("\\(env)")"',
    '{env: env}',
    '. as {(env | keys[0]): $x} | $x',
    'reduce env as $x (0; 1)',
    '$__prog_args',
    '$never',
    'input_filename',
    'import "a" as a; .',
    'import "d" as $d; $d',
    'include "a"; .',
    'a::b',
    'get_search_list',
    '"a" | modulemeta',
    'halt',
    'halt_error(1)',
    'debug',
    'stderr',
    'builtins',
    '. # $ENV',
    '`id`',
    '.a; .b',
  ])('%s is refused', filter => {
    expect(findFilterFault(filter)).toBeDefined()
  })
})

describe('TM-H11: no filter without an end, and none that makes much out of little', () => {
  test.each([
    '[range(1e12)]',
    'range(infinite)',
    'range(0; 10; 0)',
    '1e12 as $n | [range($n)]',
    '1e12 | [range(length)]',
    '{a: 1e12} | [range(.a)]',
    '"1e12" | tonumber | range(.)',
    '[range(99999)] | add | range(.)',
    'repeat(.)',
    '[limit(1e9; repeat(1))]',
    'while(true; .)',
    'until(false; .)',
    'recurse(.)',
    'recurse(.a)',
    'recurse(.? // empty)',
    'recurse([.])',
    'def f: f; f',
    'def f: def g: f; g; f',
    'def map(f): map(f); map(.)',
    'def values: [[.]]; recurse(.[] | values)',
    'def f(empty): recurse(.a // empty); f(.)',
    `def a: .,.; def b: a|a|a|a; def c: b|b|b|b; def d: c|c|c|c; d`,
    '"x" * 1000000000',
    '"x" | . * 1e9',
    '{a: "x"} | .a *= 1e9',
    '(.a | tostring) * 1e9',
    Array(40).fill('(., .)').join('|'),
    Array(40).fill('[., .]').join('|'),
    `"x" | ${Array(40).fill('. + .').join('|')}`,
    'reduce range(40) as $i ("x"; . + .)',
    'reduce .[] as $i ([1]; [., .])',
    'reduce range(10) as $i (10; . * .) | [range(.)]',
    'foreach range(1e9) as $i (0; . + 1)',
    '.[1000000000] = 1',
    'setpath([1e9]; 1)',
    'combinations',
    'walk([., .])',
    'gsub(""; "x")',
    'gsub("a*"; "x")',
    'gsub(.pattern; "x")',
    'test("(x{1,300}){1,300}")',
    '[range(1000)] | .[] as $a | .[] as $b | .[] as $c | 1',
  ])('%s is refused', filter => {
    expect(findFilterFault(filter)).toBeDefined()
  })

  test('the judge itself ends soon, whatever it is given', () => {
    const started = performance.now()
    for (const filter of [
      '('.repeat(4000),
      '[('.repeat(2000),
      '-'.repeat(8000),
      '.a|'.repeat(2000),
      '"\\('.repeat(2000),
      '1,'.repeat(4000),
    ])
      findFilterFault(filter)
    findFilterFault(`${'('.repeat(60)}., .${')|.'.repeat(60)}`)
    findFilterFault(
      `${Array.from({length: 60}, (_, index) => `def f${index}: ${index ? `f${index - 1} | f${index - 1}` : '.'};`).join(' ')} f59`,
    )
    expect(performance.now() - started).toBeLessThan(2000)
  })

  test('no text makes the judge fail', () => {
    const words = [
      '.',
      '.a',
      '[',
      ']',
      '{',
      '}',
      '(',
      ')',
      '|',
      ',',
      '$x',
      ' as ',
      'reduce ',
      'if ',
      ' then ',
      ' end',
      '"',
      '\\(',
      'def f: ',
      ';',
      '1',
      ' // ',
      '?',
      '..',
      'env',
      'map(',
    ]
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...words), {maxLength: 20}), parts => {
        findFilterFault(parts.join(''))
      }),
      {numRuns: 2000},
    )
  })
})

test('operators bind as in jq', () => {
  expect(readFilter('1 + 2 * 3')).toMatchObject({sign: '+', right: {sign: '*'}})
  expect(readFilter('.a // .b // .c')).toMatchObject({sign: '//', right: {sign: '//'}})
  expect(readFilter('.a = .b // .c')).toMatchObject({sign: '//', left: {sign: '='}})
  expect(readFilter('.a, .b | .c')).toMatchObject({kind: 'pipe', steps: [{sign: ','}, {kind: 'index'}]})
  expect(readFilter('1 + . as $x | $x, 2')).toMatchObject({sign: '+', right: {kind: 'as', body: {sign: ','}}})
  expect(() => readFilter('1 == 2 == 3')).toThrow('needs brackets')
})

test('a filter that begins with a dash stands after --', () => {
  expect(testValue('-1', 'jq-filter')).toBe(false)
  expect(testValue('-1', 'jq-filter', true)).toBe(true)
})

test('an expression whose matches are all replaced matches something', () => {
  for (const text of ['a', 'a+', '^\\s+|\\s+$', '[^a-z]', '(?<x>[a-z])', 'a{2,}', 'x*y', '\\.', '(?:ab)+?', '[]a]'])
    expect(findExpressionFault(text, true)).toBeUndefined()
  for (const text of [
    '',
    'a*',
    'a?',
    '^',
    '$',
    '\\b',
    '(?=a)',
    'a|',
    '(a)?',
    'a{0,3}',
    'a{2}?',
    '(?i)a',
    '(?#x)',
    '\\Q',
    '(a',
    '[a',
    '()',
    '\\1',
  ])
    expect(findExpressionFault(text, true)).toBeDefined()
})
