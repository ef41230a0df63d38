import {type ChildProcess, spawn} from 'node:child_process'
import {readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {type Figure, median} from '../figure.ts'
import {type RunningBroker, run, startRunningBroker} from '../running-broker.ts'

const bytes = 512 * 1024 * 1024
const rounds = 3

/** A tool that writes so many zeroes; `retention: none`, so that the stream alone is measured. */
function addTool({dir}: RunningBroker): void {
  writeFileSync(
    join(dir, 'catalog/tools/zeroes.yaml'),
    `kind: Tool\nname: zeroes\nsummary: zeroes\nprogram: /usr/bin/head\nrun: {primitive: host, target: local}\nretention: none\nlimits: {outputBytes: ${4 * bytes}}\ncommands:\n  - {path: [], class: read, options: {-c: {value: {type: integer, min: 1, max: ${bytes}}, required: true}}, operands: [{name: file, type: {type: enum, values: [/dev/zero]}}]}\n`,
  )
  writeFileSync(
    join(dir, 'policy/global/zeroes.cedar'),
    'permit (principal in Group::"engineers", action == Action::"run", resource is zeroes::run);\n',
  )
}

async function secondsToRead(child: ChildProcess): Promise<number> {
  const from = process.hrtime.bigint()
  let got = 0
  child.stdout?.on('data', chunk => {
    got += (chunk as Buffer).byteLength
  })
  const status = await new Promise(resolve => child.once('close', resolve))
  if (status !== 0 || got !== bytes) throw new Error(`ended with ${status} after ${got} bytes`)
  return Number(process.hrtime.bigint() - from) / 1e9
}

function residentBytes(pid: number | undefined, field: 'VmRSS' | 'VmHWM'): number {
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
}

/** Output of a tool through the broker, beside the same bytes through a pipe; and what it costs the broker in memory. */
export const figure: Figure = {
  name: 'output',
  async measure() {
    const broker = await startRunningBroker()
    try {
      addTool(broker)
      const argv = [run, 'exec', '--reason', 'how fast do bytes come', 'zeroes', '-c', String(bytes), '/dev/zero']
      const exec = () => spawn(process.execPath, argv, {env: broker.env, stdio: ['ignore', 'pipe', 'pipe']})
      // the broker takes the new tool up within moments
      for (let attempt = 0; ; attempt++) {
        try {
          await secondsToRead(exec())
          break
        } catch (error) {
          if (attempt > 40) throw error
        }
      }
      const before = residentBytes(broker.process.pid, 'VmRSS')
      const ours: number[] = []
      const pipes: number[] = []
      for (let round = 0; round < rounds; round++) {
        ours.push(bytes / (await secondsToRead(exec())) / 1e6)
        pipes.push(
          bytes / (await secondsToRead(spawn('head', ['-c', String(bytes), '/dev/zero'], {stdio: ['ignore', 'pipe', 'ignore']}))) / 1e6,
        )
      }
      const [rate, pipe] = [median(ours), median(pipes)]
      const grown = Math.max(0, residentBytes(broker.process.pid, 'VmHWM') - before)
      return [
        {
          what: `output through the broker, ${bytes / 2 ** 20} MiB`,
          value: rate,
          unit: 'MB/s',
          floor: {what: 'a pipe, MB/s:', value: pipe},
          ratio: rate / pipe,
          budget: {ratio: 0.4, kind: 'at least'},
        },
        {
          what: 'memory of the broker meanwhile, at most',
          value: grown / 2 ** 20,
          unit: 'MiB more',
          floor: {what: 'allowed, MiB:', value: 64},
          ratio: grown / 2 ** 20 / 64,
          budget: {ratio: 1, kind: 'at most'},
        },
      ]
    } finally {
      await broker.stop()
    }
  },
}
