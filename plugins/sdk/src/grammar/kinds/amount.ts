/** Numbers and what is counted: integers, durations, sizes, ports. */
import {findDurationSeconds} from '../duration.ts'
import type {ValueSpec} from '../grammar.ts'
import type {ValueKinds} from '../kind.ts'

const sizeUnits: Readonly<Record<string, number>> = {'': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4}

/** `integer`, `duration`, `size`, `ports`. */
export const amountKinds: ValueKinds = {
  integer: {
    fields: ['min', 'max'],
    cedar: 'Long',
    test: (value, {min = 0, max = Number.MAX_SAFE_INTEGER}) => {
      if (!/^(?:0|-?[1-9][0-9]{0,15})$/.test(value)) return false
      const number = Number(value)
      return Number.isSafeInteger(number) && number >= min && number <= max
    },
    describe: ({min = 0, max}) => (max === undefined ? `an integer from ${min}` : `an integer from ${min} to ${max}`),
    cedarValue: Number,
    samples: ({min = 0, max = 100}) => [String(Math.max(min, Math.min(10, max))), String(min), String(max)],
    findFault: ({min = 0, max = Number.MAX_SAFE_INTEGER}) =>
      Number.isSafeInteger(min) && Number.isSafeInteger(max) && min <= max
        ? undefined
        : '`min` and `max` are integers, and `min` is the smaller',
    ownDash: true,
  },
  duration: {
    fields: ['min', 'max'],
    cedar: 'Long',
    test: (value, {min = 0, max = Number.MAX_SAFE_INTEGER}) => {
      const seconds = findDurationSeconds(value)
      return seconds !== undefined && seconds >= min && seconds <= max
    },
    describe: ({min, max}) =>
      `a duration such as 90s, 10m, 1h30m or 2d${min === undefined ? '' : `, at least ${min}s`}${max === undefined ? '' : `, at most ${max}s`}`,
    cedarValue: value => findDurationSeconds(value) ?? 0,
    samples: ({min = 1}) => ['10m', '30s', '1h30m', '2d', `${min}s`],
    findFault: spec => findBoundsFault(spec, 'seconds'),
  },
  // tools disagree on whether K is 1000 or 1024: bounds count the larger
  size: {
    fields: ['min', 'max'],
    cedar: 'Long',
    test: (value, {min = 0, max = Number.MAX_SAFE_INTEGER}) => {
      const bytes = findBytes(value)
      return bytes !== undefined && bytes >= min && bytes <= max
    },
    describe: ({min, max}) =>
      `a size such as 512, 64K, 10M or 1GiB${min === undefined ? '' : `, at least ${min} bytes`}${max === undefined ? '' : `, at most ${max} bytes`}`,
    cedarValue: value => findBytes(value) ?? 0,
    samples: ({min = 1}) => ['10M', '512', '64K', '1GiB', String(min)],
    findFault: spec => findBoundsFault(spec, 'bytes'),
  },
  ports: {
    fields: ['max'],
    cedar: 'Set<String>',
    test: (value, {max = 100}) => {
      const count = countPorts(value)
      return count !== undefined && count <= max
    },
    describe: ({max = 100}) => (max === 1 ? 'a port from 1 to 65535' : `ports and ranges of ports, 22,80,8000-8010, at most ${max} in all`),
    cedarValue: value => value.split(','),
    samples: () => ['443', '22,80', '8000-8010', '22,80-89,443'],
    findFault: ({max = 100}) => (max >= 1 && max <= 65_535 ? undefined : '`max` is how many ports one value may name'),
    maxLength: 1024,
  },
}

function findBoundsFault({min = 0, max = Number.MAX_SAFE_INTEGER}: ValueSpec, unit: string): string | undefined {
  return min >= 0 && min <= max ? undefined : `\`min\` and \`max\` are ${unit}, and \`min\` is the smaller`
}

function findBytes(value: string): number | undefined {
  const [, count, unit = ''] = /^(0|[1-9][0-9]{0,14})(?:([kKMGT])(?:i?B)?|B)?$/.exec(value) ?? []
  const bytes = Number(count) * (sizeUnits[unit.toUpperCase()] ?? Number.NaN)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** How many ports, one named twice counted twice; undefined when it is no list of ports. */
function countPorts(value: string): number | undefined {
  let count = 0
  for (const item of value.split(',')) {
    const [, from, to = from] = /^([1-9][0-9]{0,4})(?:-([1-9][0-9]{0,4}))?$/.exec(item) ?? []
    if (from === undefined || Number(to) > 65_535 || Number(from) > Number(to)) return undefined
    count += Number(to) - Number(from) + 1
  }
  return count
}
