/** What prod cannot see itself, brought in from outside: incident times, shells outside prod, standing access. Each row is an event. */
import type {api, InputOf} from '@prod/sdk/api'
import {ProdError} from '@prod/sdk/errors'
import {about} from '../audit/refusals.ts'
import type {Caller, Parts} from '../parts.ts'
import {person} from '../requests/create.ts'
import {mayReadAudit} from '../requests/view.ts'

type Import = InputOf<typeof api.importMetrics>

/** ISO 8601 with a zone, as UTC */
const momentForm = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)$/

/**
 * Takes rows into the log: whoever may read it may say what it lacks, and is named as having said so. The same id again takes the place of what
 * was there. Throws DENIED, BAD_REQUEST with the first bad row; then none is taken.
 */
export async function importRows(parts: Parts, caller: Caller, {kind, rows}: Import): Promise<{imported: number}> {
  if (!mayReadAudit(parts, caller))
    throw about(new ProdError('DENIED', 'policy does not let you read the log, nor add to its figures', 'prod whoami'), {
      type: 'metrics.import-refused',
      subject: kind,
    })
  const events = rows.map((row, index) => {
    const bad = (why: string): ProdError =>
      new ProdError('BAD_REQUEST', `row ${index + 1}, ${row.id}, ${why}`, 'prod metrics import --help')
    const moment = (text: string): string => {
      const at = momentForm.test(text) ? Date.parse(text) : Number.NaN
      if (Number.isNaN(at)) throw bad(`has no moment with a zone: ${text.slice(0, 40)}`)
      return new Date(at).toISOString()
    }
    const from = moment(row.from)
    const to = row.to === undefined ? null : moment(row.to)
    if (to !== null && to < from) throw bad('ends before it begins')
    if (kind !== 'incident' && row.person === undefined) throw bad('names no person')
    return {
      type: `${kind}.imported`,
      by: person(caller),
      subject: row.id,
      correlation: caller.correlation,
      data: {from, to, service: row.service ?? null, team: row.team ?? null},
      personal: {name: caller.principal.name, ...(kind === 'incident' ? {} : {person: row.person})},
    }
  })
  if (events.length > 0) await parts.store.commit({events})
  return {imported: events.length}
}
