import * as Args from '@oclif/core/args'
import * as Flags from '@oclif/core/flags'
import type {ApprovalDocument, HostPort} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {canAsk} from '@prod/sdk/cli/ask'
import {clientInfo} from '@prod/sdk/cli/client-info'
import {ProdCommand} from '@prod/sdk/cli/command'
import {showClock} from '@prod/sdk/cli/durations'
import {newKey} from '@prod/sdk/cli/key'
import {keepingRefusal} from '@prod/sdk/cli/last-failure'
import {writeResult} from '@prod/sdk/cli/output'
import {takeReason} from '@prod/sdk/cli/reason'
import {ProdError} from '@prod/sdk/errors'
import {showHostPort, sortPlaces} from '@prod/sdk/forward'
import type {FirstMessage} from '@prod/sdk/wire'
import {pickForward} from '../catalog/pick.ts'
import {carry, type Streams} from '../channel/connection.ts'
import {statusOf} from '../channel/exec.ts'
import {ForwardEnd, type ForwardOutcome, type Started} from '../channel/forward.ts'
import {type Listening, listen} from '../channel/listen.ts'
import {isExposed, type Listen, parseListen, parsePlace, showLocal} from '../channel/listen-spec.ts'
import {openStreams} from '../channel/login.ts'
import {runWith} from '../channel/run-with.ts'

/** What `forward --json` prints, once it is open. */
interface Ready {
  ready: true
  session: string
  request: string
  target: string
  environment: string
  expiresAt: string | null
  forwards: (({address: string; port: number} | {path: string}) & {to: HostPort})[]
}

type Flagged = Awaited<ReturnType<Forward['parseOwn']>>['flags']

/** Ports of production, here. */
export default class Forward extends ProdCommand {
  static override summary = 'forward ports of a target to this machine'
  static override description =
    'Each connection to a port here is one through the broker to HOST:PORT, as the target sees it: localhost is the target itself. The catalog says where a target’s forwards may lead, policy who may have them, and what is approved names every place. Ends with Ctrl-C, with the command after --, or when its time or the right to it is over. Only this machine can use the ports.'
  static override usage = 'forward TARGET -L [ADDR:]PORT:HOST:PORT… [--reason R] [-- CMD…]'
  static override args = {target: Args.string({description: 'name of a target, or a request of yours that was approved (req_…)'})}
  static override flags = {
    listen: Flags.string({
      char: 'L',
      description: 'PORT, PORT:HOST:PORT, ADDR:PORT:HOST:PORT or /SOCKET:HOST:PORT, as in ssh; port 0: a free one; may be repeated',
      helpValue: '[ADDR:]PORT:HOST:PORT',
      multiple: true,
      multipleNonGreedy: true,
    }),
    stdio: Flags.string({
      description: 'one connection, of stdin and stdout: for ssh’s ProxyCommand',
      helpValue: '[HOST:]PORT',
      exclusive: ['listen', 'json'],
    }),
    expose: Flags.boolean({description: 'allow an ADDR at which other machines can come in', dependsOn: ['listen']}),
    reason: Flags.string({char: 'r', description: 'why, in your words; approvers and the log see it'}),
    incident: Flags.string({char: 'i', description: 'the incident this belongs to', helpValue: 'ID'}),
    nowait: Flags.boolean({description: 'do not wait for approval: print the request id and end with 245'}),
    'break-glass': Flags.boolean({
      description: 'in an emergency: at once, alerted and reviewed; asks for the target’s name to be typed by hand',
      exclusive: ['stdio'],
    }),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %> web -L 8080:localhost:80 --reason "look at the page that fails"',
    '<%= config.bin %> <%= command.id %> bastion -L 5432:db.internal.example:5432 -L 6379:cache.internal.example:6379 -r "slow queries, INC-1234"',
    '<%= config.bin %> <%= command.id %> bastion -L 0:db.internal.example:5432 -r "slow queries" -- sh -c \'psql -h 127.0.0.1 -p $PROD_FORWARD_PORT\'',
    'ssh -o ProxyCommand=\'<%= config.bin %> <%= command.id %> %h --stdio 22 --reason "look at the disk alert"\' web',
  ]

  async run(): Promise<unknown> {
    const at = this.argv.indexOf('--')
    const command = at < 0 ? [] : this.argv.slice(at + 1)
    // its name alone, never an argument
    if (command[0] !== undefined) this.usageTool = command[0].split('/').at(-1)
    const {args, flags} = await this.parseOwn(at < 0 ? this.argv : this.argv.slice(0, at))
    const place = flags.stdio === undefined ? undefined : parsePlace(flags.stdio)
    if (at >= 0 && (command.length === 0 || place))
      throw new ProdError('USAGE', place ? '--stdio runs no command' : 'there is no command after --', 'prod forward TARGET -L … -- CMD')
    let listens = (flags.listen ?? []).map(parseListen)
    const exposed = listens.find(isExposed)
    if (exposed && !flags.expose)
      throw new ProdError('USAGE', `other machines could come in at ${showLocal(exposed.listen)}`, '--expose, if that is wanted')
    this.#needHand(flags)

    const target = args.target?.startsWith('req_') ? args.target : await pickForward(this.broker(), args.target)
    let first: FirstMessage & {type: 'forward' | 'attach'}
    if (target.startsWith('req_')) {
      listens = await this.#approved(target, place, listens)
      first = {type: 'attach', id: target, have: {stdout: 0, stderr: 0}, client: clientInfo()}
    } else {
      const to = sortPlaces(place ? [place] : listens.map(one => one.to))
      if (to.length === 0) throw new ProdError('USAGE', 'nothing is said of ports', `prod forward ${target} -L 8080:localhost:80`)
      const {reason} = await takeReason(flags.reason, this.login)
      first = {
        type: 'forward',
        key: newKey(),
        target,
        to,
        reason,
        ...(flags.incident === undefined ? {} : {incident: flags.incident}),
        ...(flags['break-glass'] ? {breakGlass: {confirmed: null}} : {}),
        wait: !flags.nowait,
        client: clientInfo(),
      }
    }
    const go = () => this.#go(first, place, listens, command)
    return first.type === 'forward' ? keepingRefusal({target, use: 'forward'}, go) : go()
  }

  async #go(
    first: FirstMessage & {type: 'forward' | 'attach'},
    place: HostPort | undefined,
    listens: Listen[],
    command: string[],
  ): Promise<unknown> {
    const streams = await openStreams(this.brokerFlag)
    if (place) return this.#pipe(streams, first, place)
    const ports = await listen(listens)
    try {
      return await this.#hold(streams, first, ports, command)
    } finally {
      ports.close()
    }
  }

  /** What stands before `--` is ours. */
  protected parseOwn(argv: string[]) {
    return this.parse(Forward, argv)
  }

  /** Said before anything is asked or sent: nothing confirms a break-glass but a hand, and each has a reason of its own. */
  #needHand(flags: Flagged): void {
    if (flags.reason === '-') throw new ProdError('REASON_INVALID', 'a forward takes a reason of its own', '--reason "why, in your words"')
    if (!flags['break-glass'] || canAsk()) return
    const why = this.jsonEnabled() ? '--json asks nobody' : 'there is no terminal to ask at'
    throw new ProdError(
      'NO_TERMINAL',
      `break-glass is confirmed by hand, and ${why}`,
      'type the same command at a terminal, without --json',
    )
  }

  /** Where an approved request may lead: all of it at the same ports here, unless -L says otherwise. */
  async #approved(id: string, place: HostPort | undefined, listens: Listen[]): Promise<Listen[]> {
    const {document} = await this.broker().call(api.requestDocument, {id})
    const {kind, to = []} = JSON.parse(document) as ApprovalDocument
    if (kind !== 'forward') throw new ProdError('USAGE', `${id} is no forward`, `prod attach ${id}`)
    const known = to.map(showHostPort)
    const other = [...(place ? [place] : []), ...listens.map(one => one.to)].map(showHostPort).find(one => !known.includes(one))
    if (other !== undefined)
      throw new ProdError('FORWARD_REFUSED', `${id} leads to ${known.join(', ')}, not to ${other}`, `prod request show ${id}`)
    return listens.length > 0 ? listens : to.map(one => ({listen: {host: '127.0.0.1', port: one.port}, to: one}))
  }

  /** Serves ports until the forward ends; a command, if there is one, until that does. */
  async #hold(streams: Streams, first: FirstMessage & {type: 'forward' | 'attach'}, ports: Listening, command: string[]): Promise<unknown> {
    let status: Promise<number> | undefined
    let endCommand = (): void => {}
    const forward = new ForwardEnd({
      ...streams,
      first,
      onOpen: started => {
        ports.open(streams, started.id)
        this.#sayOpen(started, ports.listens, command)
        if (command.length === 0) return
        const running = runWith(command, variables(ports.listens))
        endCommand = running.end
        this.onInterrupt(() => undefined) // the command decides
        status = running.status.finally(() => forward.close())
        status.catch(() => {}) // told below
      },
    })
    this.#watchSignals(forward)
    const outcome = await forward.follow()
    ports.close()
    if ('pending' in outcome) return this.#pending(outcome.pending)
    this.#sayEnd(outcome)
    const {end} = outcome
    if (status === undefined) {
      this.endWith(statusOf(end))
      return undefined
    }
    if (end.endedBy === null && 'status' in end.exit) this.endWith(await status)
    else {
      endCommand()
      await status
      this.endWith(statusOf(end))
    }
    return undefined
  }

  /** One connection of our own stdin and stdout. The far side's end is the end of it. */
  async #pipe(streams: Streams, first: FirstMessage & {type: 'forward' | 'attach'}, to: HostPort): Promise<unknown> {
    const opened = Promise.withResolvers<string>()
    const forward = new ForwardEnd({...streams, first, onOpen: ({id}) => opened.resolve(id)})
    this.#watchSignals(forward)
    const following = forward.follow()
    const begun = await Promise.race([opened.promise, following])
    if (typeof begun !== 'string') {
      if ('pending' in begun) return this.#pending(begun.pending)
      this.#sayEnd(begun)
      return this.endWith(statusOf(begun.end))
    }
    const farEnd = Promise.withResolvers<void>()
    const carried = carry({input: process.stdin, output: process.stdout, onFarEnd: farEnd.resolve}, streams, begun, to)
    // a failure of the forward itself says more than that of its connection
    const result = await Promise.race([
      Promise.race([carried.ended, farEnd.promise]).then(
        end => ({end: end ?? null}),
        (error: unknown) => ({error}),
      ),
      following.then(outcome => ({outcome})),
    ])
    process.stdin.destroy()
    if ('outcome' in result && 'end' in result.outcome) {
      this.#sayEnd(result.outcome)
      return this.endWith(statusOf(result.outcome.end))
    }
    forward.close()
    if ('error' in result) {
      await following.catch(() => {})
      throw result.error
    }
    const outcome = await following
    if ('end' in outcome) this.endWith(statusOf('end' in result && result.end ? result.end : outcome.end))
    return undefined
  }

  #watchSignals(forward: ForwardEnd): void {
    const cancel = (): void => forward.cancel()
    this.onInterrupt(times => (times >= 2 ? process.exit(130) : cancel()))
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.once(signal, cancel)
  }

  #pending(request: string): {request: string} {
    this.log(request)
    if (process.stderr.isTTY) this.say(`prod forward ${request} opens it once it is approved`)
    this.endWith(245)
    return {request}
  }

  #sayOpen({id, request, target, environment, expiresAt}: Started, listens: readonly Listen[], command: readonly string[]): void {
    if (this.jsonEnabled()) {
      const forwards = listens.map(({listen: at, to}) => ({...('path' in at ? at : {address: at.host, port: at.port}), to}))
      const ready: Ready = {ready: true, session: id, request, target, environment, expiresAt: expiresAt ?? null, forwards}
      if (command.length === 0) writeResult(JSON.stringify(ready))
      this.answered = true
      return
    }
    const until = expiresAt === undefined ? '' : `; it ends at ${showClock(expiresAt, new Date())} at the latest`
    this.say(`${id} through ${target} (${environment})${until}`)
    const lines = listens.map(({listen: at, to}) => `${showLocal(at)} leads to ${showHostPort(to)}`)
    if (command.length > 0) this.say(lines)
    else this.log(lines)
  }

  #sayEnd({end: {id, endedBy}, breakGlass}: ForwardOutcome): void {
    const how = endedBy === null || endedBy === 'cancelled' ? 'is closed' : `was ended: ${endedBy}`
    if (!this.jsonEnabled()) this.say(`${id} ${how}${breakGlass ? '; this was break-glass, and its review waits: prod review ls' : ''}`)
  }
}

/** `PROD_FORWARD_PORT` and `PROD_FORWARD_ADDRESS` of the first port, or its `PROD_FORWARD_SOCKET`; `PROD_FORWARD_PORT_2`, … of those after it. */
function variables(listens: readonly Listen[]): Record<string, string> {
  return Object.fromEntries(
    listens.flatMap(({listen: at}, index) => {
      const number = index === 0 ? '' : `_${index + 1}`
      if ('path' in at) return [[`PROD_FORWARD_SOCKET${number}`, at.path]]
      return [
        [`PROD_FORWARD_PORT${number}`, String(at.port)],
        [`PROD_FORWARD_ADDRESS${number}`, at.host === '::' || at.host === '0.0.0.0' ? '127.0.0.1' : at.host],
      ]
    }),
  )
}
