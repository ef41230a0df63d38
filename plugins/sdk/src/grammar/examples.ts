/** Examples of a definition: each must be what its command allows. */

import {ProdError} from '../errors.ts'
import type {FindGrammar, Grammar} from './grammar.ts'
import {checkArgv, parse} from './parse.ts'
import type {GrammarFault} from './shape.ts'

/** The words of an example: at blanks, `'…'` and `"…"` kept together, nothing else is special. Undefined where a quote is open. Pure. */
export function splitExample(text: string): string[] | undefined {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (const sign of text) {
    if (quote !== '') {
      if (sign === quote) quote = ''
      else word += sign
    } else if (sign === "'" || sign === '"') {
      quote = sign
      word ??= ''
    } else if (sign !== ' ') word = (word ?? '') + sign
    else if (word !== undefined) {
      words.push(word)
      word = undefined
    }
  }
  if (word !== undefined) words.push(word)
  return quote === '' ? words : undefined
}

/** Every example that its command would refuse, or that another command takes. `tools`: for commands behind another. Pure. */
export function findExampleFaults(grammar: Grammar, tools?: FindGrammar): GrammarFault[] {
  return grammar.commands.flatMap((command, index) =>
    (command.examples ?? []).flatMap((example, at): GrammarFault[] => {
      const message = faultOf(grammar, index, example, tools)
      return message === undefined ? [] : [{path: ['commands', index, 'examples', at], message}]
    }),
  )
}

function faultOf(grammar: Grammar, index: number, example: string, tools: FindGrammar | undefined): string | undefined {
  const argv = splitExample(example)
  if (!argv) return 'a quote is not closed'
  try {
    checkArgv(argv)
  } catch (error) {
    if (error instanceof ProdError) return error.message
    throw error
  }
  const parsed = parse(grammar, argv, tools)
  if (!parsed.ok) return `argument ${parsed.refusal.position}: ${parsed.refusal.message}`
  return parsed.structure.command === index ? undefined : `is read as commands[${parsed.structure.command}]`
}
