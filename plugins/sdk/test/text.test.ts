import {execFileSync} from 'node:child_process'
import {readFileSync} from 'node:fs'
import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {confusable, looksLike} from '../src/confusable.ts'
import {checkReason} from '../src/reason.ts'
import {
  forCsv,
  forHtml,
  forHtmlAttribute,
  forHtmlLink,
  forHtmlText,
  forInlineJson,
  forLog,
  forMarkdownFreeText,
  forSlackText,
} from '../src/surfaces.ts'
import {
  bounded,
  boundedArgv,
  boundedLines,
  columns,
  createStreamSanitiser,
  type Foreign,
  showArgument,
  showArgv,
  showHost,
  showLine,
  showName,
  showText,
} from '../src/text.ts'

interface Line {
  id: string
  field: string
  surfaces: string[]
  input?: string
  input_b64?: string
  input_gen?: {prefix?: string; repeat: string; times: number; suffix?: string; b64_chunks?: string[]; utf16_units?: number[]}
  must_not?: string[]
  must?: string[]
}

const lines = readFileSync(new URL('../../../test/data/attacks/display.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .map(line => JSON.parse(line) as Line)

function inputOf(line: Line): Foreign {
  if (line.input !== undefined) return line.input
  if (line.input_b64 !== undefined) return Buffer.from(line.input_b64, 'base64')
  const {prefix = '', repeat, times, suffix = '', b64_chunks, utf16_units} = line.input_gen ?? {repeat: '', times: 0}
  if (b64_chunks) return Buffer.concat(b64_chunks.map(chunk => Buffer.from(chunk, 'base64')))
  if (utf16_units) return String.fromCharCode(...utf16_units)
  return prefix + repeat.repeat(times) + suffix
}

/** RFC 4180: the first cell of the first record, which must be the whole of it. */
function csvCell(csv: string): string {
  const match = /^"((?:[^"]|"")*)"$/.exec(csv)
  if (!match) throw new Error(`not one quoted cell: ${csv}`)
  return (match[1] as string).replaceAll('""', '"')
}

const shownOn: Record<string, (line: Line, input: Foreign) => string> = {
  terminal: ({field}, input) =>
    field === 'argv'
      ? showArgument(String(input))
      : field === 'output'
        ? live(bytesOf(input))
        : field === 'username'
          ? showName(input)
          : showLine(input),
  html: ({field}, input) =>
    field === 'argv' ? forHtml(showArgument(String(input))) : field === 'output' ? forHtmlText(input) : forHtml(input),
  'html-attr': (_, input) => forHtmlAttribute(input),
  'html-link': (_, input) => forHtmlLink(String(input)) ?? '',
  'html-script': (_, input) => forInlineJson(input),
  slack: ({field}, input) => forSlackText(field === 'argv' ? showArgument(String(input)) : showLine(input)),
  teams: ({field}, input) => forMarkdownFreeText(field === 'argv' ? showArgument(String(input)) : input),
  csv: ({field}, input) => csvCell(forCsv(field === 'argv' ? showArgument(String(input)) : input)),
  log: (_, input) => forLog(input),
}

function bytesOf(foreign: Foreign): Uint8Array {
  return typeof foreign === 'string' ? Buffer.from(foreign) : foreign
}

function live(bytes: Uint8Array, cuts: number[] = []): string {
  const sanitiser = createStreamSanitiser()
  let out = ''
  let from = 0
  for (const cut of [...cuts.map(c => c % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    out += sanitiser.push(bytes.subarray(from, cut))
    from = cut
  }
  return out + sanitiser.end()
}

describe('every line of display.jsonl is inert on each of its surfaces', () => {
  test.each(lines.flatMap(line => line.surfaces.map(surface => [line.id, surface, line] as const)))(
    'TM-R1 TM-R2 TM-R4 TM-E11: %s on %s',
    (_, surface, line) => {
      const input = inputOf(line)
      const shown = (shownOn[surface] as (typeof shownOn)[string])(line, input)
      for (const pattern of line.must_not ?? []) expect(shown).not.toMatch(new RegExp(pattern, 'u'))
      for (const pattern of line.must ?? []) expect(shown).toMatch(new RegExp(pattern, 'u'))
      if (surface === 'log') expect(JSON.parse(shown)).toBe(input)
      if (surface === 'terminal' && line.field === 'output') expect(live(bytesOf(input), [1, 3, 4, 7])).toBe(shown)
    },
  )
})

const acts = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u2800\u3164\u115f\u1160\uffa0]|\u034f/u
const actsInText = /[[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u2800\u3164\u034f]--[\n\t]]/v

/** Text rich in what hurts: every plane, controls, marks, halves of pairs. */
const nasty = fc
  .array(
    fc.oneof(
      {weight: 3, arbitrary: fc.integer({min: 0, max: 0xff})},
      {weight: 2, arbitrary: fc.integer({min: 0x300, max: 0x36f})},
      {weight: 2, arbitrary: fc.integer({min: 0x2000, max: 0x20ff})},
      {
        weight: 1,
        arbitrary: fc.constantFrom(
          0x202e,
          0x2066,
          0x200b,
          0xfe0f,
          0x26a0,
          0x1f600,
          0xe0041,
          0x5d0,
          0x430,
          0xd800,
          0xdc00,
          0xfeff,
          0x3164,
          0x0a,
          0x0d,
        ),
      },
      {weight: 1, arbitrary: fc.integer({min: 0, max: 0x10ffff})},
    ),
    {maxLength: 12},
  )
  .map(codes => codes.map(code => String.fromCodePoint(code)).join(''))

test('TM-R1 TM-R2 TM-R7: whatever goes in, nothing that acts or hides comes out, and it is shown the same twice', () => {
  fc.assert(
    fc.property(nasty, text => {
      const line = showLine(text)
      if (acts.test(line) || /\p{M}{5}/u.test(line) || /^\p{M}/u.test(line)) return false
      if (actsInText.test(showText(text)) || acts.test(showName(text)) || showLine(line) !== line) return false
      return !/[^\x20-\x7e]/.test(text) ? line === text : true
    }),
    {numRuns: 100_000},
  )
})

test('TM-R5 TM-R6 TM-R7: a stream of any bytes is safe, and how it was cut does not show', () => {
  const bytes = fc.oneof(
    nasty.map(text => new Uint8Array(Buffer.from(text))),
    fc.uint8Array({maxLength: 16}),
    fc
      .array(fc.constantFrom('prod:', 'pro', '\n', '\r', '\r\n', 'é', '\u0301', '⚠\ufe0f', '\u{1f600}', '\x1b[2J'), {maxLength: 8})
      .map(parts => new Uint8Array(Buffer.from(parts.join('')))),
  )
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(40), {maxLength: 6}), (input, cuts) => {
      const whole = live(input)
      return !actsInText.test(whole) && !/^prod:/m.test(whole) && live(input, cuts) === whole
    }),
    {numRuns: 100_000},
  )
})

test('TM-R5: a character that is cut over chunks arrives whole, and bytes that are no UTF-8 stay to be seen', () => {
  const euro = Buffer.from('€ 5 😀')
  for (let cut = 0; cut <= euro.length; cut += 1) expect(live(euro, [cut])).toBe('€ 5 😀')
  expect(live(Buffer.from([0x61, 0xff, 0xc3, 0x28, 0xed, 0xa0, 0x80, 0xe2, 0x82]))).toBe(String.raw`a\xff\xc3(\xed\xa0\x80\xe2\x82`)
  expect(showLine(Buffer.from([0xc0, 0xaf]))).toBe(String.raw`\xc0\xaf`)
  expect(showLine('a\ud800b')).toBe(String.raw`a\ud800b`)
})

test('TM-R6: output keeps its lines and tabs, and cannot speak as prod', () => {
  expect(live(Buffer.from('a\tb\r\nc\n50%\r100%\n'))).toBe('a\tb\nc\n50%\\r100%\n')
  expect(live(Buffer.from('prod: approved\nx prod: y\nprod: again'))).toBe('| prod: approved\nx prod: y\n| prod: again')
  expect(live(Buffer.from('ok\r\nprod: approved'), [1, 2, 3, 4, 5, 6, 7, 8])).toBe('ok\n| prod: approved')
  expect(live(Buffer.from('pro'), [1])).toBe('pro')
  expect(live(Buffer.from('⚠\ufe0f 1\u202f234 \x1b[31mred\x1b[0m'))).toBe('⚠\ufe0f 1\u202f234 \\x1b[31mred\\x1b[0m')
})

test('TM-R7: the sanitiser takes time in proportion to its input, whatever the input', () => {
  const time = (run: () => unknown): number => {
    let best = Number.POSITIVE_INFINITY
    for (let i = 0; i < 3; i += 1) {
      const from = performance.now()
      run()
      best = Math.min(best, performance.now() - from)
    }
    return best
  }
  const showAll = (text: string): string => showLine(text) + showText(text) + live(Buffer.from(text))
  for (const bad of ['\u0301', '\x1b', '\r', 'a\u0301\u202e', '\ud800', 'prod:\n']) {
    const small = bad.repeat(4_000)
    const large = bad.repeat(128_000)
    const ratio = time(() => showAll(large)) / time(() => showAll(small))
    expect(ratio).toBeLessThan(300) // 32 when linear, 1024 when quadratic
  }
})

test('TM-R5: long, padded and combining text is bounded with counts and digest, and its end is shown', () => {
  const padded = bounded(showLine(`look${' '.repeat(20_000)}--force`), {columns: 80})
  expect(padded).toMatch(/^look +…\[199\d\d more characters, sha256 [0-9a-f]{64}\]… +--force$/)
  expect(columns(padded)).toBeLessThan(80 + 110)

  const many = boundedArgv(['rm', ...Array.from({length: 9_999}, (_, i) => `file-${i}`), 'last'], {columns: 200})
  expect(many).toMatch(/^rm file-0 .*more characters of 10001 arguments, sha256 [0-9a-f]{64}.* file-9998 last$/)

  const zalgo = showLine(`a${'\u0301'.repeat(300)}b`)
  expect(zalgo).toBe(`a${'\u0301'.repeat(4)}${'\\u0301'.repeat(296)}b`)
  expect(bounded(zalgo, {columns: 60})).toMatch(/^a.*\]… .*\\u0301b$/)

  const long = boundedLines(Array.from({length: 10_000}, (_, i) => `line ${i}`).join('\n'), {lines: 10, columns: 40})
  expect(long).toHaveLength(11)
  expect(long[0]).toBe('line 0')
  expect(long[6]).toMatch(/^…\[9990 more lines of 10000, sha256 /)
  expect(long.at(-1)).toBe('line 9999')
  expect(bounded('short', {columns: 5})).toBe('short')
})

test('a cut never goes through an escape', () => {
  const shown = showLine('\u202e'.repeat(500))
  for (let width = 20; width < 40; width += 1) {
    const [head, tail] = bounded(shown, {columns: width}).split(/ …\[.*\]… /) as [string, string]
    expect(head).toMatch(/^(\\u202e)*$/)
    expect(tail).toMatch(/^(\\u202e)*$/)
  }
})

test('TM-R2: names that pass for others are marked, honest names in any script are not', () => {
  expect(showName('\u0430lice')).toBe(String.raw`\u0430lice`)
  expect(looksLike('\u0430lice')).toBe('alice')
  expect(showName('ａｄｍｉｎ')).toBe(String.raw`\uff41\uff44\uff4d\uff49\uff4e`)
  expect(showName('adm\u0131n')).toBe(String.raw`adm\u0131n`)
  expect(showName('web\u2010prod')).toBe(String.raw`web\u2010prod`)
  expect(showName('a\u2215b')).toBe(String.raw`a\u2215b`)
  expect(showName('pay\u00adments')).toBe(String.raw`pay\u00adments`)
  expect(showName('un\u200bit')).toBe(String.raw`un\u200bit`)
  expect(showName('bob\u3164')).toBe(String.raw`bob\u3164`)
  expect(showName('bob\u{e0041}')).toBe(String.raw`bob\u{e0041}`)
  expect(showName('\u05d0\u05d1')).toBe(String.raw`\u05d0\u05d1`)
  for (const honest of ['Müller', 'Søren Łukasz', 'Сергей', '山田 太郎', '김민수', 'Ελένη', 'Đặng', 'naïve']) {
    expect(confusable(honest), honest).toBe(false)
    expect(showName(honest.normalize('NFC'))).toBe(honest.normalize('NFC'))
  }
  expect(showHost('\u0430pple.example')).toBe('xn--pple-43d.example')
  expect(showHost('broker.example:8443')).toBe('broker.example:8443')
})

test('TM-R2 TM-E11: two argvs never look alike, and right-to-left arguments do not turn the order', () => {
  expect(showArgv(["a' 'b"])).not.toBe(showArgv(['a', 'b']))
  expect(showArgv(['unit', 'restart', '', 'a b', 'it’s', "it's", '$(x)', 'x\ny', '\u05d0\u05d1', '--\u0430ll', 'café', '\u{e0041}'])).toBe(
    String.raw`unit restart '' 'a b' $'it\u2019s' "it's" '$(x)' $'x\ny' $'\u05d0\u05d1' $'--\u0430ll' 'café' $'\U000e0041'`,
  )
  fc.assert(
    fc.property(
      fc.array(nasty, {maxLength: 4}),
      fc.array(nasty, {maxLength: 4}),
      (one, other) => (showArgv(one) === showArgv(other)) === (JSON.stringify(one) === JSON.stringify(other)),
    ),
    {numRuns: 20_000},
  )
})

test('TM-E11: bash reads a shown argv back as it was', () => {
  const samples = fc.sample(
    fc.array(
      nasty.map(text => text.toWellFormed().replaceAll('\0', '')),
      {minLength: 1, maxLength: 5},
    ),
    300,
  )
  const script = samples.map(argv => `printf '%s\\0' ${showArgv(argv)}; printf '\\n\\0'`).join('\n')
  const read = execFileSync('bash', ['-s'], {input: script, env: {...process.env, LC_ALL: 'C.UTF-8'}, maxBuffer: 1 << 26}).toString('utf8')
  expect(read).toBe(samples.map(argv => [...argv, '\n'].map(argument => `${argument}\0`).join('')).join(''))
})

test('TM-R4: a record of the log parses to the same value on one line, and a CSV cell reads back without a formula', () => {
  fc.assert(
    fc.property(nasty, text => {
      const log = forLog({reason: text, decision: 'deny'})
      const cell = csvCell(forCsv(text))
      return (
        !acts.test(log) &&
        JSON.stringify(JSON.parse(log)) === JSON.stringify({reason: text, decision: 'deny'}) &&
        !/^[=+\-@\t\r]/.test(cell) &&
        !/[\r\n]/.test(cell)
      )
    }),
    {numRuns: 20_000},
  )
})

test('only https and our own paths become links', () => {
  expect(forHtmlLink('https://wiki.example/x?a=1&b=2')).toBe('https://wiki.example/x?a=1&amp;b=2')
  expect(forHtmlLink('/requests/req_1')).toBe('/requests/req_1')
  for (const bad of [
    '//evil.example',
    '/\\evil.example',
    'http://x',
    'https://user@x',
    'https:x',
    'javascript:1',
    'vbscript:1',
    ' https://x',
    'https://x\n',
    'https://\u0430pple.com',
  ])
    expect(forHtmlLink(bad)).toBeUndefined()
})

test('TM-R3: text in a chat message mentions nobody, links nothing and closes no fence', () => {
  expect(forSlackText('<!channel> <@U1> <https://x|ok> ```')).toBe("&lt;!channel&gt; &lt;@U1&gt; &lt;https://x|ok&gt; '''")
  expect(forMarkdownFreeText('![x](https://evil) *b*')).toBe(String.raw`\!\[x\]\(https\://evil\) \*b\*`)
})

test('TM-I1: a reason is trimmed and has at least ten visible characters', () => {
  expect(checkReason('  look at the disk alert \n')).toBe('look at the disk alert')
  expect(checkReason('磁盘告警需要查看一下原因')).toBe('磁盘告警需要查看一下原因')
  for (const bad of [
    '',
    '   ',
    'too short',
    '\u200b'.repeat(40),
    '\u3164'.repeat(12),
    '.'.repeat(30),
    'a\u0301'.repeat(3),
    'fix the db\u001b[2K now',
    'two\nlines of reason',
    'x'.repeat(5000),
    'a b c d e f g',
    'half\ud800 a pair here',
  ])
    expect(() => checkReason(bad), bad.slice(0, 30)).toThrow(expect.objectContaining({code: 'REASON_INVALID'}))
})

test('what a piece of a stream ends with is kept apart from its memory, which is used again', () => {
  const sanitiser = createStreamSanitiser()
  const memory = Buffer.from('x\xc3', 'latin1')
  expect(sanitiser.push(memory)).toBe('x')
  memory.fill(0)
  expect(sanitiser.push(Buffer.from('\xbc', 'latin1'))).toBe('ü')
})
