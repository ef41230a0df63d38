import {spawnSync} from 'node:child_process'
import {cli, makePerson} from '../../../plugins/aws/test/person.ts'
import {startStandIn} from '../../../plugins/aws/test/stand-in.ts'
import {type Figure, inTurns, type Row} from '../figure.ts'

const profiles = 600
const floor = [process.execPath, '-e', '0']

/** Whole processes, from what was kept, beside an empty node program; and beside the AWS CLI where it is. */
export const figure: Figure = {
  name: 'assume',
  async measure() {
    const finishers: (() => Promise<void> | void)[] = []
    const finish = (act: () => Promise<void> | void): number => finishers.push(act)
    try {
      const aws = await startStandIn(finish)
      const person = makePerson(finish, {AWS_ENDPOINT_URL: aws.url})
      const roles = Array.from(
        {length: profiles},
        (_, at) => `[profile p${at}]\nrole_arn = arn:aws:iam::123456789012:role/r${at}\nsource_profile = base\n`,
      )
      person.write(
        '.aws/config',
        `[profile base]\nregion = eu-west-1\naws_access_key_id = AKIAX\naws_secret_access_key = secret\n${roles.join('')}`,
      )
      const {status, stderr} = await person.run('assume', 'p7', '--json')
      if (status !== 0) return `prod assume ended with ${status}: ${stderr}`

      const row = (what: string, args: readonly string[], ratio: number): Row => {
        const {ours, floor: other, ratio: found} = inTurns([process.execPath, cli, ...args], floor, person.env)
        return {what, value: ours, unit: 'ms', floor: {what: 'node -e 0:', value: other}, ratio: found, budget: {ratio, kind: 'at most'}}
      }
      const rows = [
        row('assume --json, kept in a file', ['assume', 'p7', '--json'], 1.15),
        row('assume -- true, kept in a file', ['assume', 'p7', '--', 'true'], 1.3),
        row(`roles, ${profiles} profiles`, ['roles'], 3),
      ]
      const theirs = ['aws', 'configure', 'export-credentials', '--profile', 'base']
      if (spawnSync('aws', theirs.slice(1), {env: person.env}).status !== 0) return rows
      const {ours, floor: other, ratio} = inTurns([process.execPath, cli, 'assume', 'p7', '--json'], theirs, person.env, 7)
      return [
        ...rows,
        {what: 'assume --json', value: ours, unit: 'ms', floor: {what: 'aws configure export-credentials:', value: other}, ratio},
      ]
    } finally {
      for (const act of finishers) await act()
    }
  },
}
