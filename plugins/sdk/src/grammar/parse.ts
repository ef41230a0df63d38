import {ProdError} from '../errors.ts'
import {type Command, compile} from './compile.ts'
import type {FindGrammar, Grammar, Refusal, Structure} from './grammar.ts'
import {print} from './print.ts'
import {findMissing, readCommand, readPath} from './read.ts'
import {mayRepeat, type Reading} from './reading.ts'
import {atMost, optionLabel, quote} from './say.ts'
import {findSpanFault} from './spans.ts'

const maxArguments = 4096
const maxBytes = 128 * 1024
// tab and line feed may be part of a text: the value's type decides
const control = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/
const invisible = /[[\p{C}\p{Z}\p{DI}\u2800\ufffc]--[ ]]/v

/**
 * What argv must be before any grammar (TM-H6): words of well-formed text, at most 4,096 and 128 KiB with an ending zero
 * each, nothing in them that a program would not get as shown. Throws ARGV_INVALID with the position.
 */
export function checkArgv(argv: unknown): asserts argv is readonly string[] {
  const fail = (position: number, message: string): never => {
    throw new ProdError('ARGV_INVALID', message, 'prod tools', {position})
  }
  if (!Array.isArray(argv)) fail(0, 'argv is a list of texts')
  const words = argv as unknown[]
  if (words.length === 0 || words[0] === '') fail(0, 'the name of the tool is missing')
  if (words.length > maxArguments) fail(maxArguments, `there are ${words.length} arguments; ${maxArguments} are allowed`)
  let bytes = 0
  let dashes = false
  for (const [position, word] of words.entries()) {
    if (typeof word !== 'string') return fail(position, `argument ${position} is not a text`)
    bytes += Buffer.byteLength(word) + 1
    if (bytes > maxBytes) fail(position, `the arguments come to more than ${maxBytes / 1024} KiB`)
    if (!word.isWellFormed() || word.includes('\ufffd')) fail(position, `argument ${position} is not well-formed text`)
    if (control.test(word)) fail(position, `argument ${position} holds a control character`)
    // where a name stands, nothing may hide: the tool, and options up to their value
    const isOption = position > 0 && !dashes && /^[-+]/.test(word)
    const name = position === 0 ? word : !isOption ? '' : word.startsWith('--') ? (word.split('=', 1)[0] as string) : word.slice(0, 2)
    if (invisible.test(name)) fail(position, `argument ${position} holds an invisible character in a name`)
    dashes ||= word === '--'
  }
}

/** What argv is by a grammar, or why it is nothing. */
export type Parsed = {ok: true; structure: Structure} | {ok: false; refusal: Refusal}

/** So many commands may stand behind one another. */
const maxInner = 3

/**
 * Reads argv by the tool's grammar. What the grammar does not name is refused, with the index of the first bad argument
 * and what would be allowed there. Of several forms of one subcommand the first that fits is taken. `print` gives argv
 * again, to the byte. A command behind another is read by its own tool's grammar, which `tools` finds; without `tools` it
 * is refused. Pure; time is linear in argv for a given grammar.
 */
export function parse(grammar: Grammar, argv: readonly string[], tools?: FindGrammar): Parsed {
  return parseLayer(grammar, argv, tools, 0)
}

function parseLayer(grammar: Grammar, argv: readonly string[], tools: FindGrammar | undefined, depth: number): Parsed {
  const compiled = compile(grammar)
  if (argv[0] !== grammar.tool)
    return no({
      position: 0,
      message: argv[0] === undefined ? 'the tool is missing' : `${quote(argv[0])} is not ${grammar.tool}`,
      allowed: [grammar.tool],
    })
  const path = readPath(compiled, argv)
  if ('position' in path) return no(path)
  const {node, reading, next} = path
  if (node.commands.length === 0) {
    const word = argv[next]
    const options = [...new Set(compiled.options.values())].filter(option => mayRepeat(reading, option))
    const message = reading.awaiting
      ? `${reading.awaiting.name} needs a value`
      : word === undefined
        ? 'a subcommand is missing'
        : word.startsWith('-')
          ? `there is no option ${quote(word)} before the subcommand`
          : `there is no subcommand ${quote(word)}`
    return no({position: next, message, allowed: atMost([...node.words.keys(), ...options.map(optionLabel)])})
  }
  const refusals: Refusal[] = []
  for (const command of node.commands) {
    const read = readCommand(command, reading, argv, next)
    const refusal = 'position' in read ? read : (findMissing(read, read.innerFrom ?? argv.length) ?? findSpanFault(read, argv.length))
    const parsed = refusal ? no(refusal) : finish(grammar, command, read as Reading, argv, tools, depth)
    if (parsed.ok) return parsed
    refusals.push(parsed.refusal)
  }
  // the form that came furthest is the one that was meant
  const position = Math.max(...refusals.map(refusal => refusal.position))
  const furthest = refusals.filter(refusal => refusal.position === position)
  return no({
    position,
    message: [...new Set(furthest.map(({message}) => message))].join('; or: '),
    allowed: atMost([...new Set(furthest.flatMap(({allowed}) => allowed))]),
  })
}

function finish(
  grammar: Grammar,
  command: Command,
  {parts, given, innerFrom}: Reading,
  argv: readonly string[],
  tools: FindGrammar | undefined,
  depth: number,
): Parsed {
  let inner: Structure | undefined
  if (innerFrom !== undefined) {
    const parsed = parseInner(argv.slice(innerFrom), tools, depth + 1)
    if (!parsed.ok) return no({...parsed.refusal, position: innerFrom + parsed.refusal.position})
    inner = parsed.structure
  }
  const structure: Structure = {
    tool: grammar.tool,
    command: command.index,
    path: [...command.grammar.path],
    class: command.grammar.class,
    parts,
    arguments: Object.fromEntries(given),
    locks: [...command.operands.filter(({lock}) => lock).flatMap(({name}) => given.get(name) ?? []), ...(inner?.locks ?? [])],
    ...(inner ? {inner} : {}),
  }
  // the promise of TM-M1, kept at run time too
  const printed = print(structure)
  const position =
    printed.length === argv.length ? printed.findIndex((word, index) => word !== argv[index]) : Math.min(printed.length, argv.length)
  return position < 0 ? {ok: true, structure} : no({position, message: 'the argument cannot be read exactly', allowed: []})
}

function parseInner(argv: readonly string[], tools: FindGrammar | undefined, depth: number): Parsed {
  const grammar = tools?.(argv[0] as string)
  if (!grammar) return no({position: 0, message: `no definition of ${quote(argv[0] as string)} is at hand to judge it by`, allowed: []})
  if (depth > maxInner) return no({position: 0, message: `more than ${maxInner} commands stand behind one another`, allowed: []})
  return parseLayer(grammar, argv, tools, depth)
}

function no(refusal: Refusal): {ok: false; refusal: Refusal} {
  return {ok: false, refusal}
}
