/** Templates as Go programs read them, narrowed to named fields: what docker, podman and others take for `--format`. */
import type {ValueKinds} from '../kind.ts'

/** `go-template`. */
export const templateKinds: ValueKinds = {
  // text around actions that print, test or walk through what `values` names and all below it; a word without any, such as
  // `json`, is no template: to docker it stands for the whole record
  'go-template': {
    fields: ['values', 'maxLength'],
    samples: ({values = []}) => values.map(field => `{{${field}}}`),
    cedar: 'String',
    test: (value, {values = []}) => {
      const [before = '', ...pieces] = value.split('{{')
      return (
        pieces.length > 0 &&
        !before.includes('}}') &&
        pieces.every(piece => {
          // a text inside an action holds no braces, so the first `}}` ends it
          const [action = '', ...rest] = piece.split('}}')
          return rest.length === 1 && isAction(action, values)
        })
      )
    },
    describe: ({values = []}) => `a template such as {{${values[0] ?? ''}}}, of the fields ${values.join(', ')}`,
    findFault: ({values}) =>
      values && values.length > 0 && values.every(field => /^(?:\.[A-Za-z][A-Za-z0-9_]*)+$/.test(field))
        ? undefined
        : 'a go-template has `values`: fields such as .State.Status',
    maxLength: 1024,
  },
}

function isAction(action: string, fields: readonly string[]): boolean {
  const inner = action.replace(/^- /, '').replace(/ -$/, '').trim()
  if (inner === 'end' || inner === 'else') return true
  const [, rest = ''] =
    /^(?:(?:json|print|println|lower|upper|title|len|if|else if|with|range(?: \$[a-z]\w*(?:, ?\$[a-z]\w*)? ?:=)?) +)?(.+)$/.exec(inner) ??
    []
  return isValue(rest, fields)
}

/** `.State.Status`, `$port`, `index .NetworkSettings.Ports "80/tcp" 0`, `(index $networks "web").IPAddress`. */
function isValue(text: string, fields: readonly string[]): boolean {
  let rest = text
  // from the outside in: each index ends with its keys, each bracket with the field behind it
  for (;;) {
    const [, indexed] = /^index +(.+?)(?: +(?:"[\w./:-]+"|[0-9]{1,4}))+$/.exec(rest) ?? []
    const [, bracketed] = indexed === undefined ? (/^\((index .+)\)(?:\.[A-Za-z]\w*)*$/.exec(rest) ?? []) : []
    const inner = indexed ?? bracketed
    if (inner === undefined) break
    rest = inner
  }
  if (/^\$[a-z]\w*(?:\.[A-Za-z]\w*)*$/.test(rest)) return true
  return /^(?:\.[A-Za-z]\w*)+$/.test(rest) && fields.some(field => rest === field || rest.startsWith(`${field}.`))
}
