/** What is done after runs that failed. */
import {afterFailure} from '@prod/sdk/cli/after-failure'
import {explainerPackages} from '@prod/sdk/cli/explainers'
import type {RunOutcome} from '../channel/exec.ts'

/** Keeps and explains the stderr of the first that failed with a status of its own and said something. */
export async function explainFailure(outcomes: readonly RunOutcome[], pjson: {oclif?: object}, speaks: boolean): Promise<void> {
  for (const {exit, stderr} of outcomes) {
    const text = 'status' in exit && exit.status !== 0 ? (stderr.tail?.() ?? '') : ''
    if (text.trim() !== '') return afterFailure(text, {packages: explainerPackages(pjson), speaks})
  }
}
