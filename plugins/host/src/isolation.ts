/** How one tree of processes is kept together, whatever its members do, and how a program gets into it. */
import {type ChildProcess, spawn} from 'node:child_process'
import {accessSync, constants, existsSync, readFileSync, statSync} from 'node:fs'
import {chown} from 'node:fs/promises'
import type {Needs} from '@prod/sdk'
import {openArguments, type Places, placesIn, spaceArguments, viewArguments, type Wishes} from './confine.ts'
import type {Isolation} from './messages.ts'
import {descendants, listProcesses, readProcess, signalProcess} from './processes.ts'

/** Programs of the machine that this needs, by name: undefined where there is none. util-linux has most. */
export interface Instruments {
  readonly bash: string | undefined
  readonly bwrap: string | undefined
  readonly nsenter: string | undefined
  readonly prlimit: string | undefined
  readonly setpriv: string | undefined
  readonly setsid: string | undefined
  readonly unshare: string | undefined
}

/** Looks for them in the system's own folders, never in a PATH. */
export function findInstruments(): Instruments {
  const find = (name: string) =>
    ['/usr/bin', '/bin', '/usr/sbin', '/sbin']
      .map(folder => `${folder}/${name}`)
      .find(path => {
        try {
          accessSync(path, constants.X_OK)
          return true
        } catch {
          return false
        }
      })
  return {
    bash: find('bash'),
    bwrap: find('bwrap'),
    nsenter: find('nsenter'),
    prlimit: find('prlimit'),
    setpriv: find('setpriv'),
    setsid: find('setsid'),
    unshare: find('unshare'),
  }
}

/** One place for one tree. */
export interface Cage {
  /** what goes before a program to start it inside */
  readonly enter: readonly string[]
  /** the process that adopts orphans inside, where we know it */
  readonly init: number | undefined
  /** how many processes, counted from the one we started, are ours and not the tool's */
  readonly ours: number
  /** where it has folders for a program of its own; else the caller makes them */
  readonly places?: Places
  /** where the files of those places are seen from here: goes before their paths */
  readonly seen?: string
  /** its files as seen from here, and what goes before a program that may change what is mounted there */
  readonly inside?: {readonly root: string; readonly enter: readonly string[]}
  /** Ends whatever is inside, without asking. Resolves when nobody is left; absent where only watching helps. */
  readonly close?: () => Promise<void>
  /** Gives back what `close` does not. Safe when nobody is inside any more. */
  readonly release?: () => Promise<void>
}

/** Where cages come from. Spare ones are made ahead of time, so that a run need not wait. */
export interface Cages {
  readonly isolation: Isolation
  readonly rootless: boolean
  readonly hides: boolean
  /** its cages have folders for a program: see {@link Cage.places} */
  readonly hasPlaces: boolean
  /** a cage; `places` are folders of the run on the disk, where cages have none */
  take(wishes: Wishes, places?: string): Promise<Cage>
  /** makes the next one of this kind ready */
  prepare(wishes: Wishes): void
  stop(): Promise<void>
}

/** waits for the end of its input; what it adopts is buried by the kernel */
const holder = ['/bin/sh', '-c', 'echo && exec env --ignore-signal=CHLD cat']
/** kinds of cages of which one is kept ready */
const maxSpares = 6

/**
 * Namespaces of our own. The holder is PID 1 of a new PID namespace with a /proc of its own: `cat`, which waits for the
 * end of its input, and so dies with the runner; SIGCHLD ignored, so that the kernel buries the orphans it adopts. When
 * PID 1 is gone, so is everybody inside; what made the namespace waits for it and ends only then. Programs join by `nsenter`,
 * which waits for them outside and dies of the same signal: the true status and the true signal. bubblewrap makes those with a
 * view of the machine of their own, `unshare` all others.
 */
export function namespaceCages({unshare, nsenter, bwrap}: Instruments, hide: readonly string[], rootless: boolean, folder: string): Cages {
  if (unshare === undefined || nsenter === undefined) throw new Error('unshare or nsenter is missing')
  const {root: own, cwd, home} = placesIn(folder)
  // what lies in the runner's own folder is covered with it
  const covered = hide.filter(path => !path.startsWith(`${folder}/`))

  const plain = ({scratchBytes, needs}: Wishes): string[] => {
    const isolate = [unshare, '--pid', '--fork', '--kill-child', '--mount-proc', ...(needs?.network === false ? ['--net'] : [])]
    const hold = rootless
      ? [...isolate, `--map-user=${process.getuid?.()}`, `--map-group=${process.getgid?.()}`, '--user', ...holder]
      : holder
    // over a folder an empty one, over a file the one that is always empty; what is not there yet hides nothing
    const cover =
      'if [ -d "$path" ]; then mount -t tmpfs -o ro,size=4k,mode=000 none "$path"; elif [ -e "$path" ]; then mount --bind /dev/null "$path"; fi'
    const mounts = `for path; do shift; if [ "$path" = -- ]; then break; fi; ${cover} || exit 1; done; mount -t tmpfs -o "mode=711,size=$1" none "$2" && mkdir -m 700 "$3" && mkdir -m 700 "$4" "$5" || exit 1; shift 5; exec "$@"`
    const first = rootless ? [unshare, '--user', '--map-root-user', '--mount'] : [...isolate, '--mount']
    return [...first, '/bin/sh', '-c', mounts, 'sh', ...covered, '--', String(scratchBytes), folder, own, cwd, home, ...hold]
  }
  const viewed = (wishes: Wishes & {needs: Needs}): string[] => [
    bwrap as string,
    ...spaceArguments(wishes.needs),
    ...(wishes.needs.processes ? [] : ['--as-pid-1']),
    '--die-with-parent',
    ...viewArguments(wishes, folder, covered),
    '--',
    ...holder,
  ]

  const make = async (wishes: Wishes): Promise<Cage> => {
    const {needs} = wishes
    const view = needs !== null && bwrap !== undefined
    // no bubblewrap: a program that sees the machine's processes shares their namespace, and nothing is left to make
    if (!view && needs?.processes) return {enter: [], init: undefined, ours: 0}
    const [file = '', ...arguments_] = view ? viewed({...wishes, needs}) : plain(wishes)
    const child = spawn(file, arguments_, {
      env: {PATH: '/usr/bin:/bin:/usr/sbin:/sbin'},
      stdio: ['pipe', 'pipe', 'ignore'],
      cwd: '/',
      detached: true,
    })
    child.stdin?.on('error', () => {})
    const gone = new Promise<void>(resolve => {
      child.once('exit', () => resolve())
      child.once('error', () => resolve())
    })
    const ready = new Promise<boolean>(resolve => {
      child.stdout?.once('data', () => resolve(true))
      void gone.then(() => resolve(false))
    })
    if (!(await ready) || child.pid === undefined) throw new Error('this machine gives no namespaces')
    child.stdout?.destroy()
    const init = onlyChild(child.pid)
    if (init === undefined) throw new Error('the holder of a namespace is gone')
    const space = (name: string, file = name) => `--${name}=/proc/${init}/ns/${file}`
    const join = [
      nsenter,
      ...(rootless ? ['--preserve-credentials', space('user')] : []),
      ...(needs?.processes ? [] : [space('pid')]),
      space('mount', 'mnt'),
      ...(needs?.network === false ? [space('net')] : []),
      ...(view ? [space('ipc')] : []),
    ]
    const inside = `/proc/${init}/root`
    const {owner} = wishes
    if (owner) for (const path of [own, cwd, home]) await chown(`${inside}${path}`, owner.uid, owner.gid)
    const end = async () => {
      child.stdin?.destroy()
      // one that a tool of the same user has stopped or traces does not see the end of its input
      const timer = setTimeout(() => child.exitCode === null && child.signalCode === null && signalProcess(init, 'SIGKILL'), 250)
      await gone
      clearTimeout(timer)
    }
    return {
      enter: join,
      places: {cwd, home},
      seen: inside,
      ...(rootless || needs?.processes ? {} : {inside: {root: inside, enter: join}}),
      ...(needs?.processes ? {init: undefined, ours: 0, release: end} : {init, ours: 1, close: end}),
    }
  }

  /** what a view was made of: when it is another now, so must be the cage */
  const seen = ({needs}: Wishes) => {
    const named = [...covered, ...(needs?.reads ?? []), ...(needs?.writes ?? [])].flatMap(path => {
      const found = statSync(path, {throwIfNoEntry: false})
      return found === undefined ? [] : `${path} ${found.dev} ${found.ino}`
    })
    return [...named, needs ? readFileSync('/proc/self/mountinfo', 'latin1') : ''].join('\0')
  }
  const giveUp = async (spare: Promise<Cage>) => {
    const cage = await spare.catch(() => undefined)
    await (cage?.close ?? cage?.release)?.()
  }
  const spares = new Map<string, {cage: Promise<Cage>; seen: string}>()
  return {
    isolation: 'namespaces',
    rootless,
    hides: true,
    hasPlaces: true,
    prepare: wishes => {
      const kind = JSON.stringify(wishes)
      if (spares.has(kind)) return
      const cage = make(wishes)
      cage.catch(() => {})
      spares.set(kind, {cage, seen: seen(wishes)})
      const [oldest] = spares
      if (spares.size <= maxSpares || !oldest) return
      spares.delete(oldest[0])
      void giveUp(oldest[1].cage)
    },
    take: async wishes => {
      const kind = JSON.stringify(wishes)
      const spare = spares.get(kind)
      spares.delete(kind)
      if (!spare) return make(wishes)
      const taken = await spare.cage.catch(() => undefined)
      if (taken && spare.seen === seen(wishes)) return taken
      await giveUp(spare.cage)
      return make(wishes)
    },
    stop: async () => {
      const last = [...spares.values()]
      spares.clear()
      await Promise.all(last.map(({cage}) => giveUp(cage)))
    },
  }
}

/** bubblewrap: an init of its own inside, and it ends with the runner. A death by signal n is told as status 128+n. */
export function bubblewrapCages({bwrap}: Instruments, hide: readonly string[], folder: string): Cages {
  if (bwrap === undefined) throw new Error('bubblewrap is missing')
  const covered = hide.filter(path => !path.startsWith(`${folder}/`))
  return {
    isolation: 'bubblewrap',
    rootless: process.getuid?.() !== 0,
    hides: true,
    hasPlaces: false,
    prepare: () => {},
    take: async (wishes, places) => {
      const {needs} = wishes
      if (needs?.processes) return {enter: [], init: undefined, ours: 0}
      const view =
        needs === null ? openArguments(wishes, folder, covered, places) : viewArguments({...wishes, needs}, folder, covered, places)
      return {enter: [bwrap, ...spaceArguments(needs), '--die-with-parent', ...view, '--'], init: undefined, ours: 2}
    },
    stop: async () => {},
  }
}

/** Nothing but watching: who descends from the program, shares its session or carries the mark of the run. */
export function watchedCages(): Cages {
  return {
    isolation: 'processes',
    rootless: process.getuid?.() !== 0,
    hides: false,
    hasPlaces: false,
    prepare: () => {},
    take: async () => ({enter: [], init: undefined, ours: 0}),
    stop: async () => {},
  }
}

/** The one child of a process of ours, where it has one by now. */
export function onlyChild(pid: number): number | undefined {
  const listed = `/proc/${pid}/task/${pid}/children`
  if (existsSync(listed)) return Number(readFileSync(listed, 'latin1').trim().split(' ')[0]) || undefined
  return descendants(listProcesses(), [pid])[0]?.pid
}

/** Resolves when none of these is left, looking every few milliseconds. */
export async function untilGone(processes: Iterable<{pid: number; began: number}>): Promise<void> {
  for (const {pid, began} of processes) {
    for (;;) {
      const now = readProcess(pid)
      // a zombie runs nothing; its parent has yet to notice
      if (!now || now.began !== began || now.state === 'Z' || now.state === 'X') break
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }
}

/** The end of a child process, as the system tells it. */
export function exitOf(child: ChildProcess): Promise<{status: number | null; signal: string | null; failed?: string}> {
  return new Promise(resolve => {
    child.once('exit', (status, signal) => resolve({status, signal}))
    child.once('error', error => resolve({status: null, signal: null, failed: (error as NodeJS.ErrnoException).code ?? 'unknown reason'}))
  })
}
