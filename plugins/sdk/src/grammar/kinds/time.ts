/**
 * Points in time as systemd, util-linux, docker and kubectl read them. What can be judged without a clock is judged: how far
 * two of them lie apart at most ({@link mostBetween}). The text reaches the tool as it was typed.
 */
import type {ValueSpec} from '../grammar.ts'
import {orList, type ValueKinds} from '../kind.ts'

/**
 * Where a time lies: `offset` seconds from a fixed zero, from now, or from the last midnight. Ranges that a unit leaves open
 * (a month) are counted at their longest.
 */
export interface TimePoint {
  from: 'zero' | 'now' | 'midnight'
  offset: number
}

const day = 86_400
const units: Readonly<Record<string, number>> = {
  ...Object.fromEntries(['s', 'sec', 'secs', 'second', 'seconds'].map(unit => [unit, 1])),
  ...Object.fromEntries(['m', 'min', 'mins', 'minute', 'minutes'].map(unit => [unit, 60])),
  ...Object.fromEntries(['h', 'hr', 'hour', 'hours'].map(unit => [unit, 3600])),
  ...Object.fromEntries(['d', 'day', 'days'].map(unit => [unit, day])),
  ...Object.fromEntries(['w', 'week', 'weeks'].map(unit => [unit, 7 * day])),
  ...Object.fromEntries(['month', 'months'].map(unit => [unit, 31 * day])),
  ...Object.fromEntries(['year', 'years'].map(unit => [unit, 366 * day])),
}
const amount = '[0-9]{1,6} ?[a-z]{1,7}(?: ?[0-9]{1,6} ?[a-z]{1,7}){0,3}'

/** Each form by its name: what it looks like, and how it is read. */
const forms: Readonly<Record<string, {like: string; read(value: string): TimePoint | undefined}>> = {
  moment: {
    like: '2026-11-22 03:00:00',
    read: value => {
      const [, date, time] = /^([0-9-]{10}) ([0-9:.]{5,15})(?: UTC)?$/.exec(value) ?? []
      return zero(readDate(date), readClock(time))
    },
  },
  date: {like: '2026-11-22', read: value => zero(readDate(value), 0)},
  rfc3339: {
    like: '2026-11-22T03:00:00Z',
    read: value => {
      const [, date, time, sign, hours, minutes] =
        /^([0-9-]{10})T([0-9:.]{8,18})(?:Z|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))$/.exec(value) ?? []
      const shift = sign === undefined ? 0 : (Number(hours) * 3600 + Number(minutes) * 60) * (sign === '-' ? 1 : -1)
      return zero(readDate(date), readClock(time), shift)
    },
  },
  epoch: {
    like: '@1767225600',
    read: value => (/^@(?:0|[1-9][0-9]{0,10})$/.test(value) ? {from: 'zero', offset: Number(value.slice(1))} : undefined),
  },
  clock: {
    like: '03:00',
    read: value => {
      const seconds = readClock(value)
      return seconds === undefined ? undefined : {from: 'midnight', offset: seconds}
    },
  },
  word: {
    like: 'today or yesterday',
    read: value => {
      const found = ({today: 0, yesterday: -day, tomorrow: day} as Record<string, number>)[value]
      return value === 'now' ? {from: 'now', offset: 0} : found === undefined ? undefined : {from: 'midnight', offset: found}
    },
  },
  offset: {
    like: '-1h',
    read: value => {
      const seconds = /^[+-]/.test(value) ? readAmount(value.slice(1)) : undefined
      return seconds === undefined ? undefined : {from: 'now', offset: value.startsWith('-') ? -seconds : seconds}
    },
  },
  ago: {
    like: '1 hour ago',
    read: value => {
      const seconds = value.endsWith(' ago') ? readAmount(value.slice(0, -4)) : undefined
      return seconds === undefined ? undefined : {from: 'now', offset: -seconds}
    },
  },
  // how long ago, as in `kubectl logs --since=10m`
  duration: {
    like: '10m',
    read: value => {
      const seconds = /^(?:[0-9]{1,6}[a-z])+$/.test(value) ? readAmount(value) : undefined
      return seconds === undefined ? undefined : {from: 'now', offset: -seconds}
    },
  },
}
/** The forms that a definition may name. */
export const timeForms = Object.keys(forms)
const usual = timeForms.filter(form => form !== 'duration' && form !== 'epoch')

/** `time`. */
export const timeKinds: ValueKinds = {
  time: {
    fields: ['forms'],
    cedar: 'String',
    test: (value, spec) => findTimePoint(value, spec) !== undefined,
    describe: spec => `a time such as ${orList((spec.forms ?? usual).map(form => forms[form]?.like ?? form))}`,
    samples: spec => (spec.forms ?? usual).map(form => forms[form]?.like.split(' or ')[0] ?? form),
    findFault: spec =>
      spec.forms && (spec.forms.length === 0 || spec.forms.some(form => !Object.hasOwn(forms, form)))
        ? `\`forms\` are of ${timeForms.join(', ')}`
        : undefined,
  },
}

/** What a text of a `time` means; undefined when it is none of the forms. Pure. */
export function findTimePoint(value: string, spec: ValueSpec): TimePoint | undefined {
  if (value.length > 64) return undefined
  for (const form of spec.forms ?? usual) {
    const point = forms[form]?.read(value)
    if (point) return point
  }
  return undefined
}

/** The most seconds that can lie between two times whenever it is asked; undefined when only a clock could say. Pure. */
export function mostBetween(from: TimePoint, to: TimePoint): number | undefined {
  const apart = to.offset - from.offset
  if (from.from === to.from) return apart
  // now lies up to a day after midnight
  if (from.from === 'midnight' && to.from === 'now') return apart + day
  return from.from === 'now' && to.from === 'midnight' ? apart : undefined
}

function zero(...parts: (number | undefined)[]): TimePoint | undefined {
  return parts.includes(undefined) ? undefined : {from: 'zero', offset: (parts as number[]).reduce((sum, part) => sum + part, 0)}
}

/** Seconds from 1970 to the day's beginning. */
function readDate(text = ''): number | undefined {
  const [, year, month, date] = /^((?:19|20)[0-9]{2})-([0-9]{2})-([0-9]{2})$/.exec(text) ?? []
  const time = Date.UTC(Number(year), Number(month) - 1, Number(date))
  return new Date(time).toJSON()?.startsWith(text) && text !== '' ? time / 1000 : undefined
}

function readClock(text = ''): number | undefined {
  const [, hours, minutes, seconds = '0'] = /^([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9])(?:\.[0-9]{1,9})?)?$/.exec(text) ?? []
  return hours === undefined ? undefined : Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)
}

function readAmount(text: string): number | undefined {
  if (!new RegExp(`^${amount}$`).test(text)) return undefined
  let seconds = 0
  for (const [, count, unit] of text.matchAll(/([0-9]+) ?([a-z]+)/g)) seconds += Number(count) * (units[unit as string] ?? Number.NaN)
  return Number.isSafeInteger(seconds) ? seconds : undefined
}
