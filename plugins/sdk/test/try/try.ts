/** A command that does one thing at a time, for the tests of the base command, the writer and the asker: real, in a process of its own. */
import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import {askReason, askText, confirm, confirmTyped, pick} from '../../src/cli/ask.ts'
import {ProdCommand} from '../../src/cli/command.ts'
import {neverWrite, paint, passBytes, resultUnread} from '../../src/cli/output.ts'
import {startSpinner} from '../../src/cli/spinner.ts'
import {table} from '../../src/cli/table.ts'
import {ProdError} from '../../src/errors.ts'

export default class Try extends ProdCommand {
  static override id = 'try'
  static override args = {what: Args.string({required: true}), text: Args.string()}
  static override flags = {size: Flags.integer({parse: async text => sizeOf(text)})}

  async run(): Promise<unknown> {
    const {args, flags} = await this.parse(Try)
    return this.does[args.what]?.(args.text ?? '', flags.size ?? 0)
  }

  readonly does: Record<string, (text: string, size: number) => unknown> = {
    say: text => {
      this.say(text)
      this.log(`result: ${text}`)
      return {text}
    },
    paint: text => this.log(`${paint('red', text)} plain ${paint('bold', 'b')}`),
    secret: text => {
      neverWrite(text)
      this.log(`token ${text}`)
      this.say(`token ${text}`)
      if (this.jsonEnabled()) return {token: text}
      throw new ProdError('TOKEN_INVALID', `the token ${text} is refused`)
    },
    lines: (_, size) => {
      for (let i = 0; i < size && !resultUnread().aborted; i += 1) this.log(`line ${i} ${'x'.repeat(200)}`)
    },
    pass: async (text, size) => {
      for (let i = 0; i < size; i += 1) if (!(await passBytes('stdout', Buffer.from(text, 'hex')))) break
    },
    table: () =>
      this.log(
        table(
          ['NAME', {head: 'REASON', prose: true}, 'LAST'],
          [
            ['\u0430lice\tadmin', 'look – \u001b[2Kat it', 'x'.repeat(90)],
            ['bob', null, 'y'],
          ],
        ),
      ),
    fail: text => {
      throw new ProdError(text as 'DENIED', `no ${text}`, 'prod whoami')
    },
    bug: text => {
      throw new TypeError(`cannot read ${text}`)
    },
    status: text => {
      this.endWith(Number(text))
      return {status: Number(text)}
    },
    nothing: () => undefined,
    wait: () => {
      this.say('waiting')
      return new Promise(resolve => setTimeout(resolve, 60_000))
    },
    cancel: () => {
      this.say('waiting')
      return new Promise(resolve => {
        const timer = setTimeout(resolve, 60_000)
        this.onInterrupt(times => {
          clearTimeout(timer)
          this.say(`cancelled after ${times}`)
          this.endWith(130)
          resolve(undefined)
        })
      })
    },
    reason: async () => this.log(`reason: ${await askReason()}`),
    text: async text => this.log(`text: ${await askText({what: text, flag: '--text TEXT'})}`),
    confirm: async text => this.log(`yes: ${await confirm({what: text, flag: '--yes'})}`),
    typed: async text => this.log(`typed: ${await confirmTyped(text)}`),
    pick: async () => {
      const choices = ['payments-api', 'payments-worker', 'ledger', '\u0430pi'].map(name => ({name, note: `the ${name}`, value: name}))
      this.log(`picked: ${await pick({what: 'target', choices, instead: 'prod try pick NAME'})}`)
    },
    spin: async () => {
      const spinner = startSpinner('waits for bob')
      await told()
      spinner.update('waits for bob')
      spinner.update('waits for \u001b[2Kcarol')
      this.say('a line above')
      await told()
      spinner.stop()
      this.log('done')
    },
  }
}

function sizeOf(text: string): number {
  if (!/^\d+$/.test(text)) throw new ProdError('DURATION_INVALID', `${text} is no size`, 'prod try --size 3')
  return Number(text)
}

/** Resolves at the next SIGUSR2; the terminal stays as it is. */
function told(): Promise<void> {
  return new Promise(resolve => {
    const alive = setInterval(() => {}, 1000)
    // not `once`: what the spinner loads ends the process when it finds no listener beside its own
    process.on('SIGUSR2', () => {
      clearInterval(alive)
      resolve()
    })
  })
}

/** At a terminal the last bytes are lost if the process goes before they are read: say that all is written, and wait to be dismissed. */
async function dismissed(): Promise<void> {
  if (process.env.TRY_HOLD === undefined) return
  const leave = told()
  process.stderr.write('\x1b]9;written\x07')
  await leave
}

try {
  await Try.run(process.argv.slice(2), import.meta.url)
  await dismissed()
} catch (error) {
  await dismissed()
  process.exit((error as {oclif?: {exit?: number}}).oclif?.exit ?? 99)
}
