/** For tests of commands in this repository: what V8 compiled for those of one serves the next, else each new HOME compiles all of it again. */
import {copyFileSync, existsSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync} from 'node:fs'
import {join} from 'node:path'

const root = join(import.meta.dirname, '../../../..')
const kept = join(root, 'node_modules/.cache/prod-v8')

/** For the environment of a process from the sources that is given one of its own: Node keeps what it made of them. */
export const keptSources: Record<string, string> = process.env.NODE_COMPILE_CACHE
  ? {NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE}
  : {}

/**
 * For a broker that lives for one test: what Cedar's WebAssembly would gain by being optimized never pays for it there, and is a fifth of
 * all that such a broker costs.
 */
export const briefly = ['--liftoff-only']

/** Puts code of earlier commands where those of this HOME look for it. Answers what their environment needs beside HOME. */
export function lendCode(home: string): Record<string, string> {
  const own = folderOf(home)
  mkdirSync(own, {recursive: true, mode: 0o700})
  take(folderOfBuild(), own)
  return keptSources
}

/** Keeps what the commands of this HOME compiled, before it is removed. */
export function keepCode(home: string): void {
  if (existsSync(folderOf(home))) take(folderOf(home), folderOfBuild())
}

const folderOf = (home: string) => join(home, '.cache/prod/v8')

/** Code is of one build alone: with a new one the old goes. */
function folderOfBuild(): string {
  const {build} = JSON.parse(readFileSync(join(root, 'dist/build.json'), 'utf8')) as {build: string}
  const folder = join(kept, build)
  if (!existsSync(folder)) {
    rmSync(kept, {recursive: true, force: true})
    mkdirSync(folder, {recursive: true, mode: 0o700})
  }
  return folder
}

/** What one folder has and the other lacks. A command never writes into such a file: it puts a new one in its place. */
function take(from: string, to: string): void {
  const there = new Set(readdirSync(to))
  for (const entry of readdirSync(from, {withFileTypes: true})) {
    if (!entry.isFile() || there.has(entry.name) || !/^[a-z]+-[0-9a-f]{16}$/.test(entry.name)) continue
    try {
      linkSync(join(from, entry.name), join(to, entry.name))
    } catch (error) {
      // another file system than the home's; or another test was first
      if ((error as NodeJS.ErrnoException).code === 'EXDEV') copyFileSync(join(from, entry.name), join(to, entry.name))
    }
  }
}
