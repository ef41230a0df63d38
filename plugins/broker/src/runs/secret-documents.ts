/** Takes the values of Kubernetes Secrets out of a stream of YAML documents, such as the manifest of a release. */
import {type Mask, mark} from './mask.ts'

/**
 * What stands below `data:` and `stringData:` of a document, or of an item of a list, goes where its `kind` is Secret or has
 * not been said yet. Wants whole lines; a line that is longer than what the step before it holds comes in pieces, and its
 * beginning decides for all of them.
 */
export function maskSecretDocuments(masked: () => void): Mask {
  /** the document, and the items of lists that it is inside of, with the indent of their own fields */
  let stack: {base: number; versioned: boolean; kind: string}[] = [{base: 0, versioned: false, kind: ''}]
  /** below `data:` of a Secret */
  let inside = false
  /** of the line that goes on in the next piece */
  let going: 'no' | 'out' | 'away' = 'no'

  /** What stands in place of a line; undefined: the line itself. */
  const judge = (line: string): string | undefined => {
    if (line.trim() === '') return undefined
    if (/^---(?:\s|$)/.test(line)) {
      stack = []
      inside = false
    }
    const indent = indentOf(line)
    const outer = stack.at(-1)
    if (inside && outer && indent > outer.base) return `${/^ +["']?[\w.-]+["']?:/.exec(line)?.[0] ?? ' '.repeat(indent - 1)} ${mark}`
    inside = false
    while (stack.length > 1 && indent < (stack.at(-1)?.base ?? 0)) stack.pop()
    const item = /^ *- +(?=["']?(?:apiVersion|kind|data|stringData)["']?:)/.exec(line)?.[0].length ?? 0
    if (item > 0 || stack.length === 0) stack.push({base: item, versioned: false, kind: ''})
    const own = ' '.repeat(item) + line.slice(item)
    const here = stack.at(-1)
    const [, name, value = ''] = /^ *["']?(apiVersion|kind|data|stringData)["']?:(.*)$/.exec(own) ?? []
    if (!here || indentOf(own) !== here.base) return undefined
    if (name === 'apiVersion') here.versioned = true
    if (name === 'kind') here.kind = value.replace(/\s#.*/, '').replace(/["']/g, '').trim()
    if ((name === 'data' || name === 'stringData') && (here.kind === 'Secret' || (here.kind === '' && here.versioned))) {
      inside = true
      if (!/^\s*(?:#.*)?$/.test(value)) return `${line.slice(0, line.length - value.length)} ${mark}`
    }
    return undefined
  }

  return {
    push: text => {
      if (text === '') return ''
      let out = ''
      for (const piece of text.split(/(?<=\n)/)) {
        const ends = piece.endsWith('\n')
        if (going === 'no') {
          const line = ends ? piece.slice(0, -1) : piece
          const judged = judge(line)
          out += judged ?? line
          going = judged === undefined ? 'out' : 'away'
          if (judged !== undefined) masked()
        } else if (going === 'out') out += ends ? piece.slice(0, -1) : piece
        if (ends) {
          out += '\n'
          going = 'no'
        }
      }
      return out
    },
    end: () => '',
  }
}

function indentOf(line: string): number {
  return line.length - line.trimStart().length
}
