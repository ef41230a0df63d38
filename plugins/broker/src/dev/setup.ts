/** What `--dev` brings: a folder with a starter catalog and policy, keys, two alert receivers, and the demo's service. */
import {randomBytes} from 'node:crypto'
import {existsSync} from 'node:fs'
import {mkdtemp, writeFile} from 'node:fs/promises'
import {tmpdir} from 'node:os'
import {join, resolve} from 'node:path'
import {generateX25519Identity, identityToRecipient} from 'age-encryption'
import {type Config, defaults} from '../config.ts'
import {openFolder, openSecret} from '../keys.ts'
import {startDemoService, writeDevStarter} from '../policy/starter.ts'
import {startReceiver} from './alerts.ts'

/** File in DIR that opens the recordings of a development broker. */
export const recordingKeyFile = 'recording-key.txt'
/** File in DIR that says who else there is; it is always there, so that it can be hidden from tools. */
export const peopleFile = 'people.json'

/** A development configuration on loopback, and what runs beside it. */
export async function setUpDevelopment({
  dir: given,
  port,
}: {
  dir?: string
  port?: number
}): Promise<{config: Config; stop(): Promise<void>}> {
  const dir = given === undefined ? await mkdtemp(join(tmpdir(), 'prod-dev-')) : resolve(given)
  openFolder(dir)
  if (!existsSync(join(dir, 'catalog'))) await writeDevStarter(dir)
  await writeFile(join(dir, peopleFile), '{}\n', {flag: 'wx', mode: 0o600}).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
  const made = await generateX25519Identity()
  const identity = openSecret(join(dir, recordingKeyFile), () => Buffer.from(`${made}\n`))
    .toString()
    .trim()
  openFolder(join(dir, 'keys'))
  const secret = (name: string) =>
    openSecret(join(dir, 'keys', `alerts-${name}.secret`), () => Buffer.from(`whsec_${randomBytes(32).toString('base64')}`)).toString()
  const receivers = await Promise.all(['a', 'b'].map(name => startReceiver(dir, name, secret(name))))
  // its folder comes with the starter; a folder of another making has no such service
  const service = existsSync(join(dir, 'demo')) ? await startDemoService(dir, {node: process.execPath}) : undefined
  const config: Config = {
    ...defaults,
    plugins: [...defaults.plugins, '@prod/aws', '@prod/ec2-instance-connect', '@prod/ecs', '@prod/ssm'],
    limits: [],
    metrics: {...defaults.metrics, minPeople: 1},
    dir,
    development: true,
    name: 'development broker',
    listen: {host: '127.0.0.1', port: port ?? 0, metricsPort: 0},
    origin: `http://127.0.0.1:${port ?? 0}`,
    tls: null,
    identity: {kind: 'dev', clientId: 'prod-cli', issuerPort: 0},
    catalogDir: join(dir, 'catalog'),
    policyDir: join(dir, 'policy'),
    policy: null,
    channels: receivers.map(({url}, at) => {
      const name = at === 0 ? 'a' : 'b'
      return {name, notifier: 'webhook', config: {url, secretFile: join(dir, 'keys', `alerts-${name}.secret`)}}
    }),
    alertChannels: ['a', 'b'],
    places: ['127.0.0.0/8', '::1/128'],
    recordingRecipients: [await identityToRecipient(identity)],
  }
  return {
    config,
    async stop() {
      await Promise.all([...receivers.map(receiver => receiver.close()), service?.stop()])
    },
  }
}
