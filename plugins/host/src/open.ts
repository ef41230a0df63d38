/** The broker's end: it starts the runner, asks it, and holds the streams that the runner hands to the tools. */
import {type ChildProcess, fork} from 'node:child_process'
import {randomBytes} from 'node:crypto'
import {rmSync} from 'node:fs'
import {dirname} from 'node:path'
import {Readable, Writable} from 'node:stream'
import type {Access, Channel, Exit, StartOptions, Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {awsKeys, keepFresh} from './credential.ts'
import {makeFolders, sweepFolders} from './folders.ts'
import {type FromRunner, type Isolation, type Limit, type Platform, type ToRunner, tokenBytes} from './messages.ts'
import {openInput, openOutput} from './streams.ts'
import type {Target} from './target.ts'

/** What a runner is started with: {@link StartOptions}, and for tests the isolation to use. */
export interface RunnerOptions extends StartOptions {
  isolation?: Isolation
}

/** One runner and all it runs. */
export interface Runner {
  readonly pid: number
  readonly platform: Platform
  /** `access`: whose keys of AWS the program is given, and only it; absent: none */
  open(use: Use, signal: AbortSignal, access?: Access): Promise<Channel>
  inspect(program: {path: string; sha256?: string}): Promise<{path: string; sha256: string}>
  /** resolves when it is gone, whatever the cause */
  readonly gone: Promise<void>
  stop(): Promise<void>
}

interface Waiting {
  opened(): void
  inspected(program: {path: string; sha256: string}): void
  refused(error: ProdError): void
  ended(exit: Exit, limit: Limit | null): void
}

const readyMilliseconds = 20_000
const lost = {unknown: 'the runner died'}

/** Starts a runner. It ends everything it runs, and itself, when this process goes. */
export async function startRunner(
  options: RunnerOptions,
  dead: readonly string[] = [],
  instance = randomBytes(9).toString('hex'),
): Promise<Runner> {
  await sweepFolders()
  const {folder, socket} = makeFolders()
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'))
  const fromSources = extension === '.ts'
  // to strip the sources of their types takes longer than all else a runner does at start
  const {NODE_COMPILE_CACHE} = process.env
  const child = fork(new URL(`./runner${extension}`, import.meta.url), [], {
    execArgv: [...(fromSources ? ['--conditions=source'] : []), '--max-old-space-size=128', '--max-semi-space-size=1'],
    env: {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      ...(fromSources && NODE_COMPILE_CACHE && {NODE_COMPILE_CACHE}),
    },
    cwd: '/',
    detached: true,
    serialization: 'json',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const waiting = new Map<string, Waiting>()
  const gone = new Promise<void>(resolve => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  }).then(() => {
    rmSync(folder, {recursive: true, force: true})
    for (const each of waiting.values()) {
      each.refused(new ProdError('TARGET_UNREACHABLE', lost.unknown, 'prod doctor'))
      each.ended(lost, null)
    }
    waiting.clear()
  })
  // a process with nothing open here may end: the runner follows it
  const hold = () => {
    const busy = waiting.size > 0
    for (const each of [child, child.channel]) busy ? each?.ref() : each?.unref()
  }
  const platform = await ready(child, {folder, socket}, options, dead, instance)
  child.on('message', (message: FromRunner) => {
    if (message.type === 'ready') return
    const asked = waiting.get(message.id)
    if (message.type === 'opened') asked?.opened()
    else if (message.type === 'inspected') asked?.inspected(message.program)
    else if (message.type === 'refused') asked?.refused(new ProdError(message.code, message.message, message.hint))
    else asked?.ended(message.exit, message.limit)
    if (message.type !== 'opened') waiting.delete(message.id)
    hold()
  })
  hold()
  const tell = (message: ToRunner) => {
    if (child.connected) child.send(message, () => {})
  }
  const wait = (id: string, each: Waiting) => {
    if (!child.connected) throw new ProdError('TARGET_UNREACHABLE', lost.unknown, 'prod doctor')
    waiting.set(id, each)
    hold()
  }
  return {
    pid: child.pid as number,
    platform,
    gone,
    open: (use, signal, access) => openChannel({socket, tell, wait}, use, signal, access),
    inspect: program =>
      new Promise((resolve, reject) => {
        const id = randomBytes(9).toString('hex')
        wait(id, {opened: () => {}, inspected: resolve, refused: reject, ended: () => {}})
        tell({type: 'inspect', id, program})
      }),
    stop: async () => {
      if (child.connected) child.disconnect()
      child.ref()
      await gone
    },
  }
}

async function ready(
  child: ChildProcess,
  {folder, socket}: {folder: string; socket: string},
  options: RunnerOptions,
  dead: readonly string[],
  instance: string,
): Promise<Platform> {
  const {development, hide, isolation = null} = options
  // a tool of the same user knocks at no socket of ours
  const settings = {
    socket,
    folder,
    development,
    hide: [...hide, dirname(socket)],
    isolation,
    dead: [...dead],
    instance,
  }
  return new Promise((resolve, reject) => {
    const failed = () =>
      reject(new ProdError('TARGET_UNREACHABLE', 'the runner for programs on this machine does not start', 'prod doctor'))
    const timer = setTimeout(() => child.kill('SIGKILL'), readyMilliseconds)
    child.once('exit', failed)
    child.once('error', failed)
    child.once('message', (message: FromRunner) => {
      clearTimeout(timer)
      child.off('exit', failed)
      if (message.type === 'ready') resolve(message.platform)
    })
    // a failure to send shows as its exit
    child.send({type: 'start', settings} satisfies ToRunner, () => {})
  })
}

async function openChannel(
  {socket, tell, wait}: {socket: string; tell: (message: ToRunner) => void; wait: (id: string, each: Waiting) => void},
  use: Use,
  signal: AbortSignal,
  access: Access | undefined,
): Promise<Channel> {
  if (use.kind === 'forward') throw new ProdError('TARGET_INVALID', 'this machine forwards no ports', 'prod targets')
  signal.throwIfAborted()
  const keys = access && awsKeys(access.credential)
  const until = Date.now() + use.limits.wallSeconds * 1000
  const id = randomBytes(9).toString('hex')
  const newToken = () => randomBytes(tokenBytes / 2).toString('hex')
  const tokens = {
    stdin: use.kind === 'shell' || use.stdin ? newToken() : null,
    stdout: newToken(),
    stderr: use.kind === 'exec' ? newToken() : null,
  }

  let limit: Limit | undefined
  let finish: (exit: Exit) => void = () => {}
  const ended = new Promise<Exit>(resolve => {
    finish = resolve
  })
  let leave = () => {}
  const opened = new Promise<void>((resolve, reject) => {
    wait(id, {
      opened: resolve,
      inspected: () => {},
      refused: reject,
      ended: (exit, which) => {
        if (which !== null) limit = which
        finish(exit)
      },
    })
    leave = () => reject(signal.reason as Error)
    signal.addEventListener('abort', leave, {once: true})
  })
  tell({type: 'open', id, use, tokens, keys: keys ?? null})
  const stdout = openOutput(socket, tokens.stdout)
  const stderr = tokens.stderr === null ? Readable.from([]) : openOutput(socket, tokens.stderr)
  const stdin = tokens.stdin === null ? new Writable({write: (_chunk, _encoding, done) => done()}) : openInput(socket, tokens.stdin)
  try {
    await opened
  } catch (error) {
    tell({type: 'end', id})
    for (const each of [stdin, stdout, stderr]) each.destroy()
    throw error
  } finally {
    signal.removeEventListener('abort', leave)
  }
  const stopRenewing = keys ? keepFresh(access, keys, until, fresh => tell({type: 'renew', id, keys: fresh})) : () => {}
  void ended.then(() => {
    stopRenewing()
    stdin.destroy()
  })
  return {
    stdin,
    stdout,
    stderr,
    ended,
    resize: size => use.kind === 'shell' && tell({type: 'resize', id, size}),
    signal: name => tell({type: 'signal', id, name}),
    end: () => {
      tell({type: 'end', id})
      return ended
    },
    get limit() {
      return limit
    },
  }
}

let options: RunnerOptions = {development: false, hide: []}
let current: Promise<Runner> | undefined
const dead: string[] = []

/** Starts the runner now, while this process is small. What it returns ends everything and the runner. */
export async function start(given: RunnerOptions = {development: false, hide: []}): Promise<() => Promise<void>> {
  options = given
  await runner()
  return async () => {
    const last = current
    current = undefined
    await (await last?.catch(() => undefined))?.stop()
  }
}

/** The runner, or a new one after it died. */
function runner(): Promise<Runner> {
  if (current) return current
  const instance = randomBytes(9).toString('hex')
  const starting = startRunner(options, dead, instance)
  current = starting
  const forget = () => {
    if (current !== starting) return
    dead.push(instance)
    current = undefined
  }
  starting.then(started => started.gone.then(forget), forget)
  return starting
}

/** Opens a program or a shell on this machine. Throws TARGET_UNREACHABLE, TOOL_UNAVAILABLE, or the signal's reason. */
export async function open(_target: Target, use: Use, access: Access, signal: AbortSignal): Promise<Channel> {
  signal.throwIfAborted()
  return (await runner()).open(use, signal, access)
}

/** What a program is now: its real path and digest. Throws TOOL_UNAVAILABLE. */
export async function inspect(_target: Target, program: {path: string; sha256?: string}): Promise<{path: string; sha256: string}> {
  return (await runner()).inspect(program)
}

/** What this machine gives, as lines for `prod doctor`. */
export async function checks(): Promise<{name: string; ok: boolean; detail: string}[]> {
  const {platform} = await runner()
  const {isolation, rootless, changesUser} = platform
  const kept = {
    namespaces: rootless ? 'namespaces, inside a user namespace' : 'namespaces',
    bubblewrap: 'bubblewrap; a death by signal shows as 128+n',
    processes: 'no namespaces here: programs are watched, and one that hides well may outlive its run',
  }[isolation]
  return [
    {name: 'host: isolation', ok: isolation !== 'processes', detail: kept},
    {
      name: 'host: folders of the broker',
      ok: platform.hides,
      detail: platform.hides ? 'hidden from what runs here' : 'not hidden from what runs here: only file modes protect them',
    },
    {
      name: 'host: accounts',
      ok: changesUser || options.development,
      detail: changesUser
        ? 'programs run under the account that the catalog names'
        : "the broker is not root: programs can only run as the broker's own user (development)",
    },
    {
      name: 'host: no new privileges',
      ok: platform.noNewPrivileges,
      detail: platform.noNewPrivileges ? 'set for every program' : 'setpriv of util-linux is missing: setuid programs still work',
    },
    {
      name: 'host: core dumps',
      ok: platform.coreDumpsOff,
      detail: platform.coreDumpsOff ? 'off for broker, runner and programs' : 'prlimit of util-linux is missing: off for programs alone',
    },
    {
      name: 'host: argv[0]',
      ok: platform.namesItself,
      detail: platform.namesItself ? 'as given' : 'bash is missing: a program sees the name of a descriptor',
    },
    {name: 'host: shells', ok: platform.terminal, detail: platform.terminal ? 'possible' : 'bash or setsid is missing'},
    {
      name: 'host: what definitions name',
      ok: platform.confines,
      detail: platform.confines
        ? 'a tool with `needs` gets these alone: read-only root folder, closed places, a /tmp, /dev and /proc of its own'
        : `not kept, ${platform.whyOpen}: a program reads and writes what its account may`,
    },
    {
      name: 'host: network',
      ok: platform.closesNetwork,
      detail: platform.closesNetwork
        ? 'none for a tool whose `needs` do not name it; to which destinations is for its grammar and your firewall'
        : `not kept from programs: ${platform.whyOpen}`,
    },
    {
      name: 'host: control groups',
      ok: platform.groups.ends || isolation !== 'processes',
      detail: platform.groups.limits
        ? 'memory and processes are held by the kernel'
        : `limits are kept by looking each 100 ms: ${platform.groups.why}`,
    },
    {
      name: 'host: system calls',
      ok: true,
      detail: 'not filtered: the account, the namespaces and no new privileges are the bound',
    },
  ]
}
