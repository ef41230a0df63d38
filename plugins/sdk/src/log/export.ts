/**
 * The export of a log: one line of canonical JSON for each entry, and a last line with the checkpoint. Pure.
 * `{"envelope":"…","index":0,"leaf":"base64","openings":{…}}` … `{"checkpoint":"…","history":["…"],"key":"name+id+key"}`
 */
import {canonical} from '../document.ts'
import {sameLog} from './hand-over.ts'
import {leafHash} from './merkle.ts'
import {checkLog, type KeptEntry, type Verdict} from './verify.ts'

/** What the last line holds. `key` is only told: a reader who does not know the log's key from elsewhere checks nothing but wholeness. */
export interface ExportEnd {
  checkpoint: string
  /** older checkpoints, oldest first: they narrow down where a rewritten log went wrong */
  history: string[]
  key: string
}

/** One line, without its newline. Without a kept `leaf` hash (base64 or bytes) the entry's own is written. */
export function exportLine({index, envelope, openings, leaf = leafHash(envelope)}: KeptEntry): string {
  return canonical({index, envelope, openings, leaf: typeof leaf === 'string' ? leaf : Buffer.from(leaf).toString('base64')})
}

/** The last line, without its newline. */
export function exportEnd(end: ExportEnd): string {
  return canonical(end)
}

/**
 * Checks the lines of an export (blank ones are skipped) with the log's verifier key. Without `key` the export's own is
 * taken and `keyFrom` says so: then the answer is only as good as the way the file came. Throws CONFIG_INVALID for a bad `key`.
 */
export async function verifyExport(
  lines: Iterable<string> | AsyncIterable<string>,
  key?: string,
): Promise<Verdict & {key: string; keyFrom: 'given' | 'export'}> {
  const check = checkLog()
  let held: string | undefined
  for await (const line of lines) {
    if (line === '') continue
    if (held !== undefined) readLine(held)
    held = line
  }
  const end = parse(held ?? '') as Partial<ExportEnd> | undefined
  const whole =
    end !== undefined &&
    typeof end.checkpoint === 'string' &&
    Array.isArray(end.history) &&
    typeof end.key === 'string' &&
    !('envelope' in end)
  if (!whole) {
    if (end && 'envelope' in end) readLine(held!)
    check.bad('the export does not end with a checkpoint')
  } else if (key !== undefined && end.key !== key && !sameLog(key, end.key!, check.handOvers())) {
    check.bad(`the export names another key: ${end.key}`)
  }
  const used = key ?? (whole ? end.key! : undefined)
  const keyFrom = key === undefined ? 'export' : 'given'
  const notes = whole ? {checkpoint: end.checkpoint!, history: end.history!} : {checkpoint: '', history: []}
  try {
    if (used !== undefined) return {...check.finish(notes.checkpoint, used, notes.history), key: used, keyFrom}
  } catch (error) {
    if (key !== undefined) throw error
  }
  return {
    ok: false,
    size: check.count(),
    root: '',
    firstBad: {index: 0, why: 'the export names no key that could vouch for it'},
    vouched: 0,
    erased: 0,
    key: used ?? '',
    keyFrom,
  }

  function readLine(line: string): void {
    const entry = parse(line) as KeptEntry | undefined
    const sound =
      entry && typeof entry.envelope === 'string' && typeof entry.leaf === 'string' && typeof entry.openings === 'object' && entry.openings
    if (sound) check.entry(entry)
    else check.bad('the line is not one that an export has')
  }
}

/** Canonical JSON alone: anything that reads the same but is written otherwise (spaces, a key twice, escapes) is refused. */
function parse(line: string): object | undefined {
  try {
    const value = JSON.parse(line) as unknown
    return typeof value === 'object' && value !== null && !Array.isArray(value) && JSON.stringify(value) === line ? value : undefined
  } catch {
    return undefined
  }
}
