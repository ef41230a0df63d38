import {basename} from 'node:path'
import * as Flags from '@oclif/core/flags'
import {ProdCommand} from '@prod/sdk/cli/command'
import {say, writeResult} from '@prod/sdk/cli/output'
import {ProdError} from '@prod/sdk/errors'
import type {Ready} from '../../main.ts'

/** Starts the broker and serves until SIGTERM or Ctrl-C, which drain it. */
export default class BrokerStart extends ProdCommand {
  static override summary = 'start the broker'
  static override description =
    'With --dev it needs nothing else on the machine: a store, an identity provider with three people, a starter catalog and policy. Never for production.'
  static override flags = {
    config: Flags.string({description: 'the configuration file', helpValue: 'FILE', exclusive: ['dev']}),
    dev: Flags.boolean({description: 'a development broker, on loopback alone'}),
    dir: Flags.string({
      description: 'data folder of the development broker; a temporary one if left out',
      helpValue: 'DIR',
      dependsOn: ['dev'],
    }),
    port: Flags.integer({description: 'port to listen on; a free one if left out in development', min: 0, max: 65535, helpValue: 'N'}),
  }
  static override examples = [
    '<%= config.bin %> <%= command.id %> --dev',
    '<%= config.bin %> <%= command.id %> --config /etc/prod/broker.yaml',
  ]

  async run(): Promise<Ready> {
    const {flags} = await this.parse(BrokerStart)
    const {startBroker} = await import('@prod/broker/main')
    const broker = await startBroker({
      ...(flags.config === undefined ? {} : {configFile: flags.config}),
      ...(flags.dir === undefined ? {} : {dir: flags.dir}),
      ...(flags.port === undefined ? {} : {port: flags.port}),
      development: flags.dev,
      alarm: line => process.stderr.write(`${line}\n`),
    })
    const {ready} = broker
    if (this.jsonEnabled()) {
      writeResult(JSON.stringify(ready))
      this.answered = true
    } else {
      writeResult(flags.dev ? developmentWords(ready) : [`serving at ${ready.url}`])
    }
    const lost = await Promise.race([untilStopped(), broker.lost.then(() => true)])
    say(lost ? 'another broker has taken over' : 'stopping: nothing new starts, what runs is ended and recorded')
    await broker.stop()
    if (lost) throw new ProdError('STORE_IN_USE', 'another broker has taken over the store', 'prod broker start --dir OTHER')
    return ready
  }
}

/** What to type next, in two more terminals: every line of it can be pasted. */
function developmentWords({url, dir, people = []}: Ready): string[] {
  const launcher = process.argv[1] ?? ''
  const asPerson = (who: string) => [
    ...(basename(launcher) === 'run.js' ? [`  alias prod="node '${launcher}'"`] : []),
    '  export HOME=$(mktemp -d) PROD_CREDENTIAL_STORE=file',
    `  prod login --broker ${url} --as ${who}`,
  ]
  return [
    'DEVELOPMENT BROKER. NOT FOR PRODUCTION.',
    `serving at ${url}; its files are in ${dir}`,
    '',
    'Each person has a terminal and a HOME of their own. In a second terminal, alice:',
    ...asPerson('alice'),
    '  prod exec --reason "looking around" web status',
    '  prod exec --reason "the site answers slowly" web restart',
    '',
    'The last one waits. In a third terminal, bob, who may approve it:',
    ...asPerson('bob'),
    '  prod request approve',
    '',
    `People: ${people.join(', ')}. Stop with Ctrl-C.`,
  ]
}

function untilStopped(): Promise<void> {
  return new Promise(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => resolve())
  })
}
