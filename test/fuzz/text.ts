/**
 * Fuzzes the sanitiser for as long as it takes: `node --conditions=source test/fuzz/text.ts [COUNT]`, ten million inputs if not said
 * (some minutes). Ends with 1 and the input in hex at the first one that breaks the rule.
 */
import {createStreamSanitiser, showLine} from '@prod/sdk/text'

const count = Number(process.argv[2] ?? 10_000_000)
const acts = /[[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\u2800\u3164]--[\n\t]]/v
const seeds = ['\x1b[', '\r', '\n', 'prod:', '\u202e', '\u0301', '⚠\ufe0f', '\u{1f600}', '\u{e0041}', '\ufeff', 'a', ' ', '\x9b'].map(
  text => Buffer.from(text),
)

let state = 0x9e3779b9
/** xorshift32: the same inputs in every run */
function random(below: number): number {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return (state >>> 0) % below
}

function makeInput(): Buffer {
  const parts: Buffer[] = []
  for (let left = random(6); left > 0; left -= 1)
    parts.push(random(2) ? (seeds[random(seeds.length)] as Buffer) : Buffer.from([random(256), random(256)]))
  return Buffer.concat(parts)
}

function live(bytes: Buffer, cut: number): string {
  const sanitiser = createStreamSanitiser()
  return sanitiser.push(bytes.subarray(0, cut)) + sanitiser.push(bytes.subarray(cut)) + sanitiser.end()
}

for (let i = 0; i < count; i += 1) {
  const input = makeInput()
  const whole = live(input, input.length)
  const line = showLine(input)
  if (
    acts.test(whole) ||
    acts.test(line) ||
    line.includes('\n') ||
    /^prod:/m.test(whole) ||
    live(input, random(input.length + 1)) !== whole
  ) {
    process.stderr.write(`broken by ${input.toString('hex')}\n`)
    process.exit(1)
  }
}
process.stdout.write(`${count} inputs, the rule held\n`)
