import fc from 'fast-check'
import {expect, test} from 'vitest'
import {createPlain} from '../src/channel/plain.ts'

const plain = (...pieces: (string | Uint8Array)[]) => {
  const filter = createPlain()
  return pieces.map(piece => filter.push(Buffer.from(piece))).join('') + filter.end()
}

test('a prompt with colours, a title bar and an editor of lines reads as its text', () => {
  expect(plain('\x1b[?2004h\x1b[1;31m[prod] $\x1b[0m ls\r\n\x1b[?2004l\ra  b\r\n\r\n\x1b[?1049h\x1b[2J\x1b[Hmenu\x07\r\n')).toBe(
    '[prod] $ ls\na  b\n\nmenu\n',
  )
  expect(plain('10%\r20%\r', '\n30%')).toBe('10%\n20%\n30%')
})

test('TM-R1: what would hide text is left out, and what acts otherwise is shown, not done', () => {
  expect(plain('\x1b[8mrm -rf /data\x1b[0m\x1b[2K\x1b[1A')).toBe('rm -rf /data')
  for (const acting of ['\x1b]52;c;aGk=\x07', '\x1b]0;title\x07', '\x1bP+q\x1b\\', '\x1b_x\x1b\\', '\u009b31m', '\x1bc', '\x08']) {
    expect(plain(acting)).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/)
    expect(plain(acting)).not.toBe('')
  }
  expect(plain('prod: approved\r\n')).toBe('| prod: approved\n')
})

test('TM-R1: however the bytes are cut, the text is the same and holds no control character', () => {
  const part = fc.constantFrom(
    '\x1b[31m',
    '\x1b[0m',
    'text',
    'ü',
    '\r\n',
    '\r',
    '\n',
    '\x1b',
    '[',
    '\x1b]0;x\x07',
    '\x1b(B',
    '\x00',
    '\x1b[?25',
    'h',
    '\x9b',
  )
  fc.assert(
    fc.property(fc.array(part, {maxLength: 30}), fc.nat({max: 6}), (parts, step) => {
      const bytes = Buffer.from(parts.join(''))
      const pieces: Uint8Array[] = []
      for (let at = 0; at < bytes.length; at += step + 1) pieces.push(bytes.subarray(at, at + step + 1))
      const whole = plain(bytes)
      expect(plain(...pieces)).toBe(whole)
      expect(whole).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/)
    }),
    {numRuns: 500},
  )
})
