/**
 * The one place that asks. Questions stand on stderr and need a terminal at both ends; without one, or under `--json`, each is a NO_TERMINAL that
 * names the flag to give instead. The prompts load at the moment one is shown. Ctrl-C throws {@link Interrupted}.
 */
import {isatty} from 'node:tty'
import {ProdError} from '../errors.ts'
import {checkReason} from '../reason.ts'
import {showLine, showName} from '../text.ts'
import {Interrupted} from './failure.ts'
import {cut, say, terminalWidth} from './output.ts'

let forbidden = false

/** From now on nothing asks: `--json` is read by a program. */
export function neverAsk(): void {
  forbidden = true
}

/** Whether somebody is there to answer. */
export function canAsk(): boolean {
  return !forbidden && isatty(0) && isatty(2)
}

function need(what: string, instead: string | undefined): void {
  if (canAsk()) return
  const why = forbidden ? '--json asks nobody' : 'there is no terminal to ask at'
  throw new ProdError('NO_TERMINAL', `${what} is missing, and ${why}`, instead)
}

const isDumb = (): boolean => process.env.TERM === 'dumb'
/** Made where somebody is asked: to look at process.stdin opens it. */
const context = () => ({output: process.stderr, input: process.stdin}) as const

async function asked<T>(prompt: Promise<T>): Promise<T> {
  try {
    return await prompt
  } catch (error) {
    const {name} = error as Error
    if (name === 'ExitPromptError' || name === 'AbortPromptError') throw new Interrupted('interrupted', {cause: error})
    throw error
  }
}

/** A question for one line. `what` is asked for; `flag` is what to type where nobody can ask (`--reason "…"`); `check` throws what is wrong. */
export async function askText({what, flag, check}: {what: string; flag: string; check?: (text: string) => string}): Promise<string> {
  need(what, flag)
  const message = showLine(what)
  const fault = (text: string): string | true => {
    try {
      check?.(text)
      return true
    } catch (error) {
      return showLine((error as Error).message)
    }
  }
  if (isDumb()) {
    const text = await readLine(`${message}: `)
    return check ? check(text) : text
  }
  const {input} = await import('@inquirer/prompts')
  const text = await asked(input({message, validate: fault}, context()))
  return check ? check(text) : text
}

/** A line without cursor movements, for terminals that have none. */
async function readLine(question: string): Promise<string> {
  const {createInterface} = await import('node:readline/promises')
  const reader = createInterface({...context(), terminal: false})
  try {
    return await new Promise((resolve, reject) => {
      reader.once('close', () => reject(new Interrupted('interrupted')))
      reader.question(question).then(resolve, reject)
    })
  } finally {
    reader.close()
  }
}

/** Why somebody wants this, checked as the broker will check it (TM-I1). */
export function askReason(): Promise<string> {
  return askText({what: 'reason', flag: '--reason "what for, in a sentence"', check: checkReason})
}

/** A choice of {@link pick}: what it is called, and what helps to choose. */
export interface Choice<T> {
  name: string
  note?: string
  value: T
}

/**
 * Lets the person choose one of many, filtered as they type. `instead` is the command line that names it. Choices that a broker must be asked for are a
 * function: it is not called where nobody can choose. Throws USAGE where there is nothing to choose.
 */
export async function pick<T>({
  what,
  choices: given,
  instead,
}: {
  what: string
  choices: readonly Choice<T>[] | (() => Promise<readonly Choice<T>[]>)
  instead: string
}): Promise<T> {
  need(what, instead)
  const choices = typeof given === 'function' ? await given() : given
  if (choices.length === 0) throw new ProdError('USAGE', `there is no ${what} to choose`, instead)
  if (isDumb()) throw new ProdError('NO_TERMINAL', `${what} is missing, and this terminal cannot show a list`, instead)
  const {search} = await import('@inquirer/prompts')
  const room = terminalWidth('stderr') - 4
  const shown = choices.map(({name, note, value}) => ({
    name: cut(`${showName(name)}${note ? `  ${showLine(note)}` : ''}`, room),
    short: showName(name),
    search: `${name} ${note ?? ''}`,
    value,
  }))
  return asked(
    search<T>(
      {
        message: showLine(what),
        pageSize: 12,
        source: term => filter(shown, term ?? '', choice => choice.search).map(({name, short, value}) => ({name, short, value})),
      },
      context(),
    ),
  )
}

/** Those in which the letters of `term` come in this order, the closest first. An empty term keeps all as they are. Pure. */
export function filter<T>(items: readonly T[], term: string, textOf: (item: T) => string): T[] {
  const wanted = term
    .toLowerCase()
    .split(/\s+/)
    .filter(word => word !== '')
  if (wanted.length === 0) return [...items]
  return items
    .map((item, index) => ({item, index, score: wanted.reduce((sum, word) => sum + closeness(textOf(item).toLowerCase(), word), 0)}))
    .filter(({score}) => score < Number.POSITIVE_INFINITY)
    .sort((a, b) => a.score - b.score || a.index - b.index)
    .map(({item}) => item)
}

/** 0 for a text that begins with the word, more the later and the more scattered its letters are, Infinity where one is missing. */
function closeness(text: string, word: string): number {
  const whole = text.indexOf(word)
  if (whole >= 0) return whole === 0 ? 0 : /[^a-z0-9]/.test(text[whole - 1] as string) ? 1 : 2 + whole / 1000
  let at = -1
  let gaps = 0
  for (const letter of word) {
    const next = text.indexOf(letter, at + 1)
    if (next < 0) return Number.POSITIVE_INFINITY
    if (at >= 0) gaps += next - at - 1
    at = next
  }
  return 10 + gaps
}

/**
 * A question that may stay without an answer: one key of `keys`, within so many seconds. Undefined: another key, none in time, or nobody to ask.
 * Never throws, and asks nobody who is not at a terminal.
 */
export async function askKey({what, keys, seconds}: {what: string; keys: string; seconds: number}): Promise<string | undefined> {
  const {stdin} = process
  if (!canAsk() || typeof stdin.setRawMode !== 'function') return undefined
  say(what)
  try {
    stdin.setRawMode(true)
    stdin.resume()
    const pressed = await new Promise<string>(resolve => {
      const timer = setTimeout(resolve, seconds * 1000, '')
      const end = (text: unknown): void => {
        clearTimeout(timer)
        resolve(String(text ?? ''))
      }
      stdin.once('data', end)
      stdin.once('close', end)
      stdin.once('error', () => end(''))
    })
    return pressed !== '' && keys.includes(pressed[0] as string) ? pressed[0] : undefined
  } catch {
    return undefined // the terminal went meanwhile
  } finally {
    stdin.removeAllListeners('data')
    try {
      stdin.setRawMode(false)
    } catch {
      // it is gone
    }
    stdin.pause()
  }
}

/** A yes or no. `flag` is what says yes where nobody can ask. */
export async function confirm({what, flag}: {what: string; flag: string}): Promise<boolean> {
  need(`a yes to "${what}"`, flag)
  if (isDumb()) return /^y(es)?$/i.test((await readLine(`${showLine(what)} [y/N] `)).trim())
  const {confirm: show} = await import('@inquirer/prompts')
  return asked(show({message: showLine(what), default: false}, context()))
}

/**
 * Break-glass: the person types `text` exactly, or pastes it. There is no flag for it. Answers what was typed; throws NO_TERMINAL,
 * CONFIRMATION_FAILED.
 */
export async function confirmTyped(text: string): Promise<string> {
  need('the typed confirmation', 'type the same command at a terminal')
  const message = `type ${showName(text)} to go on`
  const typed = isDumb() ? await readLine(`${message}: `) : await asked((await import('@inquirer/prompts')).input({message}, context()))
  if (typed !== text) throw new ProdError('CONFIRMATION_FAILED', `that was not ${showName(text)}; nothing was done`)
  return typed
}
