/** Files of a bundle: read once, whole, bounded, never through a symbolic link. */
import {createHash} from 'node:crypto'
import {constants} from 'node:fs'
import {lstat, open, readdir} from 'node:fs/promises'
import {join} from 'node:path'
import type {Finding} from './finding.ts'

/** One file: `name` from the bundle's root, with forward slashes. */
export interface BundleFile {
  name: string
  bytes: Buffer
  text: string
}

const maxFileBytes = 256 * 1024
const maxTotalBytes = 32 * 1024 * 1024
const maxFiles = 5000

/** Which folders a bundle has, and how the names of their files end: after `/` it is the whole name. `*`: any folder there. */
const layout: [folder: string, ending: string][] = [
  ['catalog/services', '.yaml'],
  ['catalog/targets', '.yaml'],
  ['catalog/roles', '.yaml'],
  ['catalog/tools', '.yaml'],
  ['policy/global', '.cedar'],
  ['policy/services/*', '.cedar'],
  ['policy/tests', '.yaml'],
  ['policy', '/overrides.yaml'],
]

const folders = [...new Set(layout.flatMap(([folder]) => folder.split('/').map((_, depth, parts) => parts.slice(0, depth + 1).join('/'))))]

/** Why a bundle has no file of this name, or undefined. Pure. */
export function findPlaceFault(name: string): string | undefined {
  const folder = name.slice(0, name.lastIndexOf('/'))
  return endingsIn(folder).some(ending => name.endsWith(ending)) ? undefined : `is not read; expected: ${expected(folder)}`
}

/**
 * Reads catalog and policy. Hidden files, `*~` and `*.md` are left alone; anything else out of place is a finding.
 * `development` lets world-writable files through.
 */
export async function readBundleFiles(roots: {
  catalogDir: string
  policyDir: string
  development: boolean
}): Promise<{files: BundleFile[]; findings: Finding[]}> {
  const files: BundleFile[] = []
  const findings: Finding[] = []
  let total = 0

  const visit = async (path: string, name: string): Promise<void> => {
    if (!roots.development && ((await lstat(path)).mode & 0o1002) === 0o002)
      findings.push({file: name, message: 'may be written by everybody', mend: `chmod o-w ${name}`})
    const entries = await readdir(path, {withFileTypes: true})
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name.startsWith('.') || entry.name.endsWith('~') || entry.name.endsWith('.md')) continue
      const child = `${name}/${entry.name}`
      if (entry.isDirectory() && folders.some(folder => matches(folder, child))) await visit(join(path, entry.name), child)
      else if (entry.isDirectory()) findings.push({file: child, message: 'no folder is expected here', mend: `expected: ${expected(name)}`})
      else if (entry.isSymbolicLink()) findings.push({file: child, message: 'is a symbolic link', mend: 'put the file itself here'})
      else if (!endingsIn(name).some(ending => child.endsWith(ending)))
        findings.push({file: child, message: 'is not read', mend: `expected: ${expected(name)}`})
      else if (files.length >= maxFiles || total > maxTotalBytes) {
        findings.push({file: child, message: `a bundle has at most ${maxFiles} files and ${maxTotalBytes} bytes`})
        return
      } else {
        const file = await readBounded(join(path, entry.name), child, roots.development, findings)
        if (!file) continue
        total += file.bytes.length
        files.push(file)
      }
    }
  }

  for (const [name, root] of [
    ['catalog', roots.catalogDir],
    ['policy', roots.policyDir],
  ] as const) {
    const found = await lstat(root).catch(() => undefined)
    if (!found?.isDirectory())
      findings.push({file: name, message: found ? 'is not a folder' : 'there is no such folder', mend: `prod policy init DIR makes one`})
    else await visit(root, name)
  }
  return {files, findings}
}

/** sha256 over names and bytes, each with its length before it, so that nothing can move between them. Pure. */
export function digestFiles(files: readonly BundleFile[]): string {
  const hash = createHash('sha256')
  for (const {name, bytes} of [...files].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    hash.update(`${Buffer.byteLength(name)}:${name}${bytes.length}:`).update(bytes)
  }
  return hash.digest('hex')
}

async function readBounded(path: string, name: string, development: boolean, findings: Finding[]): Promise<BundleFile | undefined> {
  const refuse = (message: string, mend?: string): undefined => {
    findings.push({file: name, message, ...(mend ? {mend} : {})})
  }
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => undefined)
  if (!handle) return refuse('cannot be opened', 'check its owner and mode')
  try {
    const found = await handle.stat()
    if (!found.isFile()) return refuse('is not a regular file')
    if (!development && found.mode & 0o002) return refuse('may be written by everybody', `chmod o-w ${name}`)
    if (found.size > maxFileBytes) return refuse(`is larger than ${maxFileBytes} bytes`)
    const buffer = Buffer.alloc(maxFileBytes + 1)
    let length = 0
    for (;;) {
      const {bytesRead} = await handle.read(buffer, length, buffer.length - length, length)
      length += bytesRead
      if (bytesRead === 0 || length === buffer.length) break
    }
    if (length > maxFileBytes) return refuse(`is larger than ${maxFileBytes} bytes`)
    const bytes = Buffer.from(buffer.subarray(0, length))
    const text = bytes.toString('utf8')
    if (!Buffer.from(text).equals(bytes)) return refuse('is not UTF-8')
    return {name, bytes, text}
  } finally {
    await handle.close()
  }
}

function matches(pattern: string, name: string): boolean {
  const [wanted, given] = [pattern.split('/'), name.split('/')]
  return wanted.length === given.length && wanted.every((part, index) => part === '*' || part === given[index])
}

function endingsIn(name: string): string[] {
  return layout.filter(([folder]) => matches(folder, name)).map(([, ending]) => ending)
}

function expected(name: string): string {
  const inside = layout.filter(([folder]) => matches(folder, name) || folder.startsWith(`${name}/`))
  const here = inside.filter(([folder, ending]) => matches(folder, name) && !ending.startsWith('/'))
  return (here.length > 0 ? here : inside)
    .map(([folder, ending]) => `${folder}${ending.startsWith('/') ? '' : '/NAME'}${ending}`)
    .join(', ')
}
