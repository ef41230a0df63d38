import type {Structure} from './grammar.ts'

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

/** What the program is started with: argv and what the grammar adds, right after the tool's name and right after the path. */
export function addArguments(structure: Structure, adds: readonly string[] = [], first: readonly string[] = []): string[] {
  const [tool = '', ...words] = print(structure)
  const last = structure.parts.findLastIndex(part => part.kind === 'path')
  const before = print({...structure, parts: structure.parts.slice(0, last + 1)}).length
  return [tool, ...first, ...words.slice(0, before - 1), ...adds, ...words.slice(before - 1)]
}
