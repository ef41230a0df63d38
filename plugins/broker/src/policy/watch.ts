/** Follows the files of a bundle: a good change is swapped in whole, a bad one is told and the old bundle stays. */
import {type FSWatcher, watch} from 'node:fs'
import {lstat, readdir} from 'node:fs/promises'
import {join} from 'node:path'
import {BundleRefused, type Finding} from '../catalog/finding.ts'
import {type BundleOptions, checkBundle} from './bundle.ts'
import type {Bundle} from './policy.ts'

/** What is told: a swap, and a bundle that was refused while the old one stays (an alarm). Each once for one content. */
export interface WatchHandlers {
  onSwap: (bundle: Bundle, previous: Bundle) => void
  onRefused: (findings: Finding[], current: Bundle) => void
}

const settleMs = 60
const pollMs = 2000

/** Loads a bundle and keeps it current. Throws {@link BundleRefused} if the first one does not load. */
export async function watchBundle(
  options: BundleOptions,
  {onSwap, onRefused}: WatchHandlers,
): Promise<{current: () => Bundle; close: () => void}> {
  const roots = [options.catalogDir, options.policyDir]
  let stamp = await stampOf(roots)
  const first = await checkBundle(options)
  if (!first.bundle || first.findings.length > 0) throw new BundleRefused(first.findings)
  let current: Bundle = first.bundle
  let told = ''
  let closed = false
  let busy = false
  let again = false

  const look = async (): Promise<void> => {
    if (closed || busy) {
      again = busy
      return
    }
    busy = true
    try {
      const now = await stampOf(roots)
      if (now === stamp) return
      const checked = await checkBundle(options)
      // files that moved while they were read are read again, so that no half of a change is ever judged
      if ((await stampOf(roots)) !== now) {
        again = true
        return
      }
      stamp = now
      if (closed || checked.digest === current.digest) told = checked.digest === current.digest ? '' : told
      else if (checked.bundle && checked.findings.length === 0) {
        const previous = current
        current = checked.bundle
        told = ''
        onSwap(current, previous)
      } else if (told !== checked.digest) {
        told = checked.digest
        onRefused(checked.findings, current)
      }
    } catch (error) {
      const message = `the bundle cannot be read: ${(error as NodeJS.ErrnoException).code ?? (error as Error).message}`
      if (told !== message) onRefused([{file: 'policy', message}], current)
      told = message
    } finally {
      busy = false
      if (again) {
        again = false
        nudge()
      }
    }
  }

  let timer: NodeJS.Timeout | undefined
  const nudge = (): void => {
    clearTimeout(timer)
    if (!closed) timer = setTimeout(() => void look(), settleMs).unref()
  }
  const watchers = roots.flatMap(root => watchFolder(root, nudge))
  const poll = setInterval(() => void look(), pollMs).unref()
  return {
    current: () => current,
    close() {
      closed = true
      clearTimeout(timer)
      clearInterval(poll)
      for (const watcher of watchers) watcher.close()
    },
  }
}

/** A watcher that fails is no loss: polling finds the change too. */
function watchFolder(root: string, nudge: () => void): FSWatcher[] {
  try {
    const watcher = watch(root, {recursive: true, persistent: false}, nudge)
    watcher.on('error', () => watcher.close())
    return [watcher]
  } catch {
    return []
  }
}

/** Names, sizes and times of all files: cheap, and different after every change. */
async function stampOf(folders: readonly string[]): Promise<string> {
  const lines = await Promise.all(
    folders.map(async folder => {
      const names = await readdir(folder, {recursive: true}).catch(() => [])
      return Promise.all(
        names.map(async name => {
          const found = await lstat(join(folder, name), {bigint: true}).catch(() => undefined)
          return `${name}\0${found?.ino}\0${found?.size}\0${found?.mtimeNs}\0${found?.ctimeNs}`
        }),
      ).then(stamps => stamps.toSorted((a, b) => (a < b ? -1 : 1)))
    }),
  )
  return lines.map(one => one.join('\n')).join('\n\n')
}
