import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {type Figure, inTurns, type Row} from '../figure.ts'

const run = join(import.meta.dirname, '../../../bin/run.js')
const measured = [
  {what: 'prod --version (fast path)', args: ['--version'], budget: 1.15},
  {what: 'prod --help', args: ['--help'], budget: 3},
  {what: 'prod autocomplete bash (no network)', args: ['autocomplete', 'bash'], budget: 3},
  {
    what: 'prod explain --json, one message',
    args: [
      'explain',
      '--json',
      'User: arn:aws:iam::111122223333:user/ana is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::invoices/1',
    ],
    budget: 3,
  },
  {what: 'completion of a word', args: ['--complete', 'bash', 'prod re'], budget: 1.3},
]

export const figure: Figure = {
  name: 'start-up',
  async measure() {
    const home = mkdtempSync(join(tmpdir(), 'prod-bench-'))
    const env = {HOME: home, PATH: process.env.PATH, LANG: 'C.UTF-8'}
    try {
      return measured.map(({what, args, budget}): Row => {
        const {ours, floor, ratio} = inTurns([process.execPath, run, ...args], [process.execPath, '-e', '0'], env)
        return {what, value: ours, unit: 'ms', floor: {what: 'node -e 0', value: floor}, ratio, budget: {ratio: budget, kind: 'at most'}}
      })
    } finally {
      rmSync(home, {recursive: true})
    }
  },
}
