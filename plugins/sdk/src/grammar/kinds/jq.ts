/** Filters of jq: the language read whole, its functions an allow-list, and no filter without a bound. */
import {checkCost} from '../jq/cost.ts'
import {CostFault} from '../jq/flow.ts'
import {readFilter} from '../jq/read.ts'
import {FilterFault} from '../jq/scan.ts'
import type {ValueKinds} from '../kind.ts'

/** `jq-filter`. */
export const jqKinds: ValueKinds = {
  'jq-filter': {
    fields: ['maxLength'],
    cedar: 'String',
    test: (value, _, afterDashes) => (afterDashes || !value.startsWith('-')) && findFilterFault(value) === undefined,
    describe: () => 'a filter of jq: no file, module, environment, comment or endless function, and nothing that makes much out of little',
    samples: () => ['.', '.items[] | select(.status == "ok") | .name', '{name, size: (.bytes / 1024 | floor)}', '.environment, ."$ENV"'],
    maxLength: 8192,
  },
}

/** Why a text is no filter that may run, or undefined. Pure, bounded. */
export function findFilterFault(text: string): string | undefined {
  try {
    checkCost(readFilter(text))
    return undefined
  } catch (error) {
    if (error instanceof FilterFault) return `at character ${error.at + 1}: ${error.message}`
    if (error instanceof CostFault) return error.message
    throw error
  }
}
