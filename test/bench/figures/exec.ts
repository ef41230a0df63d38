import {existsSync} from 'node:fs'
import {type Figure, inTurns, type Row} from '../figure.ts'
import {run, startRunningBroker} from '../running-broker.ts'

/** A whole `prod exec` of `true` on loopback, login warm, beside an empty Node program and, where sshd runs, a cold ssh. */
export const figure: Figure = {
  name: 'exec',
  async measure() {
    const broker = await startRunningBroker()
    try {
      const command = [process.execPath, run, 'exec', '--reason', 'how long does it take', 'true']
      const {ours, floor, ratio} = inTurns(command, [process.execPath, '-e', '0'], broker.env)
      const rows: Row[] = [
        {
          what: 'prod exec true, login warm',
          value: ours,
          unit: 'ms',
          floor: {what: 'node -e 0', value: floor},
          ratio,
          budget: {ratio: 4, kind: 'at most'},
        },
      ]
      if (existsSync('/usr/sbin/sshd')) {
        try {
          const ssh = inTurns(
            command,
            ['ssh', '-o', 'BatchMode=yes', '-o', 'ControlPath=none', 'localhost', 'true'],
            {...process.env, ...broker.env, HOME: process.env.HOME},
            7,
          )
          rows.push({
            what: 'prod exec true, beside a cold ssh',
            value: ssh.ours,
            unit: 'ms',
            floor: {what: 'ssh localhost true', value: ssh.floor},
            ratio: ssh.ratio,
          })
        } catch {
          // no login without a password on this machine: nothing to compare with
        }
      }
      return rows
    } finally {
      await broker.stop()
    }
  },
}
