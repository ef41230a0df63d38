/** What `prod policy init` and `prod broker start --dev` begin with, and the demo's web service. */
import {spawn} from 'node:child_process'
import {chmod, copyFile, mkdir, readdir, readFile, rm, writeFile} from 'node:fs/promises'
import {dirname, join, resolve} from 'node:path'
import {createInterface} from 'node:readline'
import {fileURLToPath} from 'node:url'
import {ProdError} from '@prod/sdk/errors'
import {copyLibrary, type LibraryChoice} from './library.ts'

const shipped = fileURLToPath(new URL('../../starter/', import.meta.url))

/**
 * Writes `DIR/catalog` and `DIR/policy` that allow nothing by themselves, with a few small tools or those that are chosen from the
 * library. Throws USAGE if either is there already, or if the library lacks a tool.
 */
export async function writeStarter(dir: string, choice?: LibraryChoice): Promise<{catalogDir: string; policyDir: string; tools: string[]}> {
  if (choice) await copyLibrary(undefined, choice)
  const made = await copyProfile('init', dir)
  if (!choice) return {...made, tools: []}
  await rm(join(made.catalogDir, 'tools'), {recursive: true})
  await rm(join(made.policyDir, 'tests'), {recursive: true})
  return {...made, tools: await copyLibrary(dir, choice)}
}

/**
 * Writes the development profile into DIR: catalog, policy, and the demo's tool, `DIR/bin/web-service`; the demo service
 * keeps its state in `DIR/demo`. Both folders must be readable for tools. Throws USAGE if it is there already.
 */
export async function writeDevStarter(dir: string): Promise<{catalogDir: string; policyDir: string}> {
  const made = await copyProfile('dev', resolve(dir))
  const tool = join(dir, 'bin', 'web-service')
  await mkdir(join(dir, 'bin'), {recursive: true, mode: 0o755})
  await copyFile(join(shipped, 'bin', 'web-service'), tool)
  await chmod(tool, 0o755)
  await mkdir(join(dir, 'demo'), {recursive: true, mode: 0o755})
  return made
}

async function copyProfile(profile: string, dir: string): Promise<{catalogDir: string; policyDir: string}> {
  const made = {catalogDir: join(dir, 'catalog'), policyDir: join(dir, 'policy')}
  await mkdir(dir, {recursive: true})
  for (const [folder, to] of [
    ['catalog', made.catalogDir],
    ['policy', made.policyDir],
  ] as const) {
    const from = join(shipped, profile, folder)
    await mkdir(to).catch(error => {
      if (error.code !== 'EEXIST') throw error
      throw new ProdError('USAGE', `${to} is there already`, `prod policy check --dir ${dir}`)
    })
    for (const entry of await readdir(from, {recursive: true, withFileTypes: true})) {
      const path = join(to, join(entry.parentPath, entry.name).slice(from.length))
      if (entry.isDirectory()) await mkdir(path, {recursive: true})
      else {
        await mkdir(dirname(path), {recursive: true})
        const text = await readFile(join(entry.parentPath, entry.name), 'utf8')
        await writeFile(path, text.replaceAll('{{dir}}', JSON.stringify(dir).slice(1, -1)), {mode: 0o644, flag: 'wx'})
      }
    }
  }
  return made
}

/** Starts the demo's web service, which keeps its state in `DIR/demo`; it ends with `stop()`, or when this process does. */
export async function startDemoService(dir: string, {node}: {node: string}): Promise<{stop(): Promise<void>}> {
  const child = spawn(node, [join(shipped, 'bin', 'web-supervisor.mjs'), join(dir, 'demo')], {stdio: ['pipe', 'pipe', 'inherit']})
  const ended = new Promise<void>(resolve => child.once('exit', () => resolve()))
  child.stdin.on('error', () => {}) // it may be gone before it is told to
  const ready = await new Promise<boolean>(resolve => {
    createInterface({input: child.stdout}).once('line', line => resolve(line === 'ready'))
    child.once('error', () => resolve(false))
    child.once('exit', () => resolve(false))
  })
  if (!ready) throw new ProdError('TOOL_UNAVAILABLE', 'the demo service does not start', 'prod doctor')
  return {
    stop() {
      child.stdin.end()
      return ended
    },
  }
}
