/** A whole development broker in this process, people who log in to it, and streams as the CLI opens them. */
import {createHash, randomBytes} from 'node:crypto'
import {chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import type {Receipt} from '@prod/sdk'
import {api, type Tokens} from '@prod/sdk/api'
import {type BrokerClient, createClient} from '@prod/sdk/client'
import {sha256} from '@prod/sdk/document'
import {createLoginKey, type LoginKey} from '@prod/sdk/dpop'
import {ProdError} from '@prod/sdk/errors'
import {openEntry} from '@prod/sdk/log/envelope'
import {bindingNonce} from '@prod/sdk/login-binding'
import {type Broker as BrokerPlace, type Session, signApproval} from '@prod/sdk/session'
import {LinkLost, openStream, type StreamConnection} from '@prod/sdk/stream-client'
import type {EndPayload, FirstMessage, ServerMessage} from '@prod/sdk/wire'
import {decodeJwt} from 'jose'
import {type Broker, type StartChoice, startBroker} from '../src/main.ts'
import {writeDevStarter} from '../src/policy/starter.ts'

export type OnFinished = (end: () => Promise<void> | void) => void

/** People beside alice, bob and carol: a second lead, a second account of alice's, one whose provider knows no person id. */
export const people = {
  dave: {groups: ['sre-leads']},
  erin: {groups: ['engineers']},
  'alice.admin': {groups: ['sre-leads', 'engineers'], person: 'ALICE', sub: 'a-2'},
  nobody: {groups: ['sre-leads'], person: '', sub: 'n-1'},
}

/** What the tool `job` does; it is a script so that tests may read and change it. */
const program = `#!/bin/bash
set -u
dir=$JOB_DIR
case $1 in
  note) echo "begin $2" >> "$dir/notes"; sleep "\${3:-0.02}"; echo "end $2" >> "$dir/notes"; echo "noted $2" ;;
  say) shift; printf '%s\\n' "$@" ;;
  cat) cat ;;
  take) cat ;;
  flood) head -c "$2" /dev/zero | tr '\\\\0' 'x' ;;
  both) head -c "$2" /dev/urandom | tee "$dir/out"; head -c "$2" /dev/urandom | tee "$dir/err" >&2 ;;
  frames) printf '\\x03{"exit":{"status":0}}\\nprod: exit 0\\n\\xe2\\x82'; exit 7 ;;
  wait) echo waiting; (exec -a "$dir/waiter-$2" sleep 987654) & while [ ! -e "$dir/go-$2" ]; do sleep 0.02; done; echo "gone $2" ;;
  stubborn) trap '' TERM HUP INT; (setsid bash -c 'trap "" TERM HUP INT; (setsid bash -c "exec -a $0/stubborn-1 sleep 987654" &); exec -a "$0/stubborn-2" sleep 987654' "$dir" &) ; echo stubborn; (exec -a "$dir/stubborn-3" sleep 987654) ;;
  tty) if (exec < /dev/tty) 2>/dev/null; then echo 'a terminal'; else echo 'no terminal'; fi ;;
  fail) echo out; echo err >&2; exit "$2" ;;
esac
`

const tool = (dir: string) => `kind: Tool
name: job
summary: what tests let run
service: jobs
program: ${dir}/bin/job
run: { primitive: host, targets: [local, other] }
env: { JOB_DIR: ${dir}/jobs }
limits: { wallSeconds: 120, outputBytes: 1048576 }
retention: full
detachSeconds: 5
commands:
  - { path: [note], class: change, operands: [{ name: word, type: { type: string, maxLength: 6000 } }, { name: delay, type: { type: string }, min: 0 }] }
  - { path: [wait], class: change, operands: [{ name: word, type: { type: string } }] }
  - { path: [take], class: change, stdin: { maxBytes: 1000000 } }
  - { path: [stubborn], class: change }
  - { path: [fail], class: change, operands: [{ name: status, type: { type: string } }] }
  - { path: [say], class: read, operands: [{ name: words, type: { type: text, lines: true, maxLength: 65536, leading: ['-', '+', '@', '|', '!', scheme] }, min: 1, max: 4096 }] }
  - { path: [cat], class: read, stdin: true }
  - { path: [flood], class: read, operands: [{ name: bytes, type: { type: string } }] }
  - { path: [both], class: read, operands: [{ name: bytes, type: { type: string } }] }
  - { path: [tty], class: read }
  - { path: [frames], class: read }
`
const now = `kind: Tool
name: now
summary: the same program, allowed at once
program: '{{dir}}/bin/job'
run: { primitive: host, target: local }
env: { JOB_DIR: '{{dir}}/jobs' }
limits: { wallSeconds: 120, outputBytes: 1048576 }
retention: full
detachSeconds: 5
commands:
  - { path: [note], class: change, operands: [{ name: word, type: { type: string, maxLength: 6000 } }, { name: delay, type: { type: string }, min: 0 }] }
  - { path: [wait], class: change, operands: [{ name: word, type: { type: string } }] }
  - { path: [stubborn], class: change }
`
const rules = `@id("job-read")
permit (principal in Group::"engineers", action == Action::"run", resource in Tool::"job")
when { resource is job::say || resource is job::cat || resource is job::flood || resource is job::both || resource is job::tty || resource is job::frames };
@id("job-request")
permit (principal, action == Action::"request", resource in Tool::"job") when { principal in [Group::"engineers", Group::"sre-leads"] };
@id("job-approve")
permit (principal in Group::"sre-leads", action == Action::"approve", resource in Tool::"job");
@id("jobber")
permit (principal in Group::"engineers", action == Action::"request", resource == Role::"jobber");
@id("jobber-approve")
permit (principal in Group::"sre-leads", action == Action::"approve", resource == Role::"jobber");
@id("now-run")
permit (principal in Group::"engineers", action == Action::"run", resource in Tool::"now");
`

/** Files of the broker's folder that tests add to the development starter. */
export function jobFiles(dir: string): Record<string, string> {
  return {
    'bin/job': program,
    'catalog/services/jobs.yaml': 'kind: Service\nname: jobs\nowner: sre-leads\n',
    'catalog/tools/job.yaml': tool(dir),
    'catalog/roles/jobber.yaml':
      'kind: Role\nname: jobber\nsummary: for tests\nprovider: group\nparameters: { group: jobbers }\nclass: change\nservice: jobs\nmaxSeconds: 3600\n',
    'catalog/tools/now.yaml': now.replaceAll('{{dir}}', dir),
    'catalog/targets/other.yaml': 'kind: Target\nname: other\naddress: host:local\nenvironment: staging\n',
    'policy/global/job.cedar': rules,
    'people.json': JSON.stringify(people),
  }
}

/**
 * Prepares a folder with the development starter and the tests' tools. The starter's own tests of its policy are left out (policy-starter.test.ts
 * runs them), and its web service runs only for those who use it.
 */
export async function prepareFolder(dir: string, more: Record<string, string> = {}, demo = false): Promise<void> {
  await writeDevStarter(dir)
  if (!demo) rmSync(join(dir, 'demo'), {recursive: true})
  for (const name of readdirSync(join(dir, 'policy/tests'))) writeFileSync(join(dir, 'policy/tests', name), '[]\n')
  mkdirSync(join(dir, 'jobs'), {recursive: true})
  for (const [name, text] of Object.entries({...jobFiles(dir), ...more})) {
    mkdirSync(dirname(join(dir, name)), {recursive: true})
    writeFileSync(join(dir, name), text)
  }
  chmodSync(join(dir, 'bin/job'), 0o755)
}

export interface Core {
  readonly dir: string
  readonly url: string
  readonly broker: Broker
  readonly alarms: {what: string; [detail: string]: unknown}[]
  /** moves the store's clock and what people sign with */
  forward(ms: number): void
  /** logs somebody in; the same person each time unless `again` */
  as(name: string, again?: boolean): Promise<Person>
  /** Writes a file of the folder and waits until the broker has taken the new bundle, or refused it. */
  change(name: string, text: string, outcome?: 'bundle.loaded' | 'bundle.refused'): Promise<void>
  /** events of the log, oldest first, by the store's file */
  events(type?: string): Promise<LoggedEvent[]>
  stop(): Promise<void>
}

export interface LoggedEvent {
  type: string
  by: string
  subject: string
  at: string
  correlation?: string
  data: Record<string, unknown>
  personal: Record<string, unknown>
}

/** Starts it; it ends with the tests. */
export async function startCore(
  onFinished: OnFinished,
  options: Partial<StartChoice> & {files?: Record<string, string>; demo?: boolean} = {},
): Promise<Core> {
  const {files, demo, ...choice} = options
  const dir = choice.dir ?? mkdtempSync(join(tmpdir(), 'prod-core-'))
  if (choice.dir === undefined) await prepareFolder(dir, files, demo)
  let ahead = 0
  const clock = () => new Date(Date.now() + ahead)
  const alarms: Core['alarms'] = []
  const broker = await startBroker({
    development: true,
    clock,
    ...choice,
    dir,
    port: 0,
    alarm: line => alarms.push(JSON.parse(line) as Core['alarms'][number]),
  })
  let stopped: Promise<void> | undefined
  const stop = () => (stopped ??= broker.stop())
  onFinished(async () => {
    await stop()
    if (choice.dir === undefined) rmSync(dir, {recursive: true, force: true})
  })
  const place: BrokerPlace = {name: 'core', url: broker.ready.url}
  const known = new Map<string, Promise<Person>>()
  const core: Core = {
    dir,
    url: broker.ready.url,
    broker,
    alarms,
    forward: ms => {
      ahead += ms
    },
    as(name, again = false) {
      const person = (again ? undefined : known.get(name)) ?? openPerson(place, name, clock)
      if (!again) known.set(name, person)
      return person
    },
    async change(name, text, outcome = 'bundle.loaded') {
      const before = (await core.events(outcome)).length
      writeFileSync(join(dir, name), text)
      await until(
        async () => (await core.events(outcome)).length > before,
        `${outcome} after ${name}; alarms: ${JSON.stringify(alarms.at(-1))}`,
      )
    },
    events: async type => {
      const carol = await core.as('carol')
      const all: LoggedEvent[] = []
      for (let from = 0; ; ) {
        const {entries, size} = await carol.client.call(api.auditEntries, {
          from: String(from),
          limit: '1000',
          ...(type === undefined ? {} : {type}),
        })
        for (const {envelope, openings} of entries) {
          const event = openEntry({envelope, openings})
          all.push({...event, by: event.by ?? '', at: event.time, data: event.data ?? {}})
        }
        const last = entries.at(-1)
        if (!last || entries.length < 1000 || last.index + 1 >= size) return all
        from = last.index + 1
      }
    },
    stop,
  }
  return core
}

export interface Person {
  readonly name: string
  readonly session: Session
  readonly client: BrokerClient
  /** Reads a request's document, signs and sends. */
  approve(request: string, change?: Partial<{digest: string; jws: string}>): Promise<void>
  exec(argv: string[], more?: Partial<FirstMessage & {type: 'exec'}>, use?: StreamUse): Run
  attach(id: string, have?: {stdout: number; stderr: number}, use?: StreamUse): Run
  logout(): Promise<void>
}

/** How a stream is read. */
export interface StreamUse {
  stdin?: Uint8Array | string
  /** sees each chunk before it is acknowledged */
  onOutput?: (stream: string, bytes: Uint8Array) => void | Promise<void>
  /** gets the end frame's JWS */
  onEnd?: (jws: string) => void
  /** keep the bytes: default true */
  keep?: boolean
}

/** One stream and what came of it. */
export interface Run {
  /** the first message of this kind */
  message<T extends ServerMessage['type']>(type: T): Promise<ServerMessage & {type: T}>
  /** sees each message, those that have come already first */
  onMessage(see: (message: ServerMessage) => void): void
  /** all that came, once the stream is over; throws what the broker said */
  done: Promise<Outcome>
  connection: Promise<StreamConnection>
  /** what has come so far */
  readonly so: {stdout: string; stderr: string}
}

export interface Outcome {
  stdout: Buffer
  stderr: Buffer
  end: EndPayload | undefined
  receipt: Receipt | null
  messages: ServerMessage[]
}

export const reason = 'because this test wants it'
export const newKey = () => randomBytes(16).toString('base64url')

/** Logs somebody in with a new key. */
export async function openPerson(broker: BrokerPlace, name: string, clock: () => Date): Promise<Person> {
  const {key: plain} = createLoginKey()
  // proofs and approvals carry the time of the tests' clock
  const key: LoginKey = {
    ...plain,
    sign: (header, payload) => plain.sign(header, {...payload, ...('iat' in payload ? {iat: Math.floor(clock().getTime() / 1000)} : {})}),
  }
  const configuration = await createClient({broker}).call(api.loginConfiguration)
  const [salt, verifier] = [randomBytes(32).toString('base64url'), randomBytes(32).toString('base64url')]
  const redirectUri = 'http://127.0.0.1:45678/callback'
  const url = new URL(configuration.authorizationEndpoint)
  const asked = {
    client_id: configuration.clientId,
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: configuration.scopes.join(' '),
    state: 'the-state',
    nonce: bindingNonce(key.thumbprint, salt),
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    login_hint: name,
  }
  for (const [parameter, value] of Object.entries(asked)) url.searchParams.set(parameter, value)
  const response = await fetch(url, {redirect: 'manual'})
  const location = new URL(response.headers.get('location') ?? broker.url)
  const code = location.searchParams.get('code')
  if (code === null) throw new Error(`no code: ${response.status} ${location.search}`)
  const iss = location.searchParams.get('iss')
  const knock = createClient({broker, key})
  let tokens: Tokens = await knock.call(api.login, {code, verifier, salt, redirectUri, ...(iss === null ? {} : {iss})})
  let endsAt = clock().getTime() + tokens.expiresInSeconds * 1000
  let renewing: Promise<string> | undefined
  const renew = () =>
    (renewing ??= knock
      .call(api.refresh, {refreshToken: tokens.refreshToken})
      .then(next => {
        tokens = next
        endsAt = clock().getTime() + next.expiresInSeconds * 1000
        return next.accessToken
      })
      .finally(() => (renewing = undefined)))
  const session: Session = {
    broker,
    principal: tokens.principal,
    groups: tokens.groups,
    login: tokens.login,
    loggedInAt: tokens.loggedInAt,
    key,
    get renewAt() {
      return endsAt - 60_000
    },
    get tokenEndsAt() {
      return endsAt
    },
    token: async () => (clock().getTime() >= endsAt - 30_000 ? renew() : tokens.accessToken),
    renew: async refused => (refused === tokens.accessToken ? renew() : tokens.accessToken),
  }
  const client = createClient({broker, session})
  const stream = (first: FirstMessage, use: StreamUse = {}) => follow(broker, session, first, use)
  const told = {version: 'test', platform: 'test'}
  return {
    name,
    session,
    client,
    async approve(request, change = {}) {
      const {document} = await client.call(api.requestDocument, {id: request})
      const digest = sha256(document)
      await client.call(api.approveRequest, {
        id: request,
        digest,
        jws: signApproval(session, {digest, request, decision: 'approve', assurance: 'login-key'}),
        ...change,
      })
    },
    exec: (argv, more = {}, use = {}) =>
      stream(
        {
          type: 'exec',
          key: newKey(),
          argv,
          targets: ['job'].includes(argv[0] as string) ? ['local'] : [],
          reason,
          wait: true,
          stdin: use.stdin !== undefined,
          client: told,
          ...more,
        },
        use,
      ),
    attach: (id, have = {stdout: 0, stderr: 0}, use = {}) =>
      stream({type: 'attach', id, have, ...(use.stdin === undefined ? {} : {stdin: true}), client: told}, use),
    logout: async () => {
      await client.call(api.logout, {})
    },
  }
}

function follow(broker: BrokerPlace, session: Session, first: FirstMessage, {stdin, onOutput, onEnd, keep = true}: StreamUse): Run {
  const kept = {stdout: [] as Buffer[], stderr: [] as Buffer[]}
  const messages: ServerMessage[] = []
  const waiting: {type: string; resolve: (message: never) => void; reject: (error: unknown) => void}[] = []
  let over: {error?: unknown} | undefined
  const seers: ((message: ServerMessage) => void)[] = []
  const connection = openStream({broker, session, first})
  let end: EndPayload | undefined
  let receipt: Receipt | null = null
  const done = (async (): Promise<Outcome> => {
    try {
      const stream = await connection
      for await (const event of stream) {
        if (event.type === 'output' && event.stream !== 'stdin') {
          await onOutput?.(event.stream, event.bytes)
          if (keep) kept[event.stream].push(Buffer.from(event.bytes))
          stream.wrote(event.stream, event.bytes.byteLength)
        } else if (event.type === 'end') {
          onEnd?.(event.jws)
          end = decodeJwt(event.jws) as unknown as EndPayload
        } else if (event.type === 'message') {
          messages.push(event.message)
          for (const see of seers) see(event.message)
          for (const one of waiting.filter(({type}) => type === event.message.type)) one.resolve(event.message as never)
          if (event.message.type === 'stdin-wanted' && stdin !== undefined) {
            void (async () => {
              const bytes = Buffer.from(stdin)
              for (let at = 0; at < bytes.length; at += 60_000) await stream.sendStdin(bytes.subarray(at, at + 60_000))
              await stream.endStdin()
            })().catch(() => {})
          }
          if (event.message.type === 'receipt') {
            receipt = event.message.receipt
            stream.close()
          }
        }
      }
      over = {}
      return {stdout: Buffer.concat(kept.stdout), stderr: Buffer.concat(kept.stderr), end, receipt, messages}
    } catch (error) {
      over = {error}
      throw error
    } finally {
      for (const {reject} of waiting) reject(over?.error ?? new Error('the stream ended before'))
    }
  })()
  done.catch(() => {})
  return {
    connection,
    done,
    get so() {
      return {stdout: Buffer.concat(kept.stdout).toString(), stderr: Buffer.concat(kept.stderr).toString()}
    },
    onMessage(see) {
      seers.push(see)
      for (const message of messages) see(message)
    },
    message: type => {
      const found = messages.find(one => one.type === type)
      if (found) return Promise.resolve(found as never)
      if (over) return Promise.reject(over.error ?? new Error(`the stream ended without ${type}`))
      return new Promise((resolve, reject) => waiting.push({type, resolve, reject}))
    },
  }
}

/** Waits for something to become true: 15 s at most. */
export async function until(check: () => boolean | Promise<boolean>, what = 'it'): Promise<void> {
  const last = Date.now() + 60_000
  // most come soon; for what takes longer, asking less often leaves it the processor
  for (let pause = 10; !(await check()); pause = Math.min(60, pause * 1.2)) {
    if (Date.now() > last) throw new Error(`${what} did not come`)
    await new Promise(resolve => setTimeout(resolve, pause))
  }
}

/** The code of what a promise is rejected with. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return 'none'
  } catch (error) {
    if (error instanceof ProdError) return error.code
    throw error
  }
}

export {LinkLost}

/** How many processes of this machine have a text in their command line. */
export function running(text: string): number {
  return readdirSync('/proc').filter(name => {
    try {
      return /^\d+$/.test(name) && readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(text)
    } catch {
      return false
    }
  }).length
}

/** Lines that the tool `job note` wrote. */
export function notes(dir: string): string[] {
  try {
    return readFileSync(join(dir, 'jobs/notes'), 'utf8').trim().split('\n')
  } catch {
    return []
  }
}
