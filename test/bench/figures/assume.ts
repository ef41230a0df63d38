import {spawn, spawnSync} from 'node:child_process'
import {once} from 'node:events'
import {mkdirSync} from 'node:fs'
import {join} from 'node:path'
import {cli, makePerson} from '../../../plugins/aws/test/person.ts'
import {startStandIn} from '../../../plugins/aws/test/stand-in.ts'
import {type Figure, inTurns, type Row} from '../figure.ts'

const profiles = 600
const floor = [process.execPath, '-e', '0']

/** A secret service of this bench alone; answers the address of its bus, undefined where the machine has none to start. */
async function startKeychain(env: NodeJS.ProcessEnv, finish: (act: () => Promise<void>) => void): Promise<string | undefined> {
  if (!['dbus-run-session', 'gnome-keyring-daemon'].every(name => spawnSync('which', [name]).status === 0)) return undefined
  const script =
    'printf pw | gnome-keyring-daemon --unlock --components=secrets --daemonize > /dev/null; echo "$DBUS_SESSION_BUS_ADDRESS"; exec cat'
  const child = spawn('dbus-run-session', ['--', 'sh', '-c', script], {env, stdio: ['pipe', 'pipe', 'ignore']})
  finish(async () => {
    child.stdin.end()
    await once(child, 'exit')
  })
  const [line] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string]
  return line.trim()
}

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
      const runtime = join(person.home, 'run')
      mkdirSync(runtime, {mode: 0o700})
      const bus = await startKeychain({...person.env, XDG_RUNTIME_DIR: runtime}, finish)
      if (bus !== undefined) {
        const inFile = {...person.env}
        Object.assign(person.env, {PROD_CREDENTIAL_STORE: 'keychain', XDG_RUNTIME_DIR: runtime, DBUS_SESSION_BUS_ADDRESS: bus})
        await person.run('assume', 'p7', '--json')
        rows.push(row('assume --json, kept in the keychain', ['assume', 'p7', '--json'], 1.7))
        person.env = inFile
      }
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
