/** How one tree of processes is kept together, whatever its members do, and how a program gets into it. */
import {type ChildProcess, spawn} from 'node:child_process'
import {accessSync, constants, existsSync, readFileSync, statSync} from 'node:fs'
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
  /** Ends whatever is inside, without asking. Resolves when nobody is left; absent where only watching helps. */
  readonly close?: () => Promise<void>
}

/** Where cages come from. `spare` is made ahead of time, so that a run need not wait for it. */
export interface Cages {
  readonly isolation: Isolation
  readonly rootless: boolean
  readonly hides: boolean
  take(): Promise<Cage>
  /** makes the next one ready */
  prepare(): void
  stop(): Promise<void>
}

/**
 * Namespaces of our own. The holder is PID 1 of a new PID namespace with a /proc of its own: `cat`, which waits for the
 * end of its input, and so dies with the runner; SIGCHLD ignored, so that the kernel buries the orphans it adopts. When
 * PID 1 is gone, so is everybody inside; `unshare`, which waits for it, ends only then. Programs join by `nsenter`, which
 * waits for them outside and dies of the same signal: the true status and the true signal.
 */
export function namespaceCages({unshare, nsenter}: Instruments, hide: readonly string[], rootless: boolean): Cages {
  if (unshare === undefined || nsenter === undefined) throw new Error('unshare or nsenter is missing')
  const isolate = [unshare, '--pid', '--fork', '--kill-child', '--mount-proc']
  const holder = [
    ...(rootless ? [...isolate, `--map-user=${process.getuid?.()}`, `--map-group=${process.getgid?.()}`, '--user'] : []),
    '/bin/sh',
    '-c',
    'echo && exec env --ignore-signal=CHLD cat',
    'sh',
  ]
  // over a folder an empty one, over a file the one that is always empty; what is not there yet hides nothing
  const cover =
    'if [ -d "$path" ]; then mount -t tmpfs -o ro,size=4k,mode=000 none "$path"; elif [ -e "$path" ]; then mount --bind /dev/null "$path"; fi'
  const mounts = `for path; do shift; if [ "$path" = -- ]; then break; fi; ${cover} || exit 1; done; exec "$@"`
  const first = rootless ? [unshare, '--user', '--map-root-user', '--mount'] : [...isolate, '--mount']
  const arguments_ = [...first.slice(1), '/bin/sh', '-c', mounts, 'sh', ...hide, '--', ...holder]

  const make = async (): Promise<Cage> => {
    const child = spawn(first[0] as string, arguments_, {
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
    const spaces = rootless ? ['--preserve-credentials', `--user=/proc/${init}/ns/user`] : []
    return {
      enter: [nsenter, ...spaces, `--pid=/proc/${init}/ns/pid`, `--mount=/proc/${init}/ns/mnt`],
      init,
      ours: 1,
      close: async () => {
        child.stdin?.destroy()
        // one that a tool of the same user has stopped or traces does not see the end of its input
        const timer = setTimeout(() => child.exitCode === null && child.signalCode === null && signalProcess(init, 'SIGKILL'), 250)
        await gone
        clearTimeout(timer)
      },
    }
  }

  const present = () => hide.filter(path => existsSync(path)).join('\0')
  let spare: Promise<Cage> | undefined
  let covered = ''
  const prepare = () => {
    if (spare) return
    covered = present()
    spare = make()
    spare.catch(() => {})
  }
  return {
    isolation: 'namespaces',
    rootless,
    hides: true,
    prepare,
    take: async () => {
      const [waiting, whole] = [spare, covered === present()]
      spare = undefined
      const taken = await waiting?.catch(() => undefined)
      if (taken && whole) return taken
      // something to hide has come since it was made
      await taken?.close?.()
      return make()
    },
    stop: async () => {
      const last = spare
      spare = undefined
      await (await last?.catch(() => undefined))?.close?.()
    },
  }
}

/** bubblewrap: an init of its own inside, and it ends with the runner. A death by signal n is told as status 128+n. */
export function bubblewrapCages({bwrap}: Instruments, hide: readonly string[]): Cages {
  if (bwrap === undefined) throw new Error('bubblewrap is missing')
  const cover = (path: string) => {
    const kind = statSync(path, {throwIfNoEntry: false})
    return kind === undefined ? [] : kind.isDirectory() ? ['--tmpfs', path] : ['--ro-bind', '/dev/null', path]
  }
  const enter = () => [bwrap, '--unshare-pid', '--die-with-parent', '--dev-bind', '/', '/', '--proc', '/proc', ...hide.flatMap(cover), '--']
  return {
    isolation: 'bubblewrap',
    rootless: process.getuid?.() !== 0,
    hides: true,
    prepare: () => {},
    take: async () => ({enter: enter(), init: undefined, ours: 2}),
    stop: async () => {},
  }
}

/** Nothing but watching: who descends from the program, shares its session or carries the mark of the run. */
export function watchedCages(): Cages {
  return {
    isolation: 'processes',
    rootless: process.getuid?.() !== 0,
    hides: false,
    prepare: () => {},
    take: async () => ({enter: [], init: undefined, ours: 0}),
    stop: async () => {},
  }
}

function onlyChild(pid: number): number | undefined {
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
