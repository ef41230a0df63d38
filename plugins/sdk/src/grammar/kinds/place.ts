/** Places on disk: absolute paths below directories, and relative ones. */
import {hidden, orList, suchAs, type ValueKinds} from '../kind.ts'

/** `path`, `relative-path`. */
export const placeKinds: ValueKinds = {
  // the textual part; the broker resolves it without symlinks before the run (TM-H14; `pathOperands`)
  path: {
    fields: ['pattern', 'below', 'slash', 'maxLength'],
    cedar: 'String',
    test: (value, spec) => {
      const path = spec.slash && value.length > 1 && value.endsWith('/') ? value.slice(0, -1) : value
      return isPath(path) && isBelow(path, spec.below)
    },
    describe: spec =>
      `an absolute path${spec.below ? ` below ${orList(spec.below)}` : ''}, without \`..\` or doubled slashes${suchAs(spec)}`,
    samples: ({below = []}) => below.flatMap(directory => [`${directory}/app.log`, directory, `${directory}/a b/x-1.gz`]),
    findFault: spec => {
      if (!spec.below || spec.below.length === 0) return 'a path has `below`: the directories it must lie in'
      const bad = spec.below.find(directory => !isPath(directory) || /^\/(?:proc|sys|dev)(?:\/|$)/.test(directory))
      return bad === undefined
        ? undefined
        : `\`below\` names absolute directories outside /proc, /sys and /dev, without a slash at the end: not ${bad}`
    },
    maxLength: 4096,
  },
  'relative-path': {
    fields: ['pattern', 'maxLength'],
    cedar: 'String',
    test: value => !/^[-+@|!~:]/.test(value) && isPath(`/${value}`),
    describe: spec => `a relative path, without \`..\`${suchAs(spec)}`,
    samples: () => ['src/app.ts', 'README.md'],
  },
}

/** Absolute and normalised, nothing in it that hides. Pure. */
export function isPath(value: string): boolean {
  return (
    value.startsWith('/') &&
    value.length > 1 &&
    !hidden.test(value) &&
    value
      .slice(1)
      .split('/')
      .every(part => part !== '' && part !== '.' && part !== '..')
  )
}

/** Is it one of the directories, or in one? No directories: anywhere. Pure. */
export function isBelow(path: string, directories: readonly string[] | undefined): boolean {
  return (
    directories === undefined || directories.some(directory => directory === '/' || path === directory || path.startsWith(`${directory}/`))
  )
}
