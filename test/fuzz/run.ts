/** `npm run fuzz [SHARE]`: every long run, one after the other; a share of 0.01 does a hundredth of each. Ends with 1 when one of them found something. */
import {spawnSync} from 'node:child_process'
import {join} from 'node:path'

const share = Number(process.argv[2] ?? 1)
const runs: [file: string, count: number][] = [
  ['text.ts', 10_000_000],
  ['canonical.ts', 200_000],
  ['decisions.ts', 1_000_000],
  ['frames.ts', 1_000_000],
]
for (const [file, count] of runs) {
  process.stdout.write(`${file}: `)
  const {status} = spawnSync(process.execPath, ['--conditions=source', join(import.meta.dirname, file), String(Math.ceil(count * share))], {
    stdio: 'inherit',
  })
  if (status !== 0) process.exitCode = 1
}
