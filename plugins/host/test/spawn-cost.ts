/** Prints what a run of `true` costs, from opening to its end, for each way of keeping a tree together, beside a bare spawn. */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {realpathSync} from 'node:fs'
import {startRunner} from '../src/open.ts'
import {open, script, waysHere} from './machine.ts'

const rounds = 100
const program = {path: realpathSync('/usr/bin/true')}

async function median(once: () => Promise<unknown>): Promise<string> {
  const times: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const began = performance.now()
    await once()
    times.push(performance.now() - began)
    // runs of people come apart, and the next cage is made meanwhile
    await new Promise(resolve => setTimeout(resolve, 60))
  }
  return `${times.sort((a, b) => a - b)[rounds / 2]?.toFixed(1)} ms`
}

console.log('bare spawn'.padEnd(24), await median(() => once(spawn(program.path), 'exit')))
for (const isolation of await waysHere()) {
  const runner = await startRunner({development: true, hide: [], isolation})
  const use = {...script(''), program, argv: ['true']}
  console.log(isolation.padEnd(24), await median(async () => (await open(runner, use)).ended))
  if (runner.platform.confines) {
    const needs = {network: false, processes: false, reads: [], writes: []}
    console.log(`${isolation}, confined`.padEnd(24), await median(async () => (await open(runner, {...use, needs})).ended))
  }
  await runner.stop()
}
