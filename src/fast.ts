import {closeSync, constants, fstatSync, lstatSync, mkdirSync, openSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {writeWhole} from '@prod/sdk/cli/write-whole'
import type {Manifest} from './completion/complete.ts'

// The fast way in (ADR 0001): node:fs and node:path alone, synchronous, and at any doubt it answers nothing.

/**
 * Answers the few command lines that need neither oclif nor the network: `--version`, `whoami [--json]` from what the login
 * left, and the shell's completion. False: somebody else must answer, and nothing was written. (`assume`: bin/run.js.)
 */
export function answered(argv: readonly string[], root: string): boolean {
  switch (argv[0]) {
    case '--version':
      return argv.length === 1 && writeWhole(version(root))
    case 'whoami':
      return whoami(argv)
    case '--complete':
      return complete(argv.slice(1), root)
    default:
      return false
  }
}

function version(root: string): string {
  const {name, version} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {name: string; version: string}
  return `${name}/${version} ${process.platform}-${process.arch} node-${process.version}`
}

function whoami(argv: readonly string[]): boolean {
  const json = argv.length === 2 && argv[1] === '--json'
  if (argv.length !== 1 && !json) return false
  const home = folder('XDG_STATE_HOME', '.local/state')
  const saved =
    home && (readOwn(join(home, 'whoami.json')) as {broker?: unknown; text?: unknown; json?: unknown; expiresAt?: unknown} | undefined)
  if (!saved || typeof saved.broker !== 'string' || typeof saved.text !== 'string' || typeof saved.expiresAt !== 'string') return false
  if (process.env.PROD_BROKER !== undefined && process.env.PROD_BROKER !== saved.broker) return false
  if (!(Date.parse(saved.expiresAt) > Date.now())) return false
  if (!json) return writeWhole(saved.text)
  return typeof saved.json === 'object' && saved.json !== null && writeWhole(inertJson(saved.json))
}

/** JSON that parses to the same value, in ASCII alone: nothing in a name acts on a terminal (TM-R1). Pure. */
export function inertJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(/[\u007f-\uffff]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Loaded only now; so this answer comes a tick later. */
function complete(words: readonly string[], root: string): true {
  void import('./completion/complete.ts').then(async ({completion, typesTool}) => {
    const home = folder('XDG_CACHE_HOME', '.cache')
    const found = completion(words, {
      packages: readPackages(root),
      catalog: home ? readOwn(join(home, 'catalog.json')) : undefined,
      roles: home ? readOwn(join(home, 'roles.json')) : undefined,
      broker: process.env.PROD_BROKER,
      ofTool: typesTool(words) ? (await import('@prod/sdk/grammar/complete')).completions : undefined,
    })
    if (found.length > 0) writeWhole(found.join('\n'))
  })
  return true
}

/** The manifests of the root and of each listed plugin; one that cannot be read offers nothing. */
function readPackages(root: string): Manifest[] {
  const listed = (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {oclif: {plugins: string[]}}).oclif.plugins
  return [root, ...listed.map(name => join(root, 'node_modules', name))].flatMap(home => {
    try {
      return [JSON.parse(readFileSync(join(home, 'oclif.manifest.json'), 'utf8')) as Manifest]
    } catch {
      return []
    }
  })
}

/**
 * Where compiled code may be kept: `$XDG_CACHE_HOME/prod/v8`, ours alone. Node trusts what it finds there, so a folder that
 * is a link, somebody else's or open to others is no folder (TM-U1): undefined, and the start is slower.
 */
export function cacheFolder(): string | undefined {
  const home = folder('XDG_CACHE_HOME', '.cache')
  if (!home) return undefined
  const path = join(home, 'v8')
  try {
    mkdirSync(path, {recursive: true, mode: 0o700})
    return [home, path].every(isOwnFolder) ? path : undefined
  } catch {
    return undefined
  }
}

function isOwnFolder(path: string): boolean {
  const stat = lstatSync(path)
  return stat.isDirectory() && stat.uid === process.getuid?.() && (stat.mode & 0o022) === 0
}

/** Our folder under one of the XDG base folders; a relative value is ignored, as the XDG specification says. */
function folder(variable: string, otherwise: string): string | undefined {
  const base = process.env[variable]
  if (base?.startsWith('/')) return join(base, 'prod')
  return process.env.HOME?.startsWith('/') ? join(process.env.HOME, otherwise, 'prod') : undefined
}

/** JSON of a file that is ours and that nobody else may write; else undefined. */
function readOwn(path: string): unknown {
  let file: number | undefined
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    const stat = fstatSync(file)
    if (!stat.isFile() || stat.uid !== process.getuid?.() || (stat.mode & 0o022) !== 0) return undefined
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  } finally {
    if (file !== undefined) closeSync(file)
  }
}
