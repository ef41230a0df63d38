/** A process that does what a broker does with a runner, to be killed by a test: starts it, runs a program and a shell. */
import {once} from 'node:events'
import {dirname} from 'node:path'
import {text} from 'node:stream/consumers'
import type {Isolation} from '../src/messages.ts'
import {startRunner} from '../src/open.ts'
import {access, limits, open, script} from './machine.ts'

const [isolation, mark] = process.argv.slice(2) as [Isolation, string]
const credential = JSON.parse((await text(process.stdin)) || '{}') as Record<string, string>
const runner = await startRunner({development: true, hide: [], isolation})
const program = await open(runner, script(`trap "" TERM HUP; pwd; setsid sleep ${mark} & sleep ${mark}; sleep ${mark}`), {
  ...access,
  credential,
})
const [line] = await once(program.stdout, 'data')
const shell = await open(runner, {kind: 'shell', size: {columns: 80, rows: 24}, env: {}, limits})
shell.stdin.write(`nohup sleep ${mark} & echo is-$((1+1))\n`)
let screen = ''
for await (const chunk of shell.stdout) {
  screen += String(chunk)
  if (screen.includes('is-2')) break
}
// the run's folder lies in the runner's
console.log(JSON.stringify({runner: runner.pid, folder: dirname(dirname(String(line).trim()))}))
await program.ended
