/** Follows the files of a bundle: a good change is swapped in whole, a bad one is told and the old bundle stays. */
import {type FSWatcher, watch} from 'node:fs'
import {lstat, readdir} from 'node:fs/promises'
import {dirname, join} from 'node:path'
import {BundleRefused, type Finding} from '../catalog/finding.ts'
import {replaceFile} from '../keys.ts'
import {type BundleOptions, type CheckedBundle, checkBundle} from './bundle.ts'
import type {Bundle} from './policy.ts'

/** What is told: a swap; a bundle that was refused while the old one stays (an alarm); one at half of its age. Each once for one content. */
export interface WatchHandlers {
  onSwap: (bundle: Bundle, previous: Bundle) => void
  onRefused: (findings: Finding[], current: Bundle) => void
  onAging?: (current: Bundle) => void
  /** before a bundle that could load decides anything */
  beforeSwap?: (next: Bundle, current: Bundle) => Promise<void>
}

const settleMs = 60
const pollMs = 2000

/**
 * Loads a bundle and keeps it current. A signed one is kept beside the data, and serves again where its file no longer does.
 * Throws {@link BundleRefused} if the first one does not load.
 */
export async function watchBundle(
  options: BundleOptions,
  {onSwap, onRefused, onAging, beforeSwap}: WatchHandlers,
): Promise<{current: () => Bundle; close: () => void}> {
  const roots = 'file' in options ? [options.file] : [options.catalogDir, options.policyDir]
  let stamp = await stampOf(roots)
  const first = await checkBundle({...options, starting: true})
  const start = first.findings.length > 0 ? await loadKept(options) : first.bundle
  if (!start) throw new BundleRefused(first.findings)
  let current: Bundle = start
  let told = ''
  if (current === first.bundle) keep(options, first)
  else {
    told = contentOf(first)
    onRefused(first.findings, current)
  }
  let aging = ''
  const lookAtAge = (bundle: Bundle): void => {
    const age = bundle.signed ? (options.now ?? (() => new Date()))().getTime() - Date.parse(bundle.signed.madeAt) : 0
    if (!options.maxAgeSeconds || age < options.maxAgeSeconds * 500 || aging === bundle.digest) return
    aging = bundle.digest
    onAging?.(bundle)
  }
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
      const checked = await checkBundle(forwardFrom(options, current))
      // files that moved while they were read are read again, so that no half of a change is ever judged
      if ((await stampOf(roots)) !== now) {
        again = true
        return
      }
      stamp = now
      if (closed) return
      const same = checked.digest === current.digest && (checked.signed?.version ?? 0) === (current.signed?.version ?? 0)
      if (same && checked.findings.length === 0) told = ''
      else if (checked.bundle && checked.findings.length === 0) {
        await beforeSwap?.(checked.bundle, current)
        const previous = current
        keep(options, checked)
        current = checked.bundle
        told = ''
        onSwap(current, previous)
      } else if (told !== contentOf(checked)) {
        told = contentOf(checked)
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
  const watchers = ('file' in options ? [dirname(options.file)] : roots).flatMap(root => watchFolder(root, nudge))
  const poll = setInterval(() => {
    lookAtAge(current)
    void look()
  }, pollMs).unref()
  lookAtAge(current)
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

/** What the watcher itself has loaded is the oldest that it takes, whatever became of the kept copy. */
function forwardFrom(options: BundleOptions, {signed, digest}: Bundle): BundleOptions {
  if (!('file' in options) || signed === null || signed.version < (options.logged?.version ?? 0)) return options
  return {...options, logged: {version: signed.version, digest}}
}

/** What was refused, so that it is told once: a file that cannot be read has no digest of its own. */
function contentOf({digest, findings}: CheckedBundle): string {
  return `${digest} ${findings[0]?.message ?? ''}`
}

/** Remembers the newest bundle that was loaded, before it decides anything. */
function keep(options: BundleOptions, {signed}: CheckedBundle): void {
  if ('file' in options && options.kept !== undefined && signed) replaceFile(options.kept, signed.text)
}

/** The bundle that was loaded last, under the same keys: while the file that should be there does not load. */
async function loadKept(options: BundleOptions): Promise<Bundle | undefined> {
  if (!('file' in options) || options.kept === undefined) return undefined
  const {bundle, findings} = await checkBundle({...options, file: options.kept, starting: true})
  return findings.length === 0 ? bundle : undefined
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
      const names = await readdir(folder, {recursive: true}).catch(() => ['.'])
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
