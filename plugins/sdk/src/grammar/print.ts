import type {Part, Structure} from './grammar.ts'

/** The argv that a structure came from, the same to the byte. Pure. */
export function print(structure: Structure): string[] {
  const words = [structure.tool]
  for (const part of structure.parts) {
    switch (part.kind) {
      case 'path':
        words.push(part.text)
        break
      case 'dashes':
        words.push('--')
        break
      case 'command':
        if (structure.inner) words.push(...print(structure.inner))
        break
      case 'operand':
      case 'value':
        words.push(part.value)
        break
      case 'option': {
        const {spelling, value, attach} = part
        const head = part.bundled ? words.pop() + spelling.slice(1) : spelling
        if (attach === 'separate') words.push(head, value ?? '')
        else words.push(attach === 'none' ? head : attach === 'attached' ? head + value : `${head}=${value}`)
      }
    }
  }
  return words
}

/**
 * What the program is started with: argv and what the grammar adds, right after the tool's name and right after the path. An
 * option that was typed as the very word that is added stands there once: terraform takes no second `-chdir=`.
 */
export function addArguments(structure: Structure, adds: readonly string[] = [], first: readonly string[] = []): string[] {
  const [tool = '', ...words] = print(structure)
  const last = structure.parts.findLastIndex(part => part.kind === 'path')
  const before = print({...structure, parts: structure.parts.slice(0, last + 1)}).length
  const typed = new Set(structure.parts.map(wordOf))
  const missing = (added: readonly string[]): string[] => added.filter(word => !typed.has(word))
  return [tool, ...missing(first), ...words.slice(0, before - 1), ...missing(adds), ...words.slice(before - 1)]
}

/** The word of an option that is one word, with or without its value. */
function wordOf(part: Part): string | undefined {
  if (part.kind !== 'option' || part.bundled || part.attach === 'separate') return undefined
  return part.attach === 'none' ? part.spelling : part.attach === 'attached' ? part.spelling + part.value : `${part.spelling}=${part.value}`
}
