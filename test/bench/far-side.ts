/** What the figures of sessions have in common: AWS as the stand-in is it, a broker that leads there, and keys whose echo is waited for. */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {wayOf} from '../../plugins/ssm/src/aws/call.ts'
import {openShell} from '../../plugins/ssm/src/channel/shell.ts'
import type {ChannelOptions} from '../../plugins/ssm/src/channel/view.ts'
import {openSession} from '../../plugins/ssm/src/session.ts'
import {type RealBroker, type RealPerson, startRealBroker} from '../e2e/broker.ts'
import type {StandInOptions} from '../sessions-stand-in/stand-in.ts'
import type {Row} from './figure.ts'

export const mebibyte = 2 ** 20
/** why all of it is done */
export const reason = 'how fast is it'
/** Where all of it is. */
export const region = 'us-east-1'

/** Gateway and agents, as they are seen from here. */
export interface FarSide {
  /** what leads there */
  readonly env: Record<string, string>
  /** how often clients connected, and how many frames went each way, in all sessions so far */
  counts(): Promise<{connections: number; up: number; down: number}>
  stop(): void
}

/** Gateway and agents, in a process of their own: nobody measures himself. */
export async function startFarSide(options: StandInOptions): Promise<FarSide> {
  const main = join(import.meta.dirname, '../sessions-stand-in/main.ts')
  const child = spawn(process.execPath, ['--conditions=source', main, JSON.stringify({region, ...options})], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines = createInterface(child.stdout)
  const [line] = (await once(lines, 'line')) as [string]
  const {env} = JSON.parse(line) as {env: Record<string, string>}
  return {
    env,
    async counts() {
      child.stdin.write('\n')
      const [answer] = (await once(lines, 'line')) as [string]
      const all = JSON.parse(answer) as {connections: number; up: number; down: number}[]
      const sum = (key: 'connections' | 'up' | 'down') => all.reduce((total, one) => total + one[key], 0)
      return {connections: sum('connections'), up: sum('up'), down: sum('down')}
    },
    stop: () => void child.kill(),
  }
}

/** A session of the first instance, as the plugin opens it: what its data channel is opened with. */
export async function openDirectly(
  env: Record<string, string>,
  document?: string,
  parameters: Record<string, string> = {},
): Promise<ChannelOptions> {
  Object.assign(process.env, env)
  const {AWS_ACCESS_KEY_ID = '', AWS_SECRET_ACCESS_KEY = '', AWS_SESSION_TOKEN = ''} = env
  const credential = {AccessKeyId: AWS_ACCESS_KEY_ID, SecretAccessKey: AWS_SECRET_ACCESS_KEY, SessionToken: AWS_SESSION_TOKEN}
  const access = {id: 'run_bench', principal: 'https://idp.example#alice', credential}
  return openSession({
    way: wayOf(access, region),
    region,
    instanceId: 'i-0a1b2c3d4e5f60001',
    document,
    parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, [value]])),
    access,
    signal: new AbortController().signal,
  })
}

/** Milliseconds from a key to its echo in a shell, by the data channel alone. */
export async function directEchoes(env: Record<string, string>, count: number): Promise<number[]> {
  const shell = await openShell(await openDirectly(env), {columns: 80, rows: 24})
  const keys: Keys = {type: text => void shell.stdin.write(text), hear: () => {}}
  shell.stdout.on('data', bytes => keys.hear(String(bytes)))
  const times = await echoTimes(keys, count)
  await shell.end('measured')
  return times
}

const files = {
  'catalog/roles/operator.yaml': `kind: Role
name: operator
summary: sessions on instances
provider: aws-sts
parameters: { account: '111122223333', role: operator, regions: [${region}] }
class: change
maxSeconds: 3600
`,
  'policy/global/instances.cedar': `@id("instance-shell")
permit (principal in Group::"engineers", action == Action::"shell", resource) when { resource == Target::"web-1" || resource == Target::"web-2" };
@id("instance-forward")
permit (principal in Group::"engineers", action == Action::"forward", resource == Target::"web-1");
`,
  ...Object.fromEntries(
    [1, 2].map(number => [
      `catalog/targets/web-${number}.yaml`,
      `kind: Target
name: web-${number}
address: ssm:${region}/i-0a1b2c3d4e5f6000${number}
environment: staging
role: operator
forwards: [{ host: localhost, ports: ["1024-65535"] }]
`,
    ]),
  ),
}

/** A broker with two instances of the far side as targets, `web-1` and `web-2`, and `alice` and `people`, who may use them. */
export async function startInstances(
  options: StandInOptions,
  people: readonly string[] = [],
): Promise<{broker: RealBroker; alice: RealPerson; farSide: FarSide; stop(): Promise<void>}> {
  const farSide = await startFarSide({roles: {operator: {allows: {Statement: {Effect: 'Allow', Action: '*', Resource: '*'}}}}, ...options})
  const ends: (() => Promise<void> | void)[] = [farSide.stop]
  const stop = async (): Promise<void> => {
    for (const end of ends.toReversed()) await end()
  }
  try {
    const broker = await startRealBroker(end => void ends.push(end), {
      env: farSide.env,
      people: Object.fromEntries(people.map(name => [name, {groups: ['engineers']}])),
    })
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(broker.dir, name, '..'), {recursive: true})
      writeFileSync(join(broker.dir, name), text)
    }
    const alice = broker.as('alice')
    for (let tries = 0; ; tries++) {
      const {stdout, stderr} = await alice.run(['targets', '--json'])
      if (stdout.includes('"web-2"')) return {broker, alice, farSide, stop}
      if (tries > 60) throw new Error(`the catalog did not load: ${stderr}`)
      await new Promise(resolve => setTimeout(resolve, 500))
    }
  } catch (error) {
    await stop()
    throw error
  }
}

/** The near end of a terminal. */
export interface Keys {
  type(keys: string): void
  /** who gets what comes from now on */
  hear: (text: string) => void
}

/** Milliseconds from a key to its echo at a remote terminal, where a shell waits for a line. */
export async function echoTimes(keys: Keys, count: number): Promise<number[]> {
  let all = ''
  await new Promise<void>(resolve => {
    keys.hear = text => {
      all += text
      if (all.includes('ready42')) resolve()
    }
    keys.type('echo ready$((6 * 7)); cat\r')
  })
  // what a terminal says besides is over by then
  await new Promise(resolve => setTimeout(resolve, 500))
  const times: number[] = []
  for (let key = 0; key < count; key++) {
    const echo = Promise.withResolvers<void>()
    keys.hear = text => text.includes('x') && echo.resolve()
    const from = performance.now()
    keys.type('x')
    await echo.promise
    times.push(performance.now() - from)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  return times
}

/** The most memory that a process has while something is done: looked at four times a second. */
export async function mostBytes(pid: number, what: () => Promise<unknown>): Promise<number> {
  let most = residentBytes(pid)
  const look = setInterval(() => {
    most = Math.max(most, residentBytes(pid))
  }, 250)
  try {
    await what()
  } finally {
    clearInterval(look)
  }
  return Math.max(most, residentBytes(pid))
}

/** Memory of a process that lies in real memory now. */
export const residentBytes = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024

/** A figure beside what is wanted of it. */
export const wanted = (what: string, value: number, unit: string, budget: number, kind: 'at least' | 'at most'): Row => ({
  what,
  value,
  unit,
  floor: {what: `wanted, ${unit}:`, value: budget},
  ratio: value / budget,
  budget: {ratio: 1, kind},
})
