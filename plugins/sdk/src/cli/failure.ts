/** How a failure is shown, wherever it was met. Loads nothing of the framework. */
import {stripVTControlCharacters} from 'node:util'
import {codes, describeError, ProdError} from '../errors.ts'
import {say, writeJson} from './output.ts'

/** The person pressed Ctrl-C: neither a failure nor a bug. Ends with 130 and says nothing. */
export class Interrupted extends Error {
  /** By shape, not by class: the bundled CLI and the plugins that it loads each have a copy of this class. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return value instanceof Error && value.name === 'Interrupted'
  }

  override readonly name = 'Interrupted'
}

/** Exit status of Ctrl-C. */
export const interruptedStatus = 130

/** What the framework's parser throws: usage, in its words. */
interface ParserError extends Error {
  oclif?: {exit?: number}
  parse?: unknown
  args?: unknown
  flags?: unknown
}

/** Says what went wrong (and under `json` also writes the one document), and answers the exit status. Never 0. */
export function reportFailure(error: unknown, {json = false, help = 'prod --help'}: {json?: boolean; help?: string} = {}): number {
  if (error instanceof Interrupted) {
    if (json) writeJson({error: {code: 'INTERRUPTED', message: 'interrupted'}})
    return interruptedStatus
  }
  const foreseen = usageOf(error, help) ?? error
  const description = describeError(foreseen)
  if (json) writeJson({error: description})
  say(description.message)
  if (description.hint !== undefined) say(`try: ${description.hint}`)
  if (description.correlation !== undefined) say(`the broker's log has it under ${description.correlation}`)
  if (!(foreseen instanceof ProdError)) sayBug(error)
  else if (process.env.PROD_DEBUG === '1') sayStack(error)
  return codes[description.code].exit
}

/** A failure of the framework's parser in our words, or undefined. */
function usageOf(error: unknown, help: string): ProdError | undefined {
  const {oclif, parse, args, flags, message, name} = error as ParserError
  if (error instanceof ProdError) {
    const own = ownMessage(error.message)
    return own === error.message ? error : new ProdError(error.code, own, error.hint, {cause: error})
  }
  if (typeof oclif?.exit !== 'number' && parse === undefined) return undefined
  const text = stripVTControlCharacters(message ?? '')
  if (/^Missing \d+ required arg/.test(text) && Array.isArray(args)) {
    return new ProdError('USAGE', `missing: ${args.map(arg => String((arg as {name?: unknown}).name).toUpperCase()).join(' ')}`, help, {
      cause: error,
    })
  }
  if (name === 'Error' && /^Nonexistent flag/.test(text) && Array.isArray(flags))
    return new ProdError('USAGE', `there is no flag ${flags.join(', ')}`, help, {cause: error})
  const missing = [...text.matchAll(/Missing required flag (\S+)/g)].map(([, flag]) => (flag?.startsWith('-') ? flag : `--${flag}`))
  if (missing.length > 0) return new ProdError('USAGE', `missing: ${missing.join(' ')}`, help, {cause: error})
  const own = ownMessage(text).replace(/^The following errors? occurred:\s*/, '')
  return new ProdError('USAGE', own.charAt(0).toLowerCase() + own.slice(1), help, {cause: error})
}

/** Without what the framework's parser wraps around a message. */
function ownMessage(message: string): string {
  return message.replace(/^Parsing --\S+ \n\t/, '').replace(/\nSee more help with --help$/, '')
}

/** Where in our code it was, so that it can be reported; no message, no argument, no configuration. */
function sayBug(error: unknown): void {
  const {name} = error instanceof Error ? error : {name: typeof error}
  const stack = error instanceof Error ? (error.stack ?? '') : ''
  const place = /\n\s+at .*?([^/\\()\s]+:\d+:\d+)\)?(?:\n|$)/.exec(stack)?.[1]
  say(
    `this is a bug, please report it: ${name}${place ? ` at ${place}` : ''}, node ${process.versions.node}, ${process.platform}-${process.arch}`,
  )
  if (process.env.PROD_DEBUG === '1') sayStack(error)
  else say('try: PROD_DEBUG=1 before the same command shows where')
}

function sayStack(error: unknown): void {
  if (!(error instanceof Error)) return
  say((error.stack ?? error.message).split('\n'))
  if (error.cause !== undefined) sayStack(error.cause)
}
