/** What is done after a run that failed: its stderr is kept for `prod explain --last`, and a denial in it is explained at once. */
import {readConfig} from '@prod/sdk/cli/config'
import {say} from '@prod/sdk/cli/output'
import type {RunOutcome} from '../channel/exec.ts'
import {keepFailure} from './last-failure.ts'

/** From here on a text is explained unasked. */
const sure = 0.75

/** Keeps and, where `speaks` and the setting allow it, explains: three lines on stderr at most, and only a denial that is recognised surely. */
export async function afterFailure(outcome: RunOutcome, {packages, speaks}: {packages: readonly string[]; speaks: boolean}): Promise<void> {
  if (!('status' in outcome.exit) || outcome.exit.status === 0) return
  const text = outcome.stderr.tail?.() ?? ''
  if (text.trim() === '') return
  keepFailure(text, new Date())
  if (!speaks || readConfig().explainAfterFailure === 'off') return
  const [{explain}, {loadExplainers}] = await Promise.all([import('@prod/sdk/explain/explain'), import('./explainers.ts')])
  const {category, confidence, summary, next} = explain(text, await loadExplainers(packages))
  if (category === 'not_a_denial' || confidence < sure) return
  const [first] = next
  say([summary, ...(first ? [`try: ${first.command}   (${first.why})`] : []), 'more: prod explain --last'])
}
