/** The runner: a small process that starts every program, so that the broker never forks. It moves no bytes itself. */
import {fork, spawn, spawnSync} from 'node:child_process'
import {closeSync, existsSync, readdirSync, readFileSync, realpathSync} from 'node:fs'
import {chown, mkdir, mkdtemp, rm} from 'node:fs/promises'
import type {Socket} from 'node:net'
import {basename, dirname, join} from 'node:path'
import type {Exit, Needs, Use} from '@prod/sdk'
import {describeError, ProdError} from '@prod/sdk/errors'
import {type Account, accountFor} from './accounts.ts'
import {commandLine} from './command.ts'
import type {Places, Wishes} from './confine.ts'
import {type Handed, handKeys} from './credential.ts'
import {completeEnvironment} from './environment.ts'
import {type Group, type Groups, openGroups} from './groups.ts'
import {bubblewrapCages, type Cage, type Cages, exitOf, findInstruments, namespaceCages, watchedCages} from './isolation.ts'
import {type Links, listen} from './links.ts'
import type {AwsKeys, FromRunner, FromTerminal, Isolation, Platform, Settings, Tokens, ToRunner, ToTerminal} from './messages.ts'
import {settleFolder, settlePaths, settlePlaces} from './paths.ts'
import {isMarked, listProcesses, signalProcess} from './processes.ts'
import {holdProgram} from './program.ts'
import {type Tree, watchTree} from './tree.ts'

interface Live {
  readonly tree: Tree
  readonly terminal: ReturnType<typeof fork> | null
  readonly handed: Handed | undefined
}

/** smallest size of the private folders of a run */
const minScratchBytes = 16 * 1024 ** 2
/** what most runs ask of a cage */
const usual: Wishes = {needs: null, owner: null, scratchBytes: 256 * 1024 ** 2}
const prepareMilliseconds = 25
const noNeeds: Needs = {network: false, processes: false, reads: [], writes: []}

const instruments = findInstruments()
const live = new Map<string, Live>()
/** on their way, and whether somebody has ended them already */
const opening = new Map<string, {unwanted: boolean}>()
let settings: Settings
let cages: Cages
let streams: Links
let groups: Groups

const say = (message: FromRunner) => {
  // a broker that is gone hears nothing: the end of the channel says so
  if (process.connected) process.send?.(message, () => {})
}

closeInherited()
process.umask(0o077)
// the terminal's Ctrl-C and hang-up are the broker's business
process.on('SIGINT', () => {})
process.on('SIGHUP', () => {})
process.on('SIGTERM', () => void stop())
process.on('disconnect', () => void stop())
process.on('message', (message: ToRunner) => void handle(message))

async function handle(message: ToRunner): Promise<void> {
  if (message.type === 'start') return begin(message.settings)
  if (message.type === 'inspect' || message.type === 'open') {
    try {
      if (message.type === 'inspect') {
        const held = await holdProgram(message.program, owners(), true)
        await held.file.close()
        say({type: 'inspected', id: message.id, program: {path: held.path, sha256: held.sha256 as string}})
      } else {
        opening.set(message.id, {unwanted: false})
        await open(message.id, message.use, message.tokens, message.keys)
      }
    } catch (error) {
      const {
        code,
        message: text,
        hint,
      } = describeError(
        error instanceof ProdError
          ? error
          : new ProdError('TARGET_UNREACHABLE', `the program could not be started: ${(error as Error).message}`, 'prod doctor'),
      )
      say({type: 'refused', id: message.id, code, message: text, ...(hint === undefined ? {} : {hint})})
    } finally {
      opening.delete(message.id)
    }
    return
  }
  const found = live.get(message.id)
  if (message.type === 'end') {
    if (found) found.tree.end()
    else {
      const coming = opening.get(message.id)
      if (coming) coming.unwanted = true
    }
  } else if (message.type === 'renew') await found?.handed?.renew(message.keys).catch(() => {})
  else if (message.type === 'signal') found?.tree.signal(message.name, found.terminal !== null)
  else if (found?.terminal?.connected) found.terminal.send({type: 'resize', size: message.size} satisfies ToTerminal)
}

async function begin(given: Settings): Promise<void> {
  settings = {
    ...given,
    hide: given.hide.filter(path => existsSync(dirname(path))).map(path => join(realpathSync(dirname(path)), basename(path))),
  }
  const coreDumpsOff = noCoreDumps()
  endLeftovers(given.dead)
  const {found, hides} = await chooseIsolation(settings)
  cages = found
  const closed = await confinement(found)
  groups = openGroups(settings.instance)
  cages.prepare(usual)
  const platform: Platform = {
    isolation: cages.isolation,
    rootless: cages.rootless,
    hides,
    noNewPrivileges: instruments.setpriv !== undefined,
    coreDumpsOff,
    namesItself: instruments.bash !== undefined,
    changesUser: process.getuid?.() === 0,
    terminal: instruments.setsid !== undefined && instruments.bash !== undefined,
    ...closed,
    groups: {ends: groups.ends, limits: groups.limits, why: groups.why},
  }
  streams = await listen(settings.socket)
  say({type: 'ready', platform})
}

/** The best that works here: each is tried with a program that dies of a signal. */
async function chooseIsolation({isolation, hide, folder}: Settings): Promise<{found: Cages; hides: boolean}> {
  const rootless = process.getuid?.() !== 0
  const candidates: [Isolation, () => Cages, boolean][] = [
    ['namespaces', () => namespaceCages(instruments, hide, rootless, folder), true],
    ['bubblewrap', () => bubblewrapCages(instruments, hide, folder), true],
    ['namespaces', () => namespaceCages(instruments, [], rootless, folder), hide.length === 0],
    ['bubblewrap', () => bubblewrapCages(instruments, [], folder), hide.length === 0],
  ]
  for (const [name, make, hides] of candidates) {
    if (isolation !== null && isolation !== name) continue
    if (name !== 'namespaces' && name !== 'bubblewrap') continue
    try {
      const found = make()
      if (await works(found)) return {found, hides}
      await found.stop()
    } catch {
      // the next one then
    }
  }
  return {found: watchedCages(), hides: false}
}

/** Whether programs can be held to what their definitions say they need, and be kept from the network. */
async function confinement(found: Cages): Promise<Pick<Platform, 'confines' | 'closesNetwork' | 'whyOpen'>> {
  if (found.isolation === 'processes') return {confines: false, closesNetwork: false, whyOpen: 'this machine gives no namespaces'}
  const holds = async (needs: Needs) => await works(found, {...usual, needs}).catch(() => false)
  const closesNetwork = await holds(noNeeds)
  const bubblewrap = instruments.bwrap !== undefined
  const confines = bubblewrap && (closesNetwork || (await holds({...noNeeds, network: true})))
  const whyOpen = confines && closesNetwork ? null : bubblewrap ? 'bubblewrap may not do that here' : 'bubblewrap is not installed'
  return {confines, closesNetwork, whyOpen}
}

async function works(candidate: Cages, wishes = usual): Promise<boolean> {
  const held = await holdProgram({path: realpathSync('/bin/sh')}, owners())
  const places = candidate.hasPlaces ? undefined : await makePlaces(null)
  let cage: Cage | undefined
  try {
    cage = await candidate.take(wishes, places?.folder)
    const limits = {wallSeconds: 5, cpuSeconds: 5, memoryBytes: 2 ** 30, processes: 64, fileBytes: 1024, outputBytes: 0}
    const command = commandLine(instruments, cage, {
      env: {},
      cwd: '/',
      limits,
      account: null,
      program: 'binary',
      argv: ['sh', '-c', 'kill -s TERM $$'],
    })
    const {status, signal} = await exitOf(
      spawn(command.file, command.args, {env: command.env, cwd: '/', stdio: ['ignore', 'ignore', 'ignore', held.file.fd], timeout: 5000}),
    )
    return signal === 'SIGTERM' || (candidate.isolation === 'bubblewrap' && status === 143)
  } finally {
    await held.file.close()
    await giveBack(cage)
    if (places) await rm(places.folder, {recursive: true, force: true})
  }
}

async function giveBack(cage: Cage | undefined): Promise<void> {
  await cage?.close?.()
  await cage?.release?.()
}

/** What a run asks of its cage. */
function wishesOf(use: Exclude<Use, {kind: 'forward'}>, account: Account | null): Wishes {
  const {fileBytes, memoryBytes} = use.limits
  const named = use.kind === 'exec' ? (use.needs ?? null) : null
  const cwd = use.kind === 'exec' && use.cwd !== undefined ? [use.cwd] : []
  return {
    needs: named && {...named, reads: [...named.reads, ...cwd.filter(path => !named.writes.includes(path))]},
    owner: account && {uid: account.uid, gid: account.gid},
    scratchBytes: Math.max(minScratchBytes, Math.min(4 * fileBytes, memoryBytes)),
  }
}

async function open(id: string, use: Exclude<Use, {kind: 'forward'}>, tokens: Tokens, keys: AwsKeys | null): Promise<void> {
  const account = await accountFor(use.runAs, settings.development)
  const held = use.kind === 'exec' ? await holdProgram(use.program, owners()) : undefined
  const wishes = wishesOf(use, account)
  const links: Socket[] = []
  let folder: string | undefined
  let cage: Cage | undefined
  let group: Group | undefined
  let handed: Handed | undefined
  try {
    // nothing comes on them before we say that it is open, and by then they are the tool's alone
    const sockets = await Promise.all(
      [tokens.stdin, tokens.stdout, tokens.stderr].map(async token => (token === null ? null : streams.take(token))),
    )
    links.push(...sockets.filter(socket => socket !== null))
    let onDisk = cages.hasPlaces ? undefined : await makePlaces(account)
    folder = onDisk?.folder
    cage = await cages.take(wishes, folder)
    if (!cage.places) onDisk ??= await makePlaces(account)
    folder = onDisk?.folder
    const places = (cage.places ?? onDisk) as Places
    if (use.kind === 'exec') {
      const {own} = owners()
      // what is hidden is covered, whoever names it
      const covered = (path: string) => settings.hide.some(folder => path === folder || path.startsWith(`${folder}/`))
      const named = [...(wishes.needs?.reads ?? []), ...(wishes.needs?.writes ?? [])].filter(path => !covered(path))
      await settlePlaces(named, cage, own)
      if (use.cwd !== undefined) await settleFolder(use.cwd, cage, own)
      await settlePaths(use.paths ?? [], cage, own, use.needs?.writes ?? [])
    }
    if (use.kind === 'exec' && (groups.limits || cage.ours === 0)) group = groups.open(use.limits)
    // without a namespace, members are known by a mark
    const mark = cage.ours === 0 ? `PROD_RUN=${settings.instance}.${id}` : null
    const marked: Record<string, string> = mark === null ? {} : {PROD_RUN: mark.slice('PROD_RUN='.length)}
    if (keys) handed = await handKeys(keys, places.home, cage.seen ?? '', wishes.owner, Date.now() + use.limits.wallSeconds * 1000)
    const env = {...completeEnvironment(use.env, places.home), ...handed?.env, ...marked}
    const cwd = use.kind === 'shell' ? places.home : (use.cwd ?? places.cwd)
    const plan = {env, cwd, limits: use.limits, account, joins: group !== undefined}

    let root: number
    let exited: Promise<Exit>
    let terminal: Live['terminal'] = null
    if (use.kind === 'exec' && held) {
      const program = held.script ? 'script' : 'binary'
      const command = commandLine(instruments, cage, {...plan, program, argv: use.argv})
      if (opening.get(id)?.unwanted) throw new ProdError('TARGET_UNREACHABLE', 'it was ended before it began', 'prod doctor')
      const child = spawn(command.file, command.args, {
        ...(account && instruments.setpriv === undefined ? {uid: account.uid, gid: account.gid} : {}),
        env: command.env,
        cwd: command.cwd,
        detached: true,
        stdio: [
          sockets[0] ?? 'ignore',
          sockets[1] ?? 'ignore',
          sockets[2] ?? 'ignore',
          held.file.fd,
          ...(group === undefined ? [] : [group.joinFd]),
        ],
      })
      exited = told(child)
      if (child.pid === undefined) throw new Error('no process')
      root = child.pid
    } else {
      const started = await openTerminal(plan, use as Extract<Use, {kind: 'shell'}>, links, cage)
      root = started.pid
      exited = started.exited
      terminal = started.terminal
    }
    const tree = watchTree({root, exited, cage, limits: use.limits, mark, hangUp: use.kind === 'shell', group})
    live.set(id, {tree, terminal, handed})
    say({type: 'opened', id})
    if (opening.get(id)?.unwanted) tree.end()
    const [home, used, given] = [folder, cage, handed]
    void tree.ended.then(async ({exit, limit}) => {
      await given?.remove().catch(() => {})
      live.delete(id)
      say({type: 'ended', id, exit, limit})
      await used.release?.()
      if (home !== undefined) await rm(home, {recursive: true, force: true}).catch(() => {})
    })
  } catch (error) {
    await handed?.remove().catch(() => {})
    await giveBack(cage)
    await group?.close()
    if (folder !== undefined) await rm(folder, {recursive: true, force: true})
    throw error
  } finally {
    // the tool has its own copies now
    for (const link of links) link.destroy()
    await held?.file.close()
    // the next one of this kind, once this one is under way
    setTimeout(() => stopping ?? cages.prepare(wishes), prepareMilliseconds).unref()
  }
}

/** A shell on a terminal of its own: a process for each moves its bytes, and ends with it. */
async function openTerminal(
  plan: Omit<Parameters<typeof commandLine>[2], 'program' | 'argv'>,
  use: Extract<Use, {kind: 'shell'}>,
  [input, output]: Socket[],
  cage: Parameters<typeof commandLine>[1],
) {
  const {bash, setsid} = instruments
  if (bash === undefined || setsid === undefined)
    throw new ProdError('TARGET_UNREACHABLE', 'a shell needs bash and setsid on this machine', 'prod doctor')
  const comfort = {TERM: 'xterm-256color', SHELL: bash, HISTFILE: '/dev/null'}
  // nobody's start-up files: what a person sees is the same on every machine and cannot be prepared by another
  const argv = ['bash', '--noprofile', '--norc', '-i']
  const prompt = plan.env.PS1 ?? '[prod] \\u@\\h:\\w\\$ '
  const command = commandLine(instruments, cage, {...plan, env: {...comfort, ...plan.env}, program: {path: bash, prompt}, argv})
  const entry = new URL(`./terminal${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`, import.meta.url)
  const {NODE_COMPILE_CACHE} = process.env
  const terminal = fork(entry, [], {
    env: {...(NODE_COMPILE_CACHE && {NODE_COMPILE_CACHE})},
    cwd: '/',
    execArgv: process.execArgv,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc', input ?? 'ignore', output ?? 'ignore'],
    serialization: 'json',
  })
  const owner = plan.account && {uid: plan.account.uid, gid: plan.account.gid}
  const identity = plan.account && instruments.setpriv === undefined ? owner : null
  terminal.send({
    type: 'start',
    bash,
    command: {...command, file: setsid, args: ['--ctty', command.file, ...command.args]},
    size: use.size,
    owner,
    identity,
  } satisfies ToTerminal)
  const exited = new Promise<Exit>(resolve => {
    terminal.on('message', (message: FromTerminal) => {
      if (message.type === 'exit') resolve(message.signal !== null ? {signal: message.signal} : {status: message.status ?? 255})
    })
    terminal.once('exit', () => resolve({unknown: 'its terminal is gone'}))
  })
  const pid = await new Promise<number>((resolve, reject) => {
    terminal.on('message', (message: FromTerminal) => {
      if (message.type === 'started') resolve(message.pid)
      if (message.type === 'failed') reject(new Error(message.message))
    })
    terminal.once('exit', () => reject(new Error('its terminal ended')))
    terminal.once('error', reject)
  })
  return {pid, exited, terminal}
}

/** The folders of one run on the disk, where its cage has none. */
async function makePlaces(account: Account | null): Promise<Places & {folder: string}> {
  const folder = await mkdtemp(join(settings.folder, 'run-'))
  const [cwd, home] = [join(folder, 'work'), join(folder, 'home')]
  await Promise.all([mkdir(cwd, {mode: 0o700}), mkdir(home, {mode: 0o700})])
  if (account) await Promise.all([folder, cwd, home].map(path => chown(path, account.uid, account.gid)))
  return {folder, cwd, home}
}

async function told(child: Parameters<typeof exitOf>[0]): Promise<Exit> {
  const {status, signal, failed} = await exitOf(child)
  if (failed !== undefined) return {unknown: `it could not be started: ${failed}`}
  if (signal !== null) return {signal}
  return status === null ? {unknown: 'the system did not tell'} : {status}
}

function owners() {
  return {own: settings.development ? (process.getuid?.() ?? null) : null}
}

/** Descriptors that whoever started the broker left open must not reach a tool: ours are closed on execution. */
function closeInherited(): void {
  for (const name of readdirSync('/proc/self/fd')) {
    const number = Number(name)
    if (number <= 2) continue
    try {
      const flags = Number.parseInt(/^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${name}`, 'latin1'))?.[1] ?? '', 8)
      if ((flags & 0o2000000) === 0) closeSync(number)
    } catch {
      // it was the folder we read
    }
  }
}

/** Neither broker nor runner nor tools leave their memory on the disk (TM-U2). */
function noCoreDumps(): boolean {
  if (instruments.prlimit === undefined) return false
  return [process.pid, process.ppid].every(
    pid => spawnSync(instruments.prlimit as string, ['--core=0:0', `--pid=${pid}`], {env: {}}).status === 0,
  )
}

/** What runners that were killed could not end: only where nothing but marks keeps a tree together. */
function endLeftovers(dead: readonly string[]): void {
  if (dead.length === 0) return
  for (const {pid} of listProcesses().values()) {
    if (dead.some(instance => isMarked(pid, `PROD_RUN=${instance}.`))) signalProcess(pid, 'SIGKILL')
  }
}

let stopping: Promise<void> | undefined
/** The broker is gone, or wants us to go: everybody is ended first. */
function stop(): Promise<void> {
  stopping ??= (async () => {
    const trees = [...live.values()].map(({tree}) => tree)
    for (const tree of trees) tree.end()
    await Promise.all(trees.map(tree => tree.ended))
    await cages?.stop()
    await groups?.close()
    if (settings) await rm(settings.folder, {recursive: true, force: true}).catch(() => {})
    process.exit(0)
  })()
  return stopping
}
