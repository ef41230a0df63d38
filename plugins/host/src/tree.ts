import {readFileSync} from 'node:fs'
import {constants} from 'node:os'
import type {Exit, Limits} from '@prod/sdk'
import type {Group} from './groups.ts'
import {type Cage, onlyChild, untilGone} from './isolation.ts'
import type {Limit} from './messages.ts'
import {descendants, isMarked, listProcesses, ownMemory, type Process, readProcess, signalProcess} from './processes.ts'

/** How long a tree may tidy up after SIGTERM, before SIGKILL. */
const graceMilliseconds = 2000
const lookMilliseconds = 100
const ticksPerSecond = 100

/** One running program with all that came of it. */
export interface Tree {
  /** Signals the program's process group (`all`: everybody). Waits for the program to be there. */
  signal(name: NodeJS.Signals, all?: boolean): void
  /** Ends everybody: asked first, killed after the grace. Safe to repeat. */
  end(): void
  /** When nobody is left. Never rejects. */
  readonly ended: Promise<{exit: Exit; limit: Limit | null}>
}

interface Watched {
  look(table: Map<number, Process>): void
}

const live = new Set<Watched>()
let timer: NodeJS.Timeout | undefined

/** One look at the machine serves all trees. */
function watch(tree: Watched): void {
  live.add(tree)
  timer ??= setInterval(() => {
    const table = listProcesses()
    for (const each of live) each.look(table)
  }, lookMilliseconds)
}

function unwatch(tree: Watched): void {
  live.delete(tree)
  if (live.size > 0) return
  clearInterval(timer)
  timer = undefined
}

/**
 * Watches a program that was just started.
 * @param root the process we started; the tool is it, or below it
 * @param exited how the root ended
 * @param mark `NAME=value` in the environment of all members, where nothing better keeps them together
 */
export function watchTree(options: {
  root: number
  exited: Promise<Exit>
  cage: Cage
  limits: Limits
  mark: string | null
  hangUp: boolean
  /** the control group that the program joined */
  group?: Group | undefined
}): Tree {
  const {root, cage, limits, mark, group} = options
  const seen = new Map<number, Process>()
  const strangers = new Map<number, number>()
  let limit: Limit | null = null
  let ending = false
  let over = false
  let init = cage.init

  /** bubblewrap's own init inside */
  let keeper: Process | undefined
  const seek =
    cage.ours === 2
      ? setInterval(() => {
          const pid = onlyChild(root)
          if (pid === undefined) return
          keeper = readProcess(pid)
          init = pid
          clearInterval(seek)
        }, 2)
      : undefined

  /** All members but ours, dead ones too, until somebody has buried them. */
  const members = (table = listProcesses()): Process[] => {
    const skip = new Set([root, ...(init === undefined ? [] : [init])])
    const below = descendants(table, skip)
    if (cage.ours === 0) {
      skip.delete(root)
      const self = table.get(root)
      if (self && !over) below.push(self)
    }
    const found = new Map(below.filter(({pid}) => !skip.has(pid)).map(process => [process.pid, process]))
    if (mark !== null) addMarked(table, found)
    for (const [pid, process] of found) seen.set(pid, process)
    return [...found.values()]
  }

  /** Without a namespace, whoever was once seen stays a member, and so does who shares the session or carries the mark. */
  const addMarked = (table: Map<number, Process>, found: Map<number, Process>) => {
    for (const process of table.values()) {
      if (found.has(process.pid)) continue
      if (strangers.get(process.pid) === process.began) continue
      if (seen.get(process.pid)?.began === process.began || process.session === root || isMarked(process.pid, mark as string))
        found.set(process.pid, process)
      // one that has not executed anything yet still shows what it was copied from
      else strangers.set(process.pid, process.began)
    }
    for (const process of descendants(table, found.keys())) found.set(process.pid, process)
    for (const pid of strangers.keys()) if (!table.has(pid)) strangers.delete(pid)
  }

  const breach = (which: Limit) => {
    if (limit !== null || over) return
    limit = which
    void kill()
  }

  const look: Watched = {
    look: table => {
      const all = members(table).filter(({state}) => state !== 'Z' && state !== 'X')
      if (all.length > limits.processes) return breach('processes')
      const ticks = all.reduce((sum, process) => sum + process.ticks, 0)
      if (ticks > limits.cpuSeconds * ticksPerSecond) return breach('cpu')
      // files that many map count for each of them: only when the cheap figure is over is the true one read
      const resident = all.reduce((sum, process) => sum + process.residentPages * pageBytes, 0)
      if (resident > limits.memoryBytes && all.reduce((sum, {pid}) => sum + ownMemory(pid), 0) > limits.memoryBytes) breach('memory')
    },
  }

  /** Kills until nobody is left. */
  const kill = async (): Promise<void> => {
    group?.kill()
    if (cage.close) return cage.close()
    for (;;) {
      const left = members().filter(({state}) => state !== 'Z' && state !== 'X')
      if (cage.ours === 2) {
        if (!over) signalProcess(root, 'SIGKILL')
        // bubblewrap ends before the first process inside: while that one is there, so may be others
        const first = keeper && readProcess(keeper.pid)
        if (first && first.began === keeper?.began && first.state !== 'Z' && first.state !== 'X') left.push(first)
      }
      // a group dies at one stroke, those being forked too: one by one, a fork bomb would always be ahead
      for (const group of new Set(left.map(({group}) => group))) if (group > 1) signalProcess(-group, 'SIGKILL')
      for (const {pid, began} of left) if (readProcess(pid)?.began === began) signalProcess(pid, 'SIGKILL')
      await untilGone(left)
      if (left.length === 0) return
    }
  }

  const signal = (name: NodeJS.Signals, all = false): void => {
    // the program itself first: it may tidy up, and must not see its children go before it hears why
    const reached = members()
      .filter(process => all || process.group === root)
      .sort((a, b) => Number(b.pid === root) - Number(a.pid === root))
    // it is on its way: the root has not forked yet
    if (reached.length === 0 && !over) setTimeout(() => over || signal(name, all), 5)
    for (const {pid} of reached) signalProcess(pid, name)
  }

  const end = () => {
    if (ending || over) return
    ending = true
    if (options.hangUp) signal('SIGHUP', true)
    signal('SIGTERM', true)
    signal('SIGCONT', true)
    setTimeout(() => over || void kill(), graceMilliseconds)
  }

  const wall = setTimeout(() => breach('wall'), Math.min(limits.wallSeconds * 1000, 2 ** 31 - 1))
  watch(look)
  const ended = options.exited.then(async exit => {
    over = true
    clearInterval(seek)
    clearTimeout(wall)
    // the program is over, and so is whatever it left behind
    await kill()
    unwatch(look)
    const kept = limit ?? killedAt(exit, cage) ?? group?.breached() ?? null
    void group?.close()
    return {exit, limit: kept}
  })
  return {signal, end, ended}
}

/** The limit that the kernel kept with a signal of its own (signal(7)); bubblewrap tells it as 128+n. */
function killedAt(exit: Exit, cage: Cage): Limit | undefined {
  if ('signal' in exit) return exit.signal === 'SIGXCPU' ? 'cpu' : exit.signal === 'SIGXFSZ' ? 'file' : undefined
  if (cage.ours !== 2 || !('status' in exit)) return undefined
  return exit.status === 128 + constants.signals.SIGXCPU ? 'cpu' : exit.status === 128 + constants.signals.SIGXFSZ ? 'file' : undefined
}

/** Bytes of one page, as the kernel tells it for our own memory. */
const pageBytes = Number(/^KernelPageSize:\s+(\d+) kB/m.exec(readSmaps())?.[1] ?? 4) * 1024

function readSmaps(): string {
  try {
    return readFileSync('/proc/self/smaps', 'latin1')
  } catch {
    return ''
  }
}
