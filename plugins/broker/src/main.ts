/** Chooses the parts by the configuration and starts them: the one file that loads implementations. */
import {hostname} from 'node:os'
import {join} from 'node:path'
import type {GrantProvider, NoticeChannel, Primitive} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {openEntry} from '@prod/sdk/log/envelope'
import {storeFile} from '@prod/sdk/log/folder'
import {settleLogKey} from './audit/log-key.ts'
import {tellFolded} from './audit/refusals.ts'
import {auditRoutes} from './audit/routes.ts'
import {catalogRoutes} from './catalog/routes.ts'
import {type MachineClocks, steadyClock, watchClock, whyOff} from './clock.ts'
import {type Config, configDigest, readConfig} from './config.ts'
import {peopleFile, recordingKeyFile, setUpDevelopment} from './dev/setup.ts'
import {performErasures} from './erasure/perform.ts'
import {erasureRoutes} from './erasure/routes.ts'
import {freezeRoutes} from './freeze/routes.ts'
import {groupProvider} from './grants/group.ts'
import {reconcileAll, reconcileDue} from './grants/reconcile.ts'
import {grantRoutes} from './grants/routes.ts'
import {startOperations} from './http/operations.ts'
import {startServer} from './http/server.ts'
import {identityRoutes} from './identity/routes.ts'
import {openIdentity} from './identity-providers/open.ts'
import {newId} from './ids.ts'
import {openFolder, openKeys} from './keys.ts'
import {doctorRoutes} from './metrics/doctor.ts'
import {catchUp} from './metrics/ledger.ts'
import {renderPrometheus} from './metrics/prometheus.ts'
import {metricsRoutes} from './metrics/routes.ts'
import {deliverDue} from './outbox/deliver.ts'
import type {Parts} from './parts.ts'
import {loadPlugins} from './plugins.ts'
import {BundleRefused, showFinding, watchBundle} from './policy/index.ts'
import {keptBundleFile, placeOfBundle} from './policy/place.ts'
import {compareWithLog} from './policy/shadow.ts'
import {requestRoutes} from './requests/routes.ts'
import {sweepForgotten, sweepRequests} from './requests/sweep.ts'
import {watchHold} from './runs/fence.ts'
import {inspectAll} from './runs/program.ts'
import {recover} from './runs/recover.ts'
import {sweepOutputs} from './runs/retention.ts'
import {runRoutes} from './runs/routes.ts'
import {sessionRoutes} from './sessions/routes.ts'
import {openSqliteStore} from './stores/sqlite/sqlite-store.ts'
import {createLiveSet} from './streams/live-set.ts'
import {mayGoOn} from './streams/may-go-on.ts'
import {serveStream} from './streams/serve.ts'

const tickMilliseconds = 500
const reconcileMilliseconds = 120_000
const forgetMilliseconds = 60_000
const drainMilliseconds = 10_000
/** In the data folder: the newest signed bundle that was loaded. */

/** The ready line (`--json`). */
export interface Ready {
  url: string
  ready: true
  dir: string
  metricsUrl: string
  issuer: string
  /** development: who can log in with `--as` */
  people?: string[]
}

/** A broker that serves. `stop` drains: nothing new starts, what runs is ended and recorded. */
export interface Broker {
  ready: Ready
  stop(): Promise<void>
  /** another broker has taken over the store: what ran here is ended, and nothing more is written (TM-N7) */
  readonly lost: Promise<void>
}

/** What `prod broker start` was told. */
export interface StartChoice {
  configFile?: string
  development?: boolean
  dir?: string
  port?: number
  /** gets one JSON line for each alarm */
  alarm: (line: string) => void
  /** the store's clock, and settings of a development broker that tests change */
  clock?: () => Date
  /** the machine's clocks, for tests */
  machine?: MachineClocks
  settings?: Partial<
    Pick<
      Config,
      | 'requestSeconds'
      | 'approvalSeconds'
      | 'retentionDays'
      | 'breakGlass'
      | 'forward'
      | 'alertChannels'
      | 'channels'
      | 'places'
      | 'limits'
      | 'metrics'
      | 'policy'
      | 'plugins'
    >
  >
}

/** Starts a broker. Throws CONFIG_INVALID, POLICY_INVALID, STORE_IN_USE, PORT_IN_USE; nothing is left running then. */
export async function startBroker(choice: StartChoice): Promise<Broker> {
  const undo: (() => Promise<void> | void)[] = []
  const stopAll = async () => {
    for (const step of undo.reverse()) await Promise.resolve(step()).catch(() => {})
  }
  try {
    return await start(choice, undo, stopAll)
  } catch (error) {
    await stopAll()
    if (error instanceof BundleRefused)
      throw new ProdError('POLICY_INVALID', error.findings.map(showFinding).join('\n'), 'prod policy check', {cause: error})
    throw error
  }
}

async function start(choice: StartChoice, undo: (() => Promise<void> | void)[], stopAll: () => Promise<void>): Promise<Broker> {
  // of all that this process calls: the identity provider, clouds, channels (TM-Q8)
  if (process.env.NODE_TLS_REJECT_UNAUTHORIZED === '0')
    throw new ProdError(
      'INSECURE_URL',
      'NODE_TLS_REJECT_UNAUTHORIZED=0 would turn certificate checks off',
      'unset NODE_TLS_REJECT_UNAUTHORIZED',
    )
  // The runner is forked first, while this process is small: primitives start before the store and Cedar load.
  const development = choice.development
    ? await setUpDevelopment({
        ...(choice.dir === undefined ? {} : {dir: choice.dir}),
        ...(choice.port === undefined ? {} : {port: choice.port}),
      })
    : undefined
  if (development) undo.push(() => development.stop())
  if (!development && !choice.configFile)
    throw new ProdError('USAGE', 'a broker needs a configuration', 'prod broker start --config FILE, or --dev to try it')
  const config: Config = development ? development.config : await readConfig(choice.configFile as string)
  if (!development && choice.port !== undefined) config.listen.port = choice.port
  if (development) Object.assign(config, choice.settings)
  openFolder(config.dir)

  const plugins = await loadPlugins(config.plugins, config)
  const primitives = new Map<string, Primitive>()
  for (const name of ['recordings', 'outputs']) openFolder(join(config.dir, name))
  const files = [
    storeFile,
    `${storeFile}-wal`,
    `${storeFile}-shm`,
    'dev-provider.sqlite',
    'dev-provider.sqlite-journal',
    peopleFile,
    recordingKeyFile,
  ]
  const hide = [...files, keptBundleFile, 'keys', 'recordings', 'outputs', 'alerts']
    .map(name => join(config.dir, name))
    .concat([config.catalogDir, config.policyDir, config.policy?.bundle ?? null].filter(place => place !== null))
  for (const primitive of plugins.flatMap(({primitive, primitives = []}) => [primitive ?? [], primitives].flat())) {
    primitives.set(primitive.id, primitive)
    const stop = await primitive.start?.({development: config.development, hide})
    if (stop) undo.push(stop)
  }

  const keys = openKeys(config.dir, new URL(config.origin).hostname)
  const clock = steadyClock(choice.machine)
  const instance = `${hostname()}`
  const store = await openSqliteStore({
    file: join(config.dir, storeFile),
    log: {name: keys.log.name, privateKey: keys.log.privateKey, next: keys.log.next},
    instance,
    clock: choice.clock ?? clock.now,
  })
  undo.push(() => store.close())
  await settleLogKey(config.dir, keys.log.name, store)
  const {identity, people, stop: stopIdentity} = await openIdentity(config)
  undo.push(stopIdentity)

  const grantProviders = new Map<string, GrantProvider>([['group', groupProvider(store, keys.seal) as GrantProvider]])
  for (const {grantProvider, grantProviders: several = []} of plugins)
    for (const one of [grantProvider ?? [], several].flat()) grantProviders.set(one.id, one)
  const channels = new Map<string, NoticeChannel>()
  for (const {name, notifier, config: channelConfig} of config.channels) {
    const found = plugins.find(plugin => plugin.notifier?.id === notifier)?.notifier
    if (!found) throw new ProdError('CONFIG_INVALID', `no plugin of this broker notifies by ${notifier}`, 'plugins: ["@prod/webhook"]')
    channels.set(name, found.channel(name, {...channelConfig, development: config.development}))
  }

  let isStopping = false
  let alarms = 0
  const alarm: Parts['alarm'] = (what, detail) => {
    alarms += 1
    choice.alarm(JSON.stringify({at: new Date().toISOString(), level: 'alarm', what, ...detail}))
  }
  const bundles = await watchBundle(
    {
      ...(await placeOfBundle(config, keys, store)),
      development: config.development,
      primitives,
      providers: grantProviders,
      now: () => store.now(),
      ...(config.policy?.maxAgeHours ? {maxAgeSeconds: config.policy.maxAgeHours * 3600} : {}),
    },
    {
      onSwap: (bundle, previous) => {
        void store
          .commit({
            events: [
              {
                type: 'bundle.loaded',
                by: 'broker',
                subject: bundle.digest.slice(0, 16),
                data: {digest: bundle.digest, previous: previous.digest, warnings: bundle.warnings.length, signed: bundle.signed},
              },
            ],
          })
          .catch(() => {})
        set.judgeAll()
        inspectSoon()
      },
      beforeSwap: (next, current) =>
        compareWithLog(store, next, current).catch(() => alarm('what a new bundle changes could not be recorded', {bundle: next.digest})),
      onAging: current => alarm('the policy bundle is older than half of what policy.maxAgeHours allows', {...current.signed}),
      onRefused: (findings, current) => {
        alarm('a changed bundle was refused; the old one stays', {findings: findings.map(showFinding), bundle: current.digest})
        void store
          .commit({
            events: [{type: 'bundle.refused', by: 'broker', subject: current.digest.slice(0, 16), data: {findings: findings.length}}],
          })
          .catch(() => {})
      },
    },
  )
  undo.push(() => bundles.close())

  const parts: Parts = {
    config,
    store,
    identity,
    keys,
    bundle: bundles.current,
    primitives,
    grantProviders,
    channels,
    newId,
    alarm,
    draining: () => (isStopping ? 'the broker is stopping' : whyOff(clock)),
    stopping: () => isStopping,
  }
  const inspectSoon = (): void => {
    inspectAll(parts).catch((error: unknown) =>
      alarm('the programs of the tools could not be looked at', {error: error instanceof Error ? error.message : ''}),
    )
  }
  const set = createLiveSet(() => parts, instance, mayGoOn)
  const recovered = await recover(parts, instance)
  await reconcileAll(parts)
  const [before] = await store.entries({from: 0, limit: 1, newest: true, type: 'broker.started'})
  await store.commit({
    events: [
      {
        type: 'broker.started',
        by: 'broker',
        subject: 'broker',
        data: {
          instance,
          development: config.development,
          bundle: bundles.current().digest,
          signed: bundles.current().signed,
          recovered,
          config: configDigest(config),
          configBefore: before ? (openEntry(before).data?.config ?? null) : null,
        },
      },
    ],
  })

  const door = await startServer(parts, {
    routes(app) {
      identityRoutes(app, parts)
      catalogRoutes(app, parts)
      requestRoutes(app, parts)
      grantRoutes(app, parts, principal => set.endLost(principal))
      runRoutes(app, parts, set)
      sessionRoutes(app, parts, set)
      auditRoutes(app, parts)
      metricsRoutes(app, parts)
      doctorRoutes(app, parts)
      freezeRoutes(app, parts)
      erasureRoutes(app, parts)
    },
    stream: (socket, hello) => void serveStream(parts, set, socket, hello),
  })
  undo.push(() => door.close())
  const operations = await startOperations(config.listen.metricsPort, () => renderPrometheus(parts, {live: set.all().length, alarms}))
  undo.push(() => operations.close())
  // the figures are ready when somebody asks, however long the log is
  void catchUp(store).catch(() => {})
  if (config.metrics.otlp) {
    const {startOtlp} = await import('./metrics/otlp.ts')
    undo.push(await startOtlp(parts, config.metrics.otlp, () => ({live: set.all().length, alarms})))
  }

  undo.push(watchClock(parts, clock))
  const lost = Promise.withResolvers<void>()
  undo.push(
    watchHold(parts, set, () => {
      isStopping = true
      lost.resolve()
    }),
  )
  inspectSoon()
  const stopping = new AbortController()
  const work = startWork(parts, stopping.signal)
  undo.push(() => {
    stopping.abort()
    return work
  })
  const unsubscribe = store.subscribe(changed => {
    if (set.all().length > 0 && changed.some(({kind}) => kind === 'login' || kind === 'membership' || kind === 'grant')) set.judgeAll()
  })
  undo.push(unsubscribe)

  const port = door.port
  const url = config.development ? `http://127.0.0.1:${port}` : config.origin
  return {
    ready: {url, ready: true, dir: config.dir, metricsUrl: operations.url, issuer: identity.issuer, ...(people ? {people} : {})},
    lost: lost.promise,
    async stop() {
      isStopping = true
      await Promise.race([set.stop(), new Promise(resolve => setTimeout(resolve, drainMilliseconds).unref())])
      await tellFolded(store, true).catch(() => {})
      await store.commit({events: [{type: 'broker.stopped', by: 'broker', subject: 'broker', data: {instance}}]}).catch(() => {})
      await stopAll()
    },
  }
}

/** What a broker does by itself: grants begin and end, requests expire, notices leave. One loop; a pass that fails is told and done again. */
async function startWork(parts: Parts, signal: AbortSignal): Promise<void> {
  let wake: () => void = () => {}
  const stop = parts.store.subscribe(() => wake())
  signal.addEventListener('abort', () => wake())
  const now = () => parts.store.now().getTime()
  let forgotten = now()
  let reconciled = now()
  const {dir} = parts.config
  while (!signal.aborted) {
    const woken = new Promise<void>(resolve => {
      const timer = setTimeout(resolve, tickMilliseconds)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    try {
      const changed = await settleLogKey(dir, parts.keys.log.name, parts.store)
      if (changed) parts.alarm('the log has a new key', {...changed})
      await reconcileDue(parts)
      await sweepRequests(parts)
      while ((await deliverDue(parts, signal)) > 0 && !signal.aborted);
      if (now() - forgotten > forgetMilliseconds) {
        forgotten = now()
        await sweepForgotten(parts)
        await sweepOutputs(parts)
        await performErasures(parts)
        await tellFolded(parts.store)
      }
      if (now() - reconciled > reconcileMilliseconds) {
        reconciled = now()
        await reconcileAll(parts)
        await inspectAll(parts)
      }
    } catch (error) {
      if (!signal.aborted)
        parts.alarm('a pass over what is due failed', {
          code: error instanceof ProdError ? error.code : 'INTERNAL',
          error: error instanceof Error ? error.message : '',
        })
    }
    await woken
  }
  stop()
}
