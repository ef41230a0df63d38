/** Texts: free ones, names, and those that the definition spells out. */
import type {Leading, ValueSpec} from '../grammar.ts'
import {hidden, isWord, suchAs, type ValueKinds} from '../kind.ts'

const beginnings: Record<Leading, RegExp> = {
  '-': /^-/,
  '+': /^\+/,
  '@': /^@/,
  '|': /^\|/,
  '!': /^!/,
  scheme: /^(?:[A-Za-z][A-Za-z0-9+.-]*:[/:]|[A-Za-z]:\\|file(?:b)?:)/,
}
/** Every name of {@link Leading}. */
export const leadings = Object.keys(beginnings) as Leading[]

/** `string`, `text`, `glob`, `name`, `enum`, `literal`, `unit-name`. */
export const textKinds: ValueKinds = {
  string: {
    fields: ['pattern', 'maxLength', 'leading'],
    cedar: 'String',
    test: (value, spec, afterDashes) => !hidden.test(value) && begins(value, spec, afterDashes),
    describe: spec => `a text of up to ${spec.maxLength ?? 256} characters${suchAs(spec)}`,
    samples: () => ['text', 'two words', '50% of it', "it's", '*', '$HOME', 'naïve é 日本語', '-x', '+x', '@x'],
    findFault: findLeadingFault,
  },
  // free text, byte for byte: tabs, any script, shell syntax; newlines where `lines` says so
  text: {
    fields: ['pattern', 'maxLength', 'leading', 'lines'],
    cedar: 'String',
    test: (value, spec, afterDashes) => (spec.lines || !value.includes('\n')) && begins(value, spec, afterDashes),
    describe: spec => `any text of up to ${spec.maxLength ?? 4096} characters${spec.lines ? '' : ', one line'}${suchAs(spec)}`,
    samples: () => ['error', 'two words', '$(reboot)', '; rm -rf / #', 'a b  c\t\'"\\', '~root/$HOME', '-x', '@/etc/shadow', 'a\nb'],
    findFault: findLeadingFault,
    maxLength: 4096,
  },
  // what fnmatch(3) reads, for one name: no `/`, so that it reaches no other directory
  glob: {
    fields: ['pattern', 'maxLength', 'leading'],
    cedar: 'String',
    test: (value, spec, afterDashes) =>
      !hidden.test(value) && !value.includes('/') && value !== '.' && value !== '..' && begins(value, spec, afterDashes),
    describe: spec => `a name, or a pattern of names with * ? [ ], without \`/\`${suchAs(spec)}`,
    samples: () => ['*.log', 'app.log', '[ab]?.gz', '*'],
    findFault: findLeadingFault,
  },
  name: {
    fields: ['pattern', 'maxLength'],
    cedar: 'String',
    test: value => /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(value),
    describe: spec => `a name of letters, digits, \`.\`, \`_\` and \`-\`${suchAs(spec)}`,
    samples: () => ['web', 'web-1', 'A_b.c-2'],
  },
  enum: {
    fields: ['values'],
    cedar: 'String',
    test: (value, spec) => spec.values?.includes(value) === true,
    describe: spec => `one of ${(spec.values ?? []).map(value => (value === '' ? "''" : value)).join(', ')}`,
    findFault: spec =>
      spec.values && spec.values.length > 0 && new Set(spec.values).size === spec.values.length && spec.values.every(isWord)
        ? undefined
        : 'an enum has `values`, each once and each a plain text',
    list: spec => spec.values ?? [],
    ownDash: true,
  },
  literal: {
    fields: ['value'],
    cedar: 'String',
    test: (value, spec) => value === spec.value,
    describe: spec => `exactly ${spec.value ?? ''}`,
    findFault: spec => (spec.value !== undefined && isWord(spec.value) ? undefined : 'a literal has a `value`, a plain text'),
    list: spec => (spec.value === undefined ? [] : [spec.value]),
    ownDash: true,
  },
  // systemd.unit(5): one whole name, no glob
  'unit-name': {
    fields: ['pattern', 'maxLength'],
    cedar: 'String',
    test: value => /^[A-Za-z0-9_][A-Za-z0-9:_.@\\-]*$/.test(value),
    describe: spec => `the name of a unit, such as nginx or nginx.service${suchAs(spec)}`,
    samples: () => ['nginx', 'nginx.service', 'getty@tty1.service'],
  },
}

/** May a free text begin like this? `--` alone is one only after `--`. Pure. */
export function begins(value: string, spec: ValueSpec, afterDashes: boolean): boolean {
  if (value === '--' && !afterDashes) return false
  return leadings.every(leading => spec.leading?.includes(leading) || (afterDashes && leading === '-') || !beginnings[leading].test(value))
}

/** A fault in a definition's `leading`. Pure. */
export function findLeadingFault(spec: ValueSpec): string | undefined {
  return spec.leading && new Set(spec.leading).size !== spec.leading.length ? '`leading` names each beginning once' : undefined
}
