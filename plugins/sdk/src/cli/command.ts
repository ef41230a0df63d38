import {Command} from '@oclif/core/command'
import * as Flags from '@oclif/core/flags'
import type {Input, ParserOutput} from '@oclif/core/interfaces'
import type {BrokerClient} from '../client.ts'
import type {Session} from '../session.ts'
import type {Denial} from './after-failure.ts'
import {neverAsk} from './ask.ts'
import {keepForCompletion} from './catalog-cache.ts'
import {Interrupted, reportFailure} from './failure.ts'
import {guardStreams, say, writeJson, writeResult} from './output.ts'
import {spoolUsage} from './usage.ts'

// biome-ignore lint/suspicious/noExplicitAny: as the framework types what it parsed
type Output = Record<string, any>

/** A broker's client, and the login it calls with. */
type Connected = BrokerClient & {session: () => Promise<Session>}

/**
 * The base of every command: its flags, its way to the broker, and how it ends. `run` parses, makes a call, says, returns; what it returns is what
 * `--json` prints. Failures are thrown and shown here alone.
 */
export abstract class ProdCommand extends Command {
  static override enableJsonFlag = true
  static override baseFlags = {
    broker: Flags.string({
      helpGroup: 'GLOBAL',
      helpValue: 'NAME|URL',
      description: 'the broker that is meant; else PROD_BROKER, else the configured one',
    }),
    json: Flags.boolean({helpGroup: 'GLOBAL', description: 'one JSON document on stdout, for a failure too'}),
    help: Flags.help({char: 'h', helpGroup: 'GLOBAL', description: 'show this help'}),
  }

  /** set by a command that has written its one JSON document itself, because it goes on after it */
  protected answered = false
  /** name of the tool, for the usage events of `exec` */
  protected usageTool: string | undefined
  /** role that was taken, for the usage events of `assume` */
  protected usageRole: string | undefined
  /** by what it was refused, where that was recognised, for the usage events */
  protected usageDenial: Denial | undefined
  /** how it went, 1 to 5, for the usage events of `shell` */
  protected usageAnswer: number | undefined
  #brokerFlag: string | undefined
  #client: Promise<Connected> | undefined
  #onInterrupt: ((times: number) => void) | undefined

  /** Writes the result to stdout; nothing under `--json`. Several lines are best given as such: then no text in one can begin another. */
  override log(text: string | readonly string[] = ''): void {
    if (!this.jsonEnabled()) writeResult(text)
  }

  /** Says something to the person, on stderr, after `prod: `. */
  protected say(text: string | readonly string[]): void {
    say(text)
  }

  /** The broker that `--broker` names, undefined where it was not given. */
  protected get brokerFlag(): string | undefined {
    return this.#brokerFlag
  }

  /** The client of the broker that is meant, opened once, with its session for streams and signatures. Throws USAGE, NOT_LOGGED_IN, CONFIG_INVALID. */
  protected connect(): Promise<Connected> {
    this.#client ??= import('./credentials.ts').then(({connectBroker}) =>
      connectBroker(this.#brokerFlag === undefined ? {} : {broker: this.#brokerFlag}),
    )
    return this.#client
  }

  /** The login at the broker that is meant. Throws NOT_LOGGED_IN and what {@link connect} throws; nobody is called. */
  protected readonly login = async (): Promise<Session> => (await this.connect()).session()

  /** The way to the broker's API: nothing loads before the first call. */
  protected broker(): Pick<BrokerClient, 'call'> {
    return {
      call: async (endpoint, ...input) => {
        const client = await this.connect()
        if (endpoint.method !== 'GET') (await import('./whoami-cache.ts')).dropWhoami()
        const answer = await client.call(endpoint, ...input)
        // a command that has what it came for ends now, and a later one sends; it loads here, so that no start pays for it
        if (endpoint.caller === 'person') void import('./usage-send.ts').then(({sendUsageBeside}) => sendUsageBeside(client.session))
        if (this.#brokerFlag === undefined) keepForCompletion(endpoint, answer, client.broker.url)
        return answer
      },
    }
  }

  /** The status this command ends with though it did not fail: a program's own, or found faults (1). */
  protected endWith(status: number): void {
    process.exitCode = status
  }

  /** What Ctrl-C does from now on, told how often it was pressed; undefined: end at once with 130, as at the start. */
  protected onInterrupt(act: ((times: number) => void) | undefined): void {
    this.#onInterrupt = act
  }

  protected override async parse<F extends Output, B extends Output, A extends Output>(
    options?: Input<F, B, A>,
    argv?: string[],
  ): Promise<ParserOutput<F, B, A>> {
    // standard input is the tool's, or data: a word that is missing is asked for or refused, never read from there
    for (const arg of Object.values(this.ctor.args)) arg.ignoreStdin = true
    const parsed = await super.parse<F, B, A>(options, argv)
    this.#brokerFlag = (parsed.flags as {broker?: string}).broker
    // the framework sorts argv by where each word stands first: `tool a b a` would become `tool a a b`
    return {...parsed, argv: parsed.raw.flatMap(token => (token.type === 'arg' ? [token.input] : []))}
  }

  protected override async _run<T>(): Promise<T> {
    guardStreams()
    if (this.jsonEnabled()) neverAsk()
    this.#keepUsage()
    this.#watchInterrupts()
    let result: T
    try {
      await this.init()
      result = (await this.run()) as T
    } catch (error) {
      return this.#fail(error)
    }
    if (this.jsonEnabled() && !this.answered) writeJson(result ?? {})
    return result
  }

  /** Shows what went wrong and ends with its status: never 0. An end that a command or `--help` asked for is passed on. */
  #fail(error: unknown): never {
    if ((error as {code?: unknown}).code === 'EEXIT') throw error
    const help = `${this.config.bin} ${(this.id ?? '').replaceAll(':', ' ')} --help`
    const status = reportFailure(error, {json: this.jsonEnabled(), help})
    process.exitCode = status
    return this.exit(status)
  }

  #watchInterrupts(): void {
    let times = 0
    process.on('SIGINT', () => {
      times += 1
      if (this.#onInterrupt) this.#onInterrupt(times)
      else process.exit(reportFailure(new Interrupted(), {json: this.jsonEnabled()}))
    })
  }

  /** At the very end, however it comes: which command, how long, which status. */
  #keepUsage(): void {
    const from = Date.now()
    process.once('exit', status => {
      spoolUsage({
        command: (this.id ?? 'unknown').replaceAll(':', ' ').slice(0, 64),
        durationMs: Date.now() - from,
        exit: Number(status) & 255,
        at: from,
        version: this.config.version.slice(0, 32),
        platform: process.platform,
        ...(this.usageTool === undefined ? {} : {tool: this.usageTool.slice(0, 64)}),
        ...(this.usageRole === undefined ? {} : {role: this.usageRole.slice(0, 128)}),
        ...(this.usageDenial === undefined ? {} : {denied: this.usageDenial.category}),
        ...(this.usageDenial?.action ? {action: this.usageDenial.action} : {}),
        ...(this.usageAnswer === undefined ? {} : {answer: this.usageAnswer}),
      })
    })
  }
}
