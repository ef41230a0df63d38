/** What is done after a program that failed: the end of what it said is kept for `prod explain --last`, and a denial in it is explained at once. */
import type {Category} from '../explainer.ts'
import {readConfig} from './config.ts'
import {loadExplainers, shipped} from './explainers.ts'
import {keepFailure} from './last-failure.ts'
import {say} from './output.ts'

/** From here on a text is explained unasked. */
const sure = 0.75

/** By what a command was refused, as far as usage events tell it: nothing that it was given. */
export interface Denial {
  category: Category
  /** `s3:DeleteObject`; null where the refusal names no action of IAM */
  action: string | null
}

const iamAction = /^[a-z0-9-]{1,40}:[A-Za-z0-9]{1,80}$/

/** Keeps and, where `speaks` and the setting allow it, explains: three lines on stderr at most, and only a denial that is recognised surely. Answers which. */
export async function afterFailure(
  text: string,
  {packages = shipped, speaks}: {packages?: readonly string[]; speaks: boolean},
): Promise<Denial | undefined> {
  if (text.trim() === '') return undefined
  keepFailure({text}, new Date())
  if (!speaks || readConfig().explainAfterFailure === 'off') return undefined
  const [{explain}, explainers] = await Promise.all([import('../explain/explain.ts'), loadExplainers(packages)])
  const {category, confidence, summary, next, action} = explain(text, explainers)
  if (category === 'not_a_denial' || confidence < sure) return undefined
  const [first] = next
  say([summary, ...(first ? [`try: ${first.command}   (${first.why})`] : []), 'more: prod explain --last'])
  return {category, action: action !== null && iamAction.test(action) ? action : null}
}
