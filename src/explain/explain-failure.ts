/** What is done after runs that failed. */
import {afterFailure, type Denial} from '@prod/sdk/cli/after-failure'
import {explainerPackages} from '@prod/sdk/cli/explainers'
import type {RunOutcome} from '../channel/exec.ts'

/** Keeps and explains the stderr of the first that failed with a status of its own and said something. Answers by what it was refused. */
export async function explainFailure(
  outcomes: readonly RunOutcome[],
  pjson: {oclif?: object},
  speaks: boolean,
): Promise<Denial | undefined> {
  for (const {exit, stderr} of outcomes) {
    const text = 'status' in exit && exit.status !== 0 ? (stderr.tail?.() ?? '') : ''
    if (text.trim() !== '') return afterFailure(text, {packages: explainerPackages(pjson), speaks})
  }
  return undefined
}
