/** What `prod assume ROLE -- CMD` says after a command that failed of access. */
import {spawn} from 'node:child_process'
import {chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {keptSources} from '@prod/sdk/testing/kept-code'
import {expect, onTestFinished, test} from 'vitest'

const denial =
  'An error occurred (AccessDenied) when calling the ListBuckets operation: User: arn:aws:iam::111122223333:user/ana is not authorized to perform: s3:ListAllMyBuckets because no identity-based policy allows the s3:ListAllMyBuckets action'

/** Runs a program of this name as `assume` does, in a home of its own. */
async function child(
  name: string,
  explain: boolean,
  status = 254,
): Promise<{status: number | null; stderr: string; stdout: string; kept: () => {mode: number; text: string}}> {
  const home = mkdtempSync(join(tmpdir(), 'prod-explained-'))
  onTestFinished(() => rmSync(home, {recursive: true, force: true}))
  const program = join(home, name)
  writeFileSync(program, `#!/bin/sh\necho out\necho '${denial}' >&2\nexit ${status}\n`)
  chmodSync(program, 0o755)
  const module = new URL('../src/child/run.ts', import.meta.url).href
  const script = `const {runChild} = await import(${JSON.stringify(module)}); process.exitCode = await runChild([${JSON.stringify(program)}], process.env, ${explain})`
  const ran = spawn(process.execPath, ['--conditions=source', '--input-type=module', '-e', script], {
    cwd: import.meta.dirname,
    env: {HOME: home, PATH: process.env.PATH ?? '', ...keptSources},
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr, ended] = await Promise.all([
    text(ran.stdout),
    text(ran.stderr),
    new Promise<number | null>(resolve => ran.once('exit', resolve)),
  ])
  const path = join(home, '.local/state/prod/last-failure.json')
  return {
    status: ended,
    stdout,
    stderr,
    kept: () => ({mode: statSync(path).mode & 0o777, text: (JSON.parse(readFileSync(path, 'utf8')) as {text: string}).text}),
  }
}

test('a denial in the stderr of a tool is passed on, kept 0600, and explained in three lines', async () => {
  const {status, stdout, stderr, kept} = await child('aws', true)
  expect([status, stdout]).toEqual([254, 'out\n'])
  const [first, ...ours] = stderr.trimEnd().split('\n')
  expect(first).toBe(denial)
  expect(ours).toHaveLength(3)
  expect(ours[0]).toContain('the role lacks the action')
  expect(kept()).toEqual({mode: 0o600, text: `${denial}\n`})
})

test('nothing is said of a command that went well, where it is switched off, and of a program whose stderr is its screen', async () => {
  for (const [name, explain, status] of [
    ['aws', true, 0],
    ['aws', false, 3],
    ['fzf', true, 3],
  ] as const) {
    const {stderr, kept} = await child(name, explain, status)
    expect([name, stderr]).toEqual([name, `${denial}\n`])
    expect(kept).toThrow()
  }
})
