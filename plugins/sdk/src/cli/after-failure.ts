/** What is done after a program that failed: the end of what it said is kept for `prod explain --last`, and a denial in it is explained at once. */
import {readConfig} from './config.ts'
import {loadExplainers, shipped} from './explainers.ts'
import {keepFailure} from './last-failure.ts'
import {say} from './output.ts'

/** From here on a text is explained unasked. */
const sure = 0.75

/** Keeps and, where `speaks` and the setting allow it, explains: three lines on stderr at most, and only a denial that is recognised surely. */
export async function afterFailure(
  text: string,
  {packages = shipped, speaks}: {packages?: readonly string[]; speaks: boolean},
): Promise<void> {
  if (text.trim() === '') return
  keepFailure({text}, new Date())
  if (!speaks || readConfig().explainAfterFailure === 'off') return
  const [{explain}, explainers] = await Promise.all([import('../explain/explain.ts'), loadExplainers(packages)])
  const {category, confidence, summary, next} = explain(text, explainers)
  if (category === 'not_a_denial' || confidence < sure) return
  const [first] = next
  say([summary, ...(first ? [`try: ${first.command}   (${first.why})`] : []), 'more: prod explain --last'])
}
