/** Control groups, version 2, where this machine lets us have some (cgroups(7)): a tree ends at one stroke, limits hold exactly. */
import {closeSync, constants, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmdirSync, writeFileSync} from 'node:fs'
import {rmdir} from 'node:fs/promises'
import type {Limits} from '@prod/sdk'

/** The group of one run. */
export interface Group {
  /** open for writing: who writes 0 joins */
  readonly joinFd: number
  /** Kills all members, those being forked too. */
  kill(): void
  /** the limit that the kernel kept by killing, if one */
  breached(): 'memory' | undefined
  /** Removes it; nobody is in it any more. */
  close(): Promise<void>
}

/** What this machine gives. */
export interface Groups {
  readonly ends: boolean
  readonly limits: boolean
  /** why something is missing */
  readonly why: string | null
  open(limits: Limits): Group | undefined
  close(): Promise<void>
}

/** Makes a group for all runs of this runner beside or below our own. Tries by doing; leaves nothing where it does not work. */
export function openGroups(instance: string): Groups {
  const none = (why: string): Groups => ({ends: false, limits: false, why, open: () => undefined, close: async () => {}})
  const place = findOwn()
  if (place === undefined) return none('this machine has no control groups of version 2')
  removeLeftovers(place)
  const base = `${place}/prod-${process.pid}-${instance}`
  try {
    mkdirSync(base)
  } catch {
    return none('the control group of the broker may not be divided (systemd: Delegate=yes)')
  }
  try {
    // without it a tree could not be ended at one stroke
    readFileSync(`${base}/cgroup.events`)
    openThen(`${base}/cgroup.kill`)
  } catch {
    rmdirSync(base)
    return none('this kernel is older than 5.14')
  }
  const limits = enable(place, base)
  let count = 0
  const closing = new Set<Promise<void>>()
  const make = (path: string): void => {
    try {
      mkdirSync(path)
    } catch {
      // whoever could not see that we live took ours away
      mkdirSync(base)
      if (limits) enable(place, base)
      mkdirSync(path)
    }
  }
  return {
    ends: true,
    limits,
    why: limits ? null : 'memory and processes are not delegated to the broker (systemd: Delegate=yes and DelegateSubgroup=)',
    open: ({memoryBytes, processes}) => {
      const path = `${base}/${count++}`
      try {
        make(path)
        if (limits) {
          writeFileSync(`${path}/memory.max`, String(Math.ceil(memoryBytes)))
          writeFileSync(`${path}/memory.oom.group`, '1')
          // the tree's own count ends it before; this holds a burst
          writeFileSync(`${path}/pids.max`, String(Math.ceil(processes) * 8 + 64))
        }
        const group = openGroup(path)
        const close = () => {
          const closed = group.close().finally(() => closing.delete(closed))
          closing.add(closed)
          return closed
        }
        return {...group, close}
      } catch {
        return undefined
      }
    },
    close: async () => {
      await Promise.all(closing)
      await rmdir(base).catch(() => {})
    },
  }
}

function openGroup(path: string): Group {
  let joinFd: number | undefined = openSync(`${path}/cgroup.procs`, constants.O_WRONLY)
  return {
    joinFd,
    kill: () => {
      try {
        writeFileSync(`${path}/cgroup.kill`, '1')
      } catch {
        // gone already
      }
    },
    breached: () => {
      try {
        return /^oom_kill [1-9]/m.test(readFileSync(`${path}/memory.events`, 'latin1')) ? 'memory' : undefined
      } catch {
        return undefined
      }
    },
    close: async () => {
      if (joinFd !== undefined) closeSync(joinFd)
      joinFd = undefined
      // who was killed leaves a moment later
      for (let tries = 0; tries < 50; tries += 1) {
        const left = await rmdir(path).then(
          () => false,
          (error: NodeJS.ErrnoException) => error.code === 'EBUSY',
        )
        if (!left) return
        await new Promise(resolve => setTimeout(resolve, 10))
      }
    },
  }
}

/** What runners that were killed left: a group with members, or of one that lives, stays. */
function removeLeftovers(place: string): void {
  try {
    for (const name of readdirSync(place)) {
      const [, pid] = /^prod-(\d+)-[0-9a-f]{18}$/.exec(name) ?? []
      if (pid === undefined || existsSync(`/proc/${pid}`)) continue
      for (const inner of readdirSync(`${place}/${name}`, {withFileTypes: true}))
        if (inner.isDirectory()) removeEmpty(`${place}/${name}/${inner.name}`)
      removeEmpty(`${place}/${name}`)
    }
  } catch {
    // it may not be read: then nothing of ours is there
  }
}

function removeEmpty(path: string): void {
  try {
    rmdirSync(path)
  } catch {
    // somebody is still in it
  }
}

/** Our own group's folder, or the one above it where that can hold groups with limits. */
function findOwn(): string | undefined {
  try {
    const mount = readFileSync('/proc/self/mountinfo', 'latin1')
      .split('\n')
      .find(line => line.includes(' - cgroup2 '))
      ?.split(' ')[4]
    const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'latin1'))?.[1]
    if (mount === undefined || own === undefined) return undefined
    // a group with members may not have others with limits below it: beside us there is room
    const beside = own.slice(0, own.lastIndexOf('/'))
    if (own !== '/' && controls(`${mount}${beside}/cgroup.subtree_control`)) return `${mount}${beside}`
    return own === '/' ? mount : `${mount}${own}`
  } catch {
    return undefined
  }
}

function controls(file: string): boolean {
  try {
    const given = readFileSync(file, 'latin1').trim().split(' ')
    return ['memory', 'pids'].every(name => given.includes(name))
  } catch {
    return false
  }
}

function enable(place: string, base: string): boolean {
  try {
    if (!controls(`${place}/cgroup.subtree_control`)) writeFileSync(`${place}/cgroup.subtree_control`, '+memory +pids')
    writeFileSync(`${base}/cgroup.subtree_control`, '+memory +pids')
    return controls(`${base}/cgroup.subtree_control`)
  } catch {
    return false
  }
}

function openThen(path: string): void {
  closeSync(openSync(path, constants.O_WRONLY))
}
