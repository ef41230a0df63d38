/**
 * Judges labelled lines with the shipped definitions: a file of JSON lines `{"id","argv","verdict":"escape"|"benign"}`. Each escape must be refused,
 * each benign line allowed, its words unchanged. `node --conditions=source test/security/corpus.ts FILE [--library DIR]`; ends with 1 at the first that is not.
 */
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {parseArgs} from 'node:util'
import {explainArgv, loadBundle} from '@prod/broker/policy'
import {print} from '@prod/sdk/grammar/print'

interface Line {
  id: string
  tool: string
  argv: string[]
  verdict: 'escape' | 'benign'
}

/** What came of a corpus. */
export interface Judged {
  lines: number
  tools: number
  escapes: number
  benign: number
  /** ids with why */
  allowedEscapes: {id: string; argv: string[]}[]
  refusedBenign: {id: string; argv: string[]; message: string}[]
  /** one decision, parsing included, in microseconds */
  p50: number
  p99: number
}

/** Judges a corpus with the definitions of a folder, as an engineer for whom looking is allowed. */
export async function judgeCorpus(file: string, library: string): Promise<Judged> {
  const bundle = await loadBundle({catalogDir: join(library, 'catalog'), policyDir: join(library, 'policy'), development: true})
  const lines = readFileSync(file, 'utf8')
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Line)
  const judged: Judged = {
    lines: lines.length,
    tools: new Set(lines.map(({tool}) => tool)).size,
    escapes: lines.filter(({verdict}) => verdict === 'escape').length,
    benign: lines.filter(({verdict}) => verdict === 'benign').length,
    allowedEscapes: [],
    refusedBenign: [],
    p50: 0,
    p99: 0,
  }
  const took: number[] = []
  for (const {id, argv, verdict} of lines) {
    const from = performance.now()
    const {decision, structure, message = decision} = explainArgv(bundle, {principal: 'alice', groups: ['engineers'], argv})
    took.push((performance.now() - from) * 1000)
    const same = structure !== null && JSON.stringify(print(structure)) === JSON.stringify(argv)
    if (verdict === 'escape' && decision !== 'deny') judged.allowedEscapes.push({id, argv})
    if (verdict === 'benign' && (decision !== 'allow' || !same)) judged.refusedBenign.push({id, argv, message})
  }
  took.sort((a, b) => a - b)
  const at = (share: number): number => Math.round(took[Math.min(took.length - 1, Math.floor(took.length * share))] ?? 0)
  return {...judged, p50: at(0.5), p99: at(0.99)}
}

if (import.meta.main) {
  const {values, positionals} = parseArgs({allowPositionals: true, options: {library: {type: 'string'}}})
  const judged = await judgeCorpus(positionals[0] ?? '', values.library ?? join(import.meta.dirname, '../../plugins/broker/library'))
  for (const {id, argv} of judged.allowedEscapes) process.stdout.write(`allowed: ${id} ${JSON.stringify(argv)}\n`)
  for (const {id, argv, message} of judged.refusedBenign) process.stdout.write(`refused: ${id} ${JSON.stringify(argv)}: ${message}\n`)
  process.stdout.write(
    `${judged.allowedEscapes.length} of ${judged.escapes} escapes allowed, ${judged.refusedBenign.length} of ${judged.benign} benign lines refused; ` +
      `p50 ${judged.p50} µs, p99 ${judged.p99} µs\n`,
  )
  process.exitCode = judged.allowedEscapes.length + judged.refusedBenign.length > 0 ? 1 : 0
}
