/** A whole broker whose roles are of AWS, which is the stand-in of plugins/aws; and one as a process of its own, to be killed. */
import {type ChildProcess, spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {briefly} from '@prod/sdk/testing/kept-code'
import {afterAll, beforeAll, expect} from 'vitest'
import {type BrokerStandIn, roleArn, startBrokerStandIn} from '../plugins/aws/test/providers-stand-in.ts'
import {type Core, type Person, prepareFolder, startCore} from '../plugins/broker/test/core.ts'

/** What the tests of a file share; it is there once they begin. */
export interface AwsBroker<Name extends string> {
  aws: BrokerStandIn
  core: Core
  people: Record<Name, Person>
}

/** A role of the stand-in's account, as a file of the catalog. */
export const roleFile = (name: string, more = '') => `kind: Role
name: ${name}
summary: the role ${name} of the test's account
provider: aws-sts
parameters: { account: '111122223333', role: ${name}, regions: [us-east-1] }
class: change
${more}`

/** Starts AWS and the broker before the tests of this file, and ends them after. `roles`: what the account has. */
export function startAwsBroker<Name extends string>({
  roles,
  files,
  people,
  plugins = [],
}: {
  roles: readonly string[]
  files: Record<string, string>
  people: readonly Name[]
  plugins?: readonly string[]
}): AwsBroker<Name> {
  const ends: (() => Promise<void> | void)[] = []
  const onFinished = (end: () => Promise<void> | void) => void ends.push(end)
  const shared = {} as AwsBroker<Name>
  beforeAll(async () => {
    shared.aws = await startBrokerStandIn(onFinished)
    Object.assign(process.env, {
      AWS_ENDPOINT_URL: shared.aws.url,
      AWS_ACCESS_KEY_ID: 'AKIABROKER',
      AWS_SECRET_ACCESS_KEY: 'secret-of-the-broker',
      AWS_REGION: 'us-east-1',
    })
    for (const name of roles) {
      shared.aws.roles.set(roleArn(name), {
        allows: [{Effect: 'Allow', Action: '*', Resource: '*'}],
        trusts: new Set(['AKIABROKER']),
        maxSeconds: 3600,
        inline: new Map(),
      })
    }
    shared.core = await startCore(onFinished, {files, settings: {plugins: ['@prod/host', '@prod/webhook', '@prod/aws', ...plugins]}})
    shared.people = Object.fromEntries(await Promise.all(people.map(async name => [name, await shared.core.as(name)] as const))) as Record<
      Name,
      Person
    >
  })
  afterAll(async () => {
    for (const end of ends.reverse()) await end()
  })
  return shared
}

/** Nothing that AWS gave lies in the broker's folder, its log or its alarms, nor any of `more`. */
export async function expectNoSecrets({aws, core}: AwsBroker<string>, more: readonly string[] = []): Promise<void> {
  const texts = [JSON.stringify(await core.events()), JSON.stringify(core.alarms)]
  for (const name of readdirSync(core.dir, {recursive: true, withFileTypes: true}))
    if (name.isFile()) texts.push(readFileSync(join(name.parentPath, name.name), 'latin1'))
  for (const secret of [...aws.secrets, ...more]) expect(texts.some(text => text.includes(secret))).toBe(false)
}

/** Runs `act` with a broker as a process of its own over `files`; `kill` ends it at once and starts it again on the same folder and port. */
export async function withKillable(
  files: Record<string, string>,
  plugins: readonly string[],
  act: (url: string, kill: (between?: () => Promise<void>) => Promise<void>) => Promise<void>,
): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'prod-aws-kill-'))
  await prepareFolder(dir, files)
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const {port} = server.address() as {port: number}
  server.close()
  const script = join(import.meta.dirname, '../plugins/broker/test/core-process.ts')
  const start = async (): Promise<ChildProcess> => {
    const child = spawn(process.execPath, [...briefly, '--conditions=source', script, dir, String(port), '@prod/aws', ...plugins], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(createInterface({input: child.stdout as NodeJS.ReadableStream}), 'line')
    return child
  }
  let child = await start()
  try {
    await act(`http://127.0.0.1:${port}`, async between => {
      child.kill('SIGKILL')
      await once(child, 'exit')
      await between?.()
      child = await start()
    })
  } finally {
    child.kill('SIGTERM')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    rmSync(dir, {recursive: true, force: true})
  }
}
