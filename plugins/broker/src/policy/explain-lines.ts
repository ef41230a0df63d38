/** `prod policy explain --batch`: questions as JSON lines in, one answer a line out, in order, however many there are. */
import {deny, type ExplainQuestion, explainArgv, type PolicyExplanation} from './explain.ts'
import type {Bundle} from './policy.ts'

const maxLineBytes = 256 * 1024
/** answers are handed on in pieces of about this size */
const chunkCharacters = 64 * 1024

/**
 * Answers every line, a bad or empty one with `deny` and what is wrong with it; line n of the answers is of line n of the input. Yields
 * whole lines, several at a time. Holds one line and what is not yet handed on, no more.
 */
export async function* explainLines(bundle: Bundle, input: AsyncIterable<Uint8Array | string>): AsyncIterable<string> {
  let answers = ''
  for await (const line of linesOf(input)) {
    answers += `${JSON.stringify(answerTo(bundle, line))}\n`
    if (answers.length < chunkCharacters) continue
    yield answers
    answers = ''
  }
  if (answers !== '') yield answers
}

function answerTo(bundle: Bundle, line: Buffer | undefined): PolicyExplanation {
  const asked = line === undefined ? 'the line is too long' : readQuestion(line)
  return typeof asked === 'string' ? deny(asked) : explainArgv(bundle, asked)
}

/** Lines end at `\n` alone, for JSON may hold other line separators. A line that is too long is undefined, and is not kept meanwhile. */
async function* linesOf(input: AsyncIterable<Uint8Array | string>): AsyncIterable<Buffer | undefined> {
  let begun: Buffer[] = []
  let size = 0
  const take = (piece: Buffer): void => {
    size += piece.length
    if (size <= maxLineBytes) begun.push(piece)
    else begun = []
  }
  const end = (): Buffer | undefined => {
    const line = size > maxLineBytes ? undefined : Buffer.concat(begun)
    begun = []
    size = 0
    return line
  }
  for await (const chunk of input) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    let from = 0
    for (let at = bytes.indexOf(10); at !== -1; at = bytes.indexOf(10, from)) {
      take(bytes.subarray(from, at))
      yield end()
      from = at + 1
    }
    if (from < bytes.length) take(Buffer.from(bytes.subarray(from)))
  }
  if (size > 0) yield end()
}

const decoder = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true})

function readQuestion(line: Buffer): ExplainQuestion | string {
  let asked: Partial<ExplainQuestion>
  try {
    asked = JSON.parse(decoder.decode(line))
  } catch {
    return 'the line is not JSON'
  }
  const texts = (value: unknown): value is string[] => Array.isArray(value) && value.every(one => typeof one === 'string')
  if (typeof asked !== 'object' || asked === null) return 'the line is no object'
  const {principal, groups, argv, target, ...unknown} = asked
  const odd = Object.keys(unknown)[0]
  if (odd !== undefined) return `${JSON.stringify(odd)} is not known here`
  if (typeof principal !== 'string' || !texts(groups) || !texts(argv)) return 'principal, groups and argv are needed'
  if (target !== undefined && target !== null && typeof target !== 'string') return 'target is no text'
  return {principal, groups, argv, target: target ?? undefined}
}
