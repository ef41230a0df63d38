/** What git reads in its arguments: revisions, paths in the work tree, formats of commits. */
import {hidden, suchAs, type ValueKinds} from '../kind.ts'

const names = new Set(['oneline', 'short', 'medium', 'full', 'fuller', 'reference', 'email', 'raw'])
// commit, tree, parents, author, committer, refs, text, marks, reflog; then colours, columns and trailers.
// Not among them: %G, which starts a program, and %(describe)
const placeholder =
  /^(?:%|n|x[0-9a-fA-F]{2}|[+ -]?(?:[HhTtPpdDSesfbBNm]|[ac][nNeElLdDrtiIsh]|g[DdnNeEs])|C(?:red|green|blue|reset)|C\([a-z0-9#, ]+\)|w\([0-9, ]*\)|[<>]{1,2}\|?\([ 0-9a-z,]+\)|><\|?\([ 0-9a-z,]+\)|[+ -]?\((?:trailers|decorate)(?::[A-Za-z0-9=,_ -]*)?\))/

/** `git-revision`, `git-path`, `git-format`. */
export const gitKinds: ValueKinds = {
  // a commit, a range, a file of one (`HEAD:a/b`), or a path: nothing absolute and nothing that climbs, so that two of them
  // are never files outside the repository, which `git diff` would compare
  'git-revision': {
    fields: ['pattern', 'maxLength'],
    samples: () => ['HEAD', 'HEAD~1', 'main', 'v1.2.3'],
    cedar: 'String',
    test: value =>
      /^[\p{L}\p{N}_.@^:*?{]/u.test(value) && !/^[^:/]*[=;|&$<>`]/.test(value) && !/^[A-Za-z]+::/.test(value) && staysInside(value),
    describe: spec => `a revision, a range of them, or a path in the repository${suchAs(spec)}`,
    maxLength: 1024,
  },
  // a pathspec, with its signs: `*.ts`, `:!vendor`, `:(icase)readme*`
  'git-path': {
    fields: ['pattern', 'maxLength'],
    samples: () => ['src/app.ts', 'README.md', 'src'],
    cedar: 'String',
    test: (value, _spec, afterDashes) => (afterDashes || !value.startsWith('-')) && staysInside(value),
    describe: spec => `a path in the repository, without \`..\`${suchAs(spec)}`,
    maxLength: 1024,
  },
  'git-format': {
    fields: ['maxLength'],
    samples: () => ['%h %s', '%H'],
    cedar: 'String',
    test: value => value === '' || names.has(value) || (/^t?format:|%/.test(value) && isFormat(value)),
    list: () => [...names, ''],
    describe: () => `oneline, short, medium, full, fuller, reference, email, raw, or a format such as %h %s, without %G`,
    maxLength: 1024,
  },
}

function staysInside(value: string): boolean {
  return (
    !hidden.test(value) &&
    !value.startsWith('/') &&
    value.split('/').every((part, at, all) => part !== '..' && (part !== '' || at === all.length - 1))
  )
}

/** Text and known placeholders, read as git reads them: from one `%` to the next, a doubled one being text. */
function isFormat(value: string): boolean {
  let at = value.indexOf('%')
  while (at >= 0) {
    const [found] = placeholder.exec(value.slice(at + 1)) ?? []
    if (found === undefined) return false
    at = value.indexOf('%', at + 1 + found.length)
  }
  return true
}
