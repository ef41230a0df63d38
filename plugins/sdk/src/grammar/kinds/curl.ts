/** What curl reads in the format of its `--write-out`. */
import type {ValueKinds} from '../kind.ts'

/** `curl-format`. */
export const curlKinds: ValueKinds = {
  // a literal one: `@` would read it from a file, `%output{}` would write one
  'curl-format': {
    fields: ['maxLength'],
    samples: () => ['%{http_code}', '%{http_code} %{time_total}\\n'],
    cedar: 'String',
    test: value => !value.startsWith('@') && isFormat(value),
    describe: () => 'a format such as %{http_code}\\n, with %{…} and %header{…} alone',
    maxLength: 2048,
  },
}

/** Read as curl reads it: from one `%` to the next, a doubled one being text; `%` before a sign that means nothing stands for itself. */
function isFormat(value: string): boolean {
  let at = value.indexOf('%')
  while (at >= 0 && at < value.length - 1) {
    const [found] = /^(?:%|\{[a-z0-9_.]+\}|header\{[A-Za-z0-9-]+\}|[^%{A-Za-z])/.exec(value.slice(at + 1)) ?? []
    if (found === undefined) return false
    at = value.indexOf('%', at + 1 + found.length)
  }
  return true
}
