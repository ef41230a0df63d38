/** One reading call of mongosh: `db.orders.find({status: "open"}).limit(5)` (TM-H15). */

import type {ValueKinds} from '../kind.ts'
import type {Judge} from '../sql/judge.ts'

/** The judge, once `prepareGrammar` has loaded it. Without it every text is refused. */
export const judges = new Map<'mongosh', Judge>()

/** `{type: mongosh}` */
export const mongoshKinds: ValueKinds = {
  mongosh: {
    fields: ['lines', 'maxLength'],
    samples: () => ['db.orders.countDocuments({})', 'db.orders.find({id: 1}).limit(5)'],
    cedar: 'String',
    maxLength: 8192,
    test: (value, spec, afterDashes) =>
      (spec.lines === true || !value.includes('\n')) &&
      (afterDashes || !value.startsWith('-')) &&
      judges.get('mongosh')?.(value, {statements: [], functions: []}) === undefined &&
      judges.has('mongosh'),
    describe: () =>
      'one find, count, distinct, aggregate or stats call of mongosh that only reads, such as db.orders.find({status: "open"}).limit(5)',
  },
}
