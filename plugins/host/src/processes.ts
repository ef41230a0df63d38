import {readdirSync, readFileSync, statSync} from 'node:fs'

/** One process as `/proc/PID/stat` tells it (proc_pid_stat(5)). */
export interface Process {
  readonly pid: number
  readonly parent: number
  readonly group: number
  readonly session: number
  readonly state: string
  /** user and system time, with that of the children it waited for, in clock ticks (100 a second) */
  readonly ticks: number
  /** moment it began, in clock ticks since boot: with the pid, one process for good */
  readonly began: number
  readonly residentPages: number
}

/** Every process of the machine now, by pid. Some milliseconds for some hundred processes. */
export function listProcesses(): Map<number, Process> {
  const found = new Map<number, Process>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const process = readProcess(Number(name))
    if (process) found.set(process.pid, process)
  }
  return found
}

/** One process, or undefined when it is gone. */
export function readProcess(pid: number): Process | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined
  }
  // the name in parentheses may hold anything: fields count from its last closing one
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const number = (index: number) => Number(fields[index - 3])
  return {
    pid,
    state: fields[0] ?? '',
    parent: number(4),
    group: number(5),
    session: number(6),
    ticks: number(14) + number(15) + number(16) + number(17),
    began: number(22),
    residentPages: number(24),
  }
}

/** All that descend from `roots`, the roots themselves left out. */
export function descendants(table: Map<number, Process>, roots: Iterable<number>): Process[] {
  const children = new Map<number, Process[]>()
  for (const process of table.values()) {
    const siblings = children.get(process.parent)
    if (siblings) siblings.push(process)
    else children.set(process.parent, [process])
  }
  const found = new Map<number, Process>()
  const open = [...roots]
  const top = new Set(open)
  for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
    for (const child of children.get(pid) ?? []) {
      if (found.has(child.pid) || top.has(child.pid)) continue
      found.set(child.pid, child)
      open.push(child.pid)
    }
  }
  return [...found.values()]
}

/** Memory that is the process's own, in bytes: anonymous and shared-memory pages, without the files it maps. */
export function ownMemory(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1')
    const kilobytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0)
    return (kilobytes('RssAnon') + kilobytes('RssShmem')) * 1024
  } catch {
    return 0
  }
}

/** How many threads a user has now, as RLIMIT_NPROC counts them. */
export function countThreads(uid: number): number {
  let threads = 0
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      if (statSync(`/proc/${name}`).uid === uid) threads += statSync(`/proc/${name}/task`).nlink - 2
    } catch {
      // gone meanwhile
    }
  }
  return threads
}

/** Whether a process carries `mark` (`NAME=` and the beginning of the value) in its environment. */
export function isMarked(pid: number, mark: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1')
      .split('\0')
      .some(entry => entry.startsWith(mark))
  } catch {
    return false
  }
}

/** Sends a signal, unless the process is gone. */
export function signalProcess(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // gone meanwhile, or another user's: whoever waits for it will see
  }
}
