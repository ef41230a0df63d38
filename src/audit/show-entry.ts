import {paint} from '@prod/sdk/cli/output'
import type {OpenedEntry} from '@prod/sdk/log/envelope'
import {bounded, boundedArgv, showLine, showName} from '@prod/sdk/text'

const valueColumns = 120
const argvColumns = 240
/** SHA-256 in hex: its start is enough to look for it; `--json` has all of it */
const digest = /^[0-9a-f]{64}$/

/** One entry as one line: time, type, who, what about, then its words. All text from elsewhere is inert. Pure. */
export function showEntry({index, time, type, by, subject, data = {}, personal}: OpenedEntry): string {
  const {name, ...rest} = personal
  const who = by === undefined ? '(erased)' : showName(by)
  const also = typeof name === 'string' && name !== by ? [`name=${showValue('name', name)}`] : []
  const words = [
    ...also,
    ...Object.entries({...rest, ...data})
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([key, value]) => `${showLine(key)}=${showValue(key, value)}`),
  ]
  return [
    paint('dim', String(index).padStart(6)),
    time.slice(0, 19).replace('T', ' '),
    paint('bold', showLine(type)),
    who,
    showName(subject),
    ...words,
  ].join('  ')
}

function showValue(key: string, value: unknown): string {
  if (key === 'argv' && Array.isArray(value) && value.every(one => typeof one === 'string'))
    return `[${boundedArgv(value, {columns: argvColumns})}]`
  const text = JSON.stringify(value, (_, one: unknown) => (typeof one === 'string' && digest.test(one) ? `${one.slice(0, 12)}…` : one))
  return bounded(showLine(text.replace(/^"([^\s"\\=]+)"$/, '$1')), {columns: valueColumns})
}
