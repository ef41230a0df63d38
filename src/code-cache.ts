import {closeSync, fsyncSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeSync} from 'node:fs'
import Module from 'node:module'
import {basename, dirname, join} from 'node:path'
import {Script} from 'node:vm'

// Node's own compile cache holds no function that was not compiled at once: at each start V8 reads again what it runs.

/** What Node does not declare of its CommonJS loader. */
type Loader = {
  prototype: {_compile(this: NodeModule, code: string, file: string, ...rest: unknown[]): unknown}
  _resolveFilename(request: string, parent: NodeModule, isMain: boolean, options?: object): string
  _cache: NodeJS.Require['cache']
}

const loader = Module as unknown as Loader
const headBytes = 4

/**
 * Keeps the compiled code of a run of the bundle for the next run of the same command: one file in `folder`, which must be ours alone.
 * It is of this very build; V8 itself refuses what another version of it made, or other flags. `root`: of the package.
 */
export function keepCode(folder: string, command: string | undefined, root: string): void {
  if (!command || !/^[a-z]{1,20}$/.test(command)) return
  const {build} = JSON.parse(readFileSync(join(root, 'dist/build.json'), 'utf8')) as {build: string}
  const path = join(folder, `${command}-${build}`)
  const ours = (file: string) => file.startsWith(`${root}/`) && /^\/(plugins\/\w+\/dist\/bundle|dist)\//.test(file.slice(root.length))
  const kept = read(path)
  const scripts = new Map<string, Script>()
  let isWhole = true

  // Node calls the option below experimental: no news for who typed a command
  const {emitWarning} = process
  process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
    if (!String(warning).startsWith('vm.USE_MAIN_CONTEXT_DEFAULT_LOADER')) Reflect.apply(emitWarning, process, [warning, ...rest])
  }) as typeof process.emitWarning

  const compile = loader.prototype._compile
  loader.prototype._compile = function (code, file, ...rest) {
    if (!ours(file)) return compile.call(this, code, file, ...rest)
    const cachedData = kept.get(file)
    const script = new Script(`(function (exports, require, module, __filename, __dirname) {${code}\n})`, {
      filename: file,
      ...(cachedData && {cachedData}),
    })
    if (!cachedData || script.cachedDataRejected) isWhole = false
    scripts.set(file, script)
    return script.runInThisContext().call(this.exports, this.exports, requireFrom(this), this, file, dirname(file))
  }
  process.once('exit', status => {
    if (!isWhole && status === 0)
      write(path, new Map([...kept, ...[...scripts].map(([file, script]) => [file, script.createCachedData()] as const)]))
  })
}

function requireFrom(module: NodeModule): NodeJS.Require {
  const resolve = (request: string, options?: object) => loader._resolveFilename(request, module, false, options)
  return Object.assign((id: string) => module.require(id), {
    resolve,
    cache: loader._cache,
    main: process.mainModule,
  }) as unknown as NodeJS.Require
}

/** Compiled code by the file it is of. What is not whole is nothing. */
function read(path: string): Map<string, Buffer> {
  const kept = new Map<string, Buffer>()
  try {
    const bytes = readFileSync(path)
    let at = headBytes + bytes.readUInt32LE(0)
    const index = JSON.parse(bytes.toString('utf8', headBytes, at)) as [file: string, length: number][]
    if (index.reduce((sum, [, length]) => sum + length, at) !== bytes.length) return kept
    for (const [file, length] of index) {
      kept.set(file, bytes.subarray(at, at + length))
      at += length
    }
  } catch {
    // there is none yet
  }
  return kept
}

/** In one stroke: who reads it meanwhile has the old one whole. Failing to is no failure of the command. */
function write(path: string, code: ReadonlyMap<string, Buffer>): void {
  const index = Buffer.from(JSON.stringify([...code].map(([file, {length}]) => [file, length])))
  const head = Buffer.alloc(headBytes)
  head.writeUInt32LE(index.length)
  const unfinished = `${path}.${process.pid}`
  try {
    const file = openSync(unfinished, 'wx', 0o600)
    try {
      writeSync(file, Buffer.concat([head, index, ...code.values()]))
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(unfinished, path)
    const older = `${basename(path).split('-')[0]}-`
    for (const name of readdirSync(dirname(path))) {
      if (name.startsWith(older) && name !== basename(path)) rmSync(join(dirname(path), name), {force: true})
    }
  } catch {
    rmSync(unfinished, {force: true})
  }
}
