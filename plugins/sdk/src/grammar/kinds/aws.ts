/** What the AWS CLI takes as the value of a parameter. */
import type {ValueKinds} from '../kind.ts'
import {textKinds} from './text.ts'

/** `aws-value`. */
export const awsKinds: ValueKinds = {
  // plain text, shorthand or JSON; the CLI reads a file or an address for `file://…` and, inside shorthand, for `Key@=file://…`
  'aws-value': {
    fields: ['pattern', 'maxLength'],
    cedar: 'String',
    test: (value, spec, afterDashes) => !/@\s*=/.test(value) && textKinds.text?.test(value, spec, afterDashes) === true,
    describe: () => 'a text, shorthand such as Name=x,Values=y or JSON: not the name of a file or an address to read it from',
    maxLength: 4096,
  },
}
