/** Reads what other systems export: incident times from PagerDuty, or any table with the right columns. Pure. */
import {createHash} from 'node:crypto'
import {ProdError} from '@prod/sdk/errors'

/** What may be imported. */
export const importKinds = ['incident', 'outside-shell', 'entitlement'] as const
export type ImportKind = (typeof importKinds)[number]

/** One row, as `POST /v1/metrics/import` takes it. Moments are ISO 8601 in UTC. */
export interface ImportRow {
  id: string
  from: string
  to?: string
  person?: string
  service?: string
  team?: string
}

/** Names under which other systems have what we look for, the likeliest first; as {@link plainName} writes them. */
const names: Record<keyof ImportRow | 'number', readonly string[]> = {
  id: ['id', 'incident', 'incident_id'],
  number: ['incident_number', 'number'],
  from: ['from', 'created_at', 'created_on', 'started_at', 'start', 'started', 'created'],
  to: ['to', 'resolved_at', 'resolved_on', 'ended_at', 'end', 'ended', 'resolved', 'until'],
  person: ['person', 'user', 'principal'],
  service: ['service', 'service_name'],
  team: ['team', 'team_name', 'teams'],
}

/** The rows of a file. `prefix`: ids are it and the incident's number, as people type them. Throws USAGE with the row that cannot be read. */
export function readImport(text: string, {kind, prefix}: {kind: ImportKind; prefix?: string | undefined}): ImportRow[] {
  return recordsOf(text).map((record, index) => {
    const bad = (why: string): ProdError => new ProdError('USAGE', `row ${index + 1} ${why}`, 'prod metrics import --help')
    const values = new Map(Object.entries(record).map(([name, value]) => [plainName(name), textOf(value)]))
    const find = (what: keyof typeof names): string | undefined => {
      for (const name of names[what]) {
        const value = values.get(name)
        if (value !== undefined && value !== '') return value
      }
      return undefined
    }
    const from = find('from')
    if (from === undefined) throw bad(`has no time at which it began: none of ${names.from.join(', ')}`)
    // the plain answer about an incident has no time of its end, but that of its last change
    const to = find('to') ?? (values.get('status') === 'resolved' ? values.get('last_status_change_at') : undefined)
    const number = find('number')
    if (prefix !== undefined && number === undefined) throw bad('has no incident number for --prefix')
    const person = find('person')
    if (kind !== 'incident' && person === undefined) throw bad('names no person')
    const row = {
      from: momentOf(from, bad),
      ...(to === undefined ? {} : {to: momentOf(to, bad)}),
      ...(person === undefined || kind === 'incident' ? {} : {person}),
      ...optional('service', find('service')),
      ...optional('team', find('team')),
    }
    const id = prefix !== undefined ? `${prefix}${number}` : (find('id') ?? (kind === 'incident' ? number : undefined))
    if (id === undefined && kind === 'incident') throw bad('has no id')
    if (id !== undefined && !/^[A-Za-z0-9][A-Za-z0-9._:/-]{0,62}$/.test(id))
      throw bad(`has an id that cannot be one: ${JSON.stringify(id)}`)
    return {
      id:
        id ??
        createHash('sha256')
          .update(JSON.stringify([kind, row]))
          .digest('hex')
          .slice(0, 24),
      ...row,
    }
  })
}

function optional(name: 'service' | 'team', value: string | undefined): {[name: string]: string} {
  return value === undefined ? {} : {[name]: value}
}

/** `Created At` as `created_at`. */
function plainName(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
}

/** A value of a table; of an object what people call it, of a list the first. */
function textOf(value: unknown): string {
  if (Array.isArray(value)) return textOf(value[0])
  if (typeof value === 'object' && value !== null) {
    const {summary, name, id} = value as Record<string, unknown>
    return textOf(summary ?? name ?? id)
  }
  return value === null || value === undefined ? '' : String(value).trim()
}

/** ISO 8601; without a zone it is UTC. */
function momentOf(text: string, bad: (why: string) => ProdError): string {
  const [, date, time = '00:00', zone = 'Z'] =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?))? ?(Z|UTC|[+-]\d\d:?\d\d)?$/.exec(text) ?? []
  const at = date === undefined ? Number.NaN : Date.parse(`${date}T${time}${zone === 'UTC' ? 'Z' : zone}`)
  if (Number.isNaN(at)) throw bad(`has a time that cannot be read: ${JSON.stringify(text.slice(0, 40))}`)
  return new Date(at).toISOString()
}

/** JSON (a list, an object that holds one, or a line for each) or CSV (RFC 4180) with a line of heads. */
function recordsOf(text: string): Record<string, unknown>[] {
  const bare = text.replace(/^\ufeff/, '').trim()
  if (bare === '') return []
  if (!/^[[{]/.test(bare)) return table(bare)
  const found = parse(bare) ?? bare.split('\n').map(parse)
  const list = Array.isArray(found) ? found : listIn(found as Record<string, unknown>)
  if (!list?.every(one => typeof one === 'object' && one !== null && !Array.isArray(one)))
    throw new ProdError('USAGE', 'the file holds no list of objects', 'prod metrics import --help')
  return list as Record<string, unknown>[]
}

function listIn(object: Record<string, unknown>): unknown[] | undefined {
  for (const name of ['incidents', 'data', 'rows']) if (Array.isArray(object[name])) return object[name]
  return [object]
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function table(text: string): Record<string, unknown>[] {
  const [heads = [], ...rows] = cells(text)
  return rows
    .filter(row => row.some(cell => cell !== ''))
    .map(row => Object.fromEntries(heads.map((head, index) => [head, row[index] ?? ''])))
}

/** Cells of a CSV file: quoted ones may hold commas, line breaks and doubled quotes. */
function cells(text: string): string[][] {
  const rows: string[][] = [[]]
  let at = 0
  while (at <= text.length) {
    let cell = ''
    if (text[at] === '"') {
      at += 1
      for (; at < text.length; at++) {
        if (text[at] !== '"') cell += text[at]
        else if (text[at + 1] === '"') {
          cell += '"'
          at += 1
        } else break
      }
      at += 1
    }
    const end = /[,\n]|$/g
    end.lastIndex = at
    const next = end.exec(text)?.index ?? text.length
    cell += text.slice(at, next).replace(/\r$/, '')
    rows.at(-1)?.push(cell)
    at = next + 1
    if (text[next] === '\n') rows.push([])
  }
  return rows
}
