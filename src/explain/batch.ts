/** `prod explain --batch`: JSON lines in, JSON lines out. */
import {explain} from '@prod/sdk/explain/explain'
import {maxTextLength} from '@prod/sdk/explain/message'
import type {Explainer} from '@prod/sdk/explainer'

/** JSON may write a character as six. */
const longestLine = 6 * maxTextLength + 65_536

/**
 * Answers lines of `{"text"}` or `{"id", "text"}`: for each, in order, a line with the explanation, its `id` first where one was given; for a
 * line that is none, `{"error"}`. Answers come as texts of whole lines, in ASCII.
 */
export async function* explainLines(explainers: readonly Explainer[], chunks: AsyncIterable<Uint8Array | string>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let pieces: string[] = []
  let length = 0
  const answer = (line: string): string => (line.trim() === '' ? '' : `${ascii(answerOf(line, explainers))}\n`)
  for await (const chunk of chunks) {
    const text = typeof chunk === 'string' ? chunk : decoder.decode(chunk, {stream: true})
    const lines = text.split('\n')
    const rest = lines.pop() as string
    const [first, ...whole] = lines
    if (first !== undefined) {
      const answers = [pieces.join('') + first, ...whole].map(answer).join('')
      pieces = []
      length = 0
      if (answers !== '') yield answers
    }
    // what is too long is cut, then is no JSON, and is answered as such
    if (length <= longestLine) pieces.push(rest)
    length += rest.length
  }
  const last = answer(pieces.join(''))
  if (last !== '') yield last
}

function answerOf(line: string, explainers: readonly Explainer[]): object {
  let given: unknown
  try {
    given = JSON.parse(line)
  } catch {
    return {error: 'this line is no JSON'}
  }
  if (typeof given !== 'object' || given === null) return {error: 'this line is no object with a text'}
  const {id, text} = given as {id?: unknown; text?: unknown}
  const named = typeof id === 'string' || typeof id === 'number' ? {id} : {}
  if (typeof text !== 'string') return {...named, error: 'this line has no text'}
  return {...named, ...explain(text, explainers)}
}

/** One line of JSON in which nothing acts on a terminal. */
function ascii(value: object): string {
  return JSON.stringify(value).replace(/[\u007f-\uffff]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
