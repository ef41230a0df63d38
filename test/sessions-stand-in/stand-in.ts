/**
 * What AWS is for sessions, on a free port of this machine: the APIs that lead to a session, the message gateway, and agents that
 * really run what they are told to. Written from the specification and the API references, apart from the client.
 */
import {randomBytes, randomUUID} from 'node:crypto'
import {existsSync, mkdirSync, mkdtempSync, rmSync} from 'node:fs'
import {createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {WebSocketServer} from 'ws'
import type {AgentSettings} from './agent-parts.ts'
import {answerCall, type Serving} from './answer.ts'
import type {World} from './api.ts'
import {cancel} from './commands.ts'
import {someDocuments} from './documents.ts'
import {endTree} from './end-tree.ts'
import {type Session, startGateway} from './gateway.ts'
import {knowIdentities, type NewIdentity} from './identities.ts'
import {startKeys} from './kms.ts'
import {type Policy, statements} from './policy.ts'
import type {Limits, Trouble} from './trouble.ts'
import {answerUpgrade} from './upgrade.ts'
import {
  account,
  type Call,
  type Cluster,
  type Document,
  type Endpoint,
  type Identity,
  type Instance,
  makeInstance,
  makeRole,
  someClusters,
  someEndpoints,
  someInstances,
} from './world.ts'

/** What a stand-in may be told. All of it can be written as JSON. */
export interface StandInOptions {
  /** the port to listen on; a free one where nothing is said */
  port?: number
  region?: string
  instances?: (Partial<Instance> & {id: string})[]
  clusters?: Cluster[]
  endpoints?: Endpoint[]
  /** documents besides those of AWS */
  documents?: Document[]
  /** roles by name: what they allow, who may assume them, and for how long */
  roles?: Record<string, {allows: Policy; trusts?: string[]; maxSeconds?: number}>
  /** `inputs` of the account's session preferences: kmsKeyId, idleSessionTimeout (minutes), maxSessionDuration, shellProfile */
  preferences?: Record<string, unknown>
  /** how agents behave where an instance says nothing */
  agent?: Partial<AgentSettings>
  trouble?: Trouble
  limits?: Partial<Limits>
  /** how much faster the stand-in's clock runs than the wall's */
  timeScale?: number
  /** how often GetCommandInvocation does not know yet of what was sent; 1 where nothing is said */
  invocationLag?: number
  /** where machines and containers have their folders; a temporary one otherwise */
  folder?: string
  /** the credential in `env`; a new one otherwise */
  credential?: {accessKeyId: string; secretAccessKey: string; sessionToken?: string}
}

/** A running stand-in. `world` may be changed while it runs. */
export interface StandIn {
  url: string
  region: string
  account: string
  /** what points SDKs and the CLI of AWS at it, with credentials that may do everything */
  env: Record<string, string>
  world: World
  sessions: Map<string, Session>
  calls: Call[]
  /** All that it gave out and nobody may find again: tokens, the secret part of addresses, what credentials are signed with. */
  secrets(): string[]
  /** Knows a credential from now on: who it is, what it may do, and by what session policy it is bounded. */
  register(it: NewIdentity): Identity
  /** The next calls of an action fail: so many times, for ever where nothing is said. */
  fail(action: string, code: string, times?: number, status?: number): void
  /** Calls of an action are never answered. */
  hang(action: string): void
  /** Answers as it should again. */
  mend(): void
  close(): Promise<void>
}

/** Starts one. */
export async function startStandIn(options: StandInOptions = {}): Promise<StandIn> {
  const region = options.region ?? 'us-east-1'
  const timeScale = options.timeScale ?? 1
  const startedAt = Date.now()
  const now = (): number => startedAt + (Date.now() - startedAt) * timeScale
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'prod-sessions-'))
  const marked = randomUUID()
  const known = new Map<string, Identity>()
  const identities = knowIdentities(known)
  const sockets = new WebSocketServer({noServer: true, perMessageDeflate: false, maxPayload: 1024 * 1024})
  const serving: Serving = {failures: new Map(), hung: new Set(), calls: [], identities, world: undefined as never}
  const server = createServer((request, response) => void answerCall(serving, request, response))
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(options.port ?? 0, '127.0.0.1', resolve))
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`

  const gateway = startGateway({
    trouble: options.trouble ?? {},
    limits: {idleMs: 20 * 60_000, maxMs: 0, tokenMs: 60_000 * timeScale, ...options.limits},
    timeScale,
    now,
    webSocketUrl: () => `ws://${host}`,
    mark: marked,
  })
  const world: World = {
    instances: (options.instances ?? someInstances()).map(one => makeInstance({region, ...one})),
    clusters: options.clusters ?? someClusters(region),
    endpoints: options.endpoints ?? someEndpoints(region),
    documents: [...(options.documents ?? []), ...someDocuments(options.preferences)],
    roles: new Map(),
    identities: known,
    register: identities.register,
    gateway,
    keys: startKeys(),
    commands: new Map(),
    executions: new Map(),
    tokens: new Map(),
    invocationLag: options.invocationLag ?? 1,
    agent: {
      version: '3.3.1142.0',
      pieceDelayMs: 1,
      timesFaster: 1,
      outputDelayMs: 0,
      errorDelayMs: 50,
      handshakeDelayMs: 0,
      handshakeTimeoutMs: 15_000,
      challenge: 'offered',
      knowsStatus: true,
      smuxVersions: [1],
      customerMessage: '',
      shell: existsSync('/bin/bash') ? ['/bin/bash', '--norc', '--noprofile'] : ['/bin/sh'],
      ports: {},
      environment: {PATH: process.env.PATH ?? '/usr/bin:/bin', LANG: 'C.UTF-8'},
      ...options.agent,
    },
    now,
    timeScale,
    host,
    mark: marked,
    folderOf(name) {
      const path = join(folder, name)
      mkdirSync(path, {recursive: true})
      return path
    },
  }
  for (const [name, {allows, ...rest}] of Object.entries(options.roles ?? {})) {
    const role = makeRole({name, allows: statements(allows), ...rest})
    world.roles.set(role.arn, role)
  }
  serving.world = world
  /** Also when the process ends without a word: nothing that was started stays, and no folder of ours. */
  const clean = (): void => {
    endTree(undefined, marked)
    if (!options.folder) rmSync(folder, {recursive: true, force: true, maxRetries: 3})
  }
  process.on('exit', clean)
  server.on('upgrade', (request, socket, head) => answerUpgrade(serving, sockets, request, socket, head))

  const owner = identities.register({
    name: 'alice',
    arn: `arn:aws:sts::${account}:assumed-role/admin/alice`,
    userId: 'AROA0A1B2C3D4E5F60718:alice',
    sessionToken: randomBytes(24).toString('base64url'),
    ...options.credential,
  })
  return {
    url: `http://${host}`,
    region,
    account,
    env: {
      AWS_ENDPOINT_URL: `http://${host}`,
      AWS_ACCESS_KEY_ID: owner.accessKeyId,
      AWS_SECRET_ACCESS_KEY: owner.secretAccessKey,
      ...(owner.sessionToken && {AWS_SESSION_TOKEN: owner.sessionToken}),
      AWS_REGION: region,
      AWS_DEFAULT_REGION: region,
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    world,
    sessions: gateway.sessions,
    calls: serving.calls,
    secrets: () => [
      ...gateway.given,
      ...[...known.values()].flatMap(({secretAccessKey, sessionToken}) => [secretAccessKey, sessionToken]).filter(one => one !== ''),
    ],
    register: identities.register,
    fail: (action, code, times = Number.POSITIVE_INFINITY, status = 400) => void serving.failures.set(action, {code, times, status}),
    hang: action => void serving.hung.add(action),
    mend() {
      serving.failures.clear()
      serving.hung.clear()
    },
    async close() {
      gateway.stop()
      for (const command of world.commands.values()) cancel(command)
      for (const client of sockets.clients) client.terminate()
      process.off('exit', clean)
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
      clean()
    },
  }
}
