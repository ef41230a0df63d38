import {cpSync, mkdirSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {type Figure, inTurns, type Row} from '../figure.ts'
import {run, startRunningBroker} from '../running-broker.ts'

const due = Array.from({length: 8}, () =>
  JSON.stringify({
    command: 'exec',
    durationMs: 412,
    exit: 0,
    at: '2026-11-22T09:14:03.511Z',
    version: '0.1.0',
    platform: 'linux',
    tool: 'true',
  }),
)

/** The same command of the same person, beside one who has telemetry off: what it costs to keep an event, and to send those that are due. */
export const figure: Figure = {
  name: 'usage',
  async measure() {
    const broker = await startRunningBroker()
    try {
      const home = broker.env.HOME as string
      const quiet = `${home}-off`
      cpSync(home, quiet, {recursive: true})
      inTurns([process.execPath, run, 'config', 'set', 'telemetry', 'off'], [process.execPath, '-e', '0'], {...broker.env, HOME: quiet}, 1)
      const spooled = join(home, 'due.jsonl')
      mkdirSync(join(home, '.local/state/prod'), {recursive: true, mode: 0o700})
      writeFileSync(spooled, `${due.join('\n')}\n`, {mode: 0o600})
      writeFileSync(join(quiet, 'due.jsonl'), `${due.join('\n')}\n`, {mode: 0o600})

      const row = (what: string, words: readonly string[], pairs: number, sends = false): Row => {
        const of = (who: string): string[] => [
          '/bin/sh',
          '-c',
          `${sends ? `cp -p ${who}/due.jsonl ${who}/.local/state/prod/usage.jsonl; ` : ''}HOME=${who} exec "$0" "$@"`,
          process.execPath,
          run,
          ...words,
        ]
        const {ours, floor, ratio} = inTurns(of(home), of(quiet), broker.env, pairs)
        return {what, value: ours, unit: 'ms', floor: {what: 'telemetry off:', value: floor}, ratio, budget: {ratio: 1.05, kind: 'at most'}}
      }
      const exec = ['exec', '--reason', 'how long does it take', 'true']
      return [
        row('whoami, a fast path', ['whoami'], 41),
        row('config ls, one event kept', ['config', 'ls'], 31),
        row('exec true, one event kept, some sent', exec, 31),
        row('exec true, events to send each time', exec, 31, true),
        row('request ls, events to send each time', ['request', 'ls'], 31, true),
      ]
    } finally {
      await broker.stop()
    }
  },
}
