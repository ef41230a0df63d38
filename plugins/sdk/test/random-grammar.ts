/** Grammars and words by chance, for property tests. */
import fc from 'fast-check'
import {checkGrammar, findGrammarFaults} from '../src/grammar/check.ts'
import type {CommandGrammar, Grammar, OperandGrammar, OptionGrammar, ValueType} from '../src/grammar/grammar.ts'
import {parse} from '../src/grammar/parse.ts'

const spellings = ['-a', '-b', '-n', '-x', '--all', '--alpha', '--beta', '--no-alpha', '-name', '+plus', 'dev', '(', '!', '-NUM']
const type: fc.Arbitrary<ValueType> = fc.constantFrom<ValueType[]>(
  'string',
  'name',
  'duration',
  'unit-name',
  {type: 'integer', min: -5, max: 99},
  {type: 'enum', values: ['on', 'off', '-z', 'dev']},
  {type: 'text', leading: ['-', '+', '@', '|', '!', 'scheme'], lines: true},
  {type: 'list', of: {type: 'enum', values: ['on', 'off']}},
  {type: 'joined', of: ['name', 'string'], separator: '='},
  {type: 'string', pattern: '[a-z=]{1,5}', secret: true},
  {type: 'address', within: ['10.0.0.0/8'], max: 16, ranges: true},
  {type: 'ports', max: 10},
  'time',
  'size',
  'glob',
)
const option: fc.Arbitrary<'flag' | OptionGrammar> = fc.oneof(
  fc.constant('flag' as const),
  fc.record({
    value: fc.constant('flag' as const),
    repeat: fc.constantFrom(true, false, 2),
    required: fc.boolean(),
    negatable: fc.boolean(),
    truth: fc.boolean(),
  }),
  fc.record(
    {
      value: type,
      attach: fc.subarray<'separate' | 'equals' | 'attached' | 'short-equals'>(['separate', 'equals', 'attached', 'short-equals'], {
        minLength: 1,
      }),
      repeat: fc.boolean(),
      optional: fc.boolean(),
      many: fc.constantFrom(2, 3),
    },
    {requiredKeys: ['value']},
  ),
)
const operands = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom('one', 'two', 'three'),
    type,
    min: fc.integer({min: 0, max: 2}),
    max: fc.integer({min: 1, max: 3}),
    afterDashes: fc.boolean(),
    optionsEnd: fc.boolean(),
  }),
  {
    selector: ({name}) => name,
    maxLength: 3,
  },
) as fc.Arbitrary<OperandGrammar[]>
const command: fc.Arbitrary<CommandGrammar> = fc.record(
  {
    path: fc.constantFrom([], ['go'], ['go', 'far']),
    class: fc.constant('read' as const),
    options: fc.dictionary(fc.constantFrom(...spellings), option, {maxKeys: 5, noNullPrototype: true}),
    operands,
    dashes: fc.constantFrom('refused' as const, 'allowed' as const, 'required' as const),
    optionsStand: fc.constantFrom('before' as const, 'anywhere' as const, 'after' as const),
    bundles: fc.boolean(),
  },
  {requiredKeys: ['path', 'class']},
)
/** A grammar without faults, of one to three commands. */
export const grammar: fc.Arbitrary<Grammar> = fc
  .record({
    options: fc.dictionary(fc.constantFrom('-g', '--global'), option, {maxKeys: 2, noNullPrototype: true}),
    commands: fc.array(command, {minLength: 1, maxLength: 3}),
  })
  .map(data => checkGrammar(mended(structuredClone(data)), 'tool'))

/** The data without what is at fault in it: most random grammars have a fault somewhere. */
function mended(data: {options: Grammar['options']; commands: CommandGrammar[]}): unknown {
  for (let fault = findGrammarFaults(data, 'tool')[0]; fault; fault = findGrammarFaults(data, 'tool')[0]) {
    const path = fault.path.slice(0, fault.path[0] === 'options' ? 2 : 4)
    if (path.length === 2 && path[0] === 'commands') path.push('options')
    const last = path.pop() as string | number
    const holder = path.reduce<Record<string | number, unknown>>(
      (at, step) => at[step] as Record<string | number, unknown>,
      data as Record<string | number, unknown>,
    )
    if (Array.isArray(holder)) holder.splice(last as number, 1)
    else if (Object.hasOwn(holder, last)) delete holder[last]
    else data.commands.splice(path[1] as number, 1)
    if (data.commands.length === 0) data.commands.push({path: [], class: 'read'})
  }
  return data
}

const value = fc.constantFrom(
  'on',
  'off',
  'on,off',
  'a',
  'a=b',
  '7',
  '-3',
  '10m',
  '-z',
  'dev',
  '=',
  '@x',
  'a b',
  'é',
  '',
  '--',
  '-',
  'file://x',
  '10.0.0.1-5',
  '22,80',
  'today',
  '-1h',
  '10K',
  '*.log',
  'true',
  'false',
)
const word = fc.oneof(
  value,
  fc.constantFrom('go', 'far', ...spellings, '-g', '--global'),
  fc.tuple(fc.constantFrom(...spellings, '--global'), fc.constantFrom('', '='), value).map(parts => parts.join('')),
  fc.tuple(fc.constantFrom('-ab', '-ba', '-abn', '-nab', '-ax', '-aab'), fc.constantFrom('', '7', 'on')).map(parts => parts.join('')),
  fc.string({unit: 'binary', maxLength: 6}),
)
/** Words that such grammars may know, and others. */
export const words = fc.array(word, {maxLength: 10})

/** Of the words those that the grammar takes one after the other: most lines made so are right, or nearly. */
export function steered(made: Grammar, words: string[]): string[] {
  const line = ['tool']
  for (const next of words) {
    const parsed = parse(made, [...line, next])
    if (parsed.ok || parsed.refusal.position > line.length) line.push(next)
  }
  return line
}
