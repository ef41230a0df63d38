import {spawn} from 'node:child_process'
import {chmodSync, existsSync, mkdtempSync, realpathSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {fileURLToPath} from 'node:url'
import {expect, test} from 'vitest'

const nobody = 65534

/** Runs test/small-user.ts as an ordinary user; undefined where that user cannot reach the sources or node. */
async function asNobody(folder: string): Promise<Record<string, unknown> | undefined> {
  const child = spawn(process.execPath, ['--conditions=source', fileURLToPath(new URL('small-user.ts', import.meta.url)), folder], {
    uid: nobody,
    gid: nobody,
    env: {TMPDIR: folder, PATH: process.env.PATH},
    cwd: '/',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const failed = new Promise<string>(resolve => child.once('error', error => resolve(String(error))))
  const [out, err] = await Promise.race([Promise.all([text(child.stdout), text(child.stderr)]), failed.then(error => ['', error])])
  if (/EACCES|Cannot find module/.test(err) && !out) return undefined
  if (!out) throw new Error(err)
  return JSON.parse(out) as Record<string, unknown>
}

test.skipIf(process.getuid?.() !== 0)(
  'TM-H9, TM-H12: a broker that is an ordinary user keeps and hides what it can, and becomes nobody else (needs root to be another)',
  async context => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'prod-host-test-')))
    chmodSync(folder, 0o777)
    context.onTestFinished(() => rmSync(folder, {recursive: true, force: true}))
    const seen = await asNobody(folder)
    if (seen === undefined) return context.skip('another user cannot read these sources')
    expect(seen).toMatchObject({
      uid: `${nobody}\n`,
      exit: {signal: 'SIGTERM'},
      other: 'TOOL_UNAVAILABLE',
      production: 'TOOL_UNAVAILABLE',
      left: [],
      shell: {status: 5},
      nproc: true,
      keys: '600\n0\n',
    })
    const {platform, canary} = seen as {
      platform: {isolation: string; rootless: boolean; hides: boolean; changesUser: boolean}
      canary: string
    }
    expect(platform).toMatchObject({rootless: true, changesUser: false})
    expect(canary.includes('canary')).toBe(!platform.hides)
    if (existsSync('/proc/self/ns/user') && platform.isolation === 'namespaces') expect(platform.hides).toBe(true)
  },
)
