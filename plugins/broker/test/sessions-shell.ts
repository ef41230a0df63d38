/** Shells as the tests open them: the real stream, bytes and messages as they come. */
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {api} from '@prod/sdk/api'
import {proof} from '@prod/sdk/dpop'
import {decodeRecords, type RecordingRecord, recordStream} from '@prod/sdk/recording'
import {openStream, type StreamConnection} from '@prod/sdk/stream-client'
import {type ClientMessage, type EndPayload, type FirstMessage, frame, type ServerMessage, streamPath, streamProtocol} from '@prod/sdk/wire'
import {Decrypter} from 'age-encryption'
import {decodeJwt} from 'jose'
import {WebSocket} from 'ws'
import {type Core, newKey, type Person, until} from './core.ts'

export const reason = 'the agent is wedged and pages us'
export const incident = 'INC-1234'
/** the mark that stands in every line of a break-glass shell */
export const prompt = '[BREAK-GLASS local] '
const told = {version: 'test', platform: 'test'}

/** One stream of a shell, an attach or a watch. */
export interface Shell {
  readonly connection: Promise<StreamConnection>
  /** what was put out so far */
  readonly so: string
  readonly messages: ServerMessage[]
  /** waits until `text` was put out */
  shows(text: string | RegExp): Promise<void>
  type(text: string | Uint8Array): Promise<void>
  message<T extends ServerMessage['type']>(type: T): Promise<ServerMessage & {type: T}>
  /** the end frame, or undefined where the stream was closed without; throws what the broker said */
  readonly done: Promise<EndPayload | undefined>
  /** the stream's end as a code: `end`, `closed`, or of the error */
  readonly outcome: Promise<string>
}

export interface StreamChoice {
  /** says nothing to a `confirm` */
  silent?: boolean
}

/** Opens a stream with this first message. */
export function stream(person: Person, first: FirstMessage, choice: StreamChoice = {}): Shell {
  const messages: ServerMessage[] = []
  const bytes: Buffer[] = []
  let over = false
  let changed = Promise.withResolvers<void>()
  const wake = () => {
    changed.resolve()
    changed = Promise.withResolvers<void>()
  }
  const connection = openStream({broker: person.session.broker, session: person.session, first})
  const done = (async () => {
    try {
      const link = await connection
      for await (const event of link) {
        if (event.type === 'output' && event.stream === 'stdout') {
          bytes.push(Buffer.from(event.bytes))
          link.wrote('stdout', event.bytes.byteLength)
        } else if (event.type === 'end') {
          const end = decodeJwt(event.jws) as unknown as EndPayload
          link.close()
          return end
        } else if (event.type === 'message') {
          messages.push(event.message)
          if (event.message.type === 'confirm' && !choice.silent) link.send({type: 'confirmed', text: event.message.text})
        }
        wake()
      }
      return undefined
    } finally {
      over = true
      wake()
    }
  })()
  done.catch(() => {})
  const so = () => Buffer.concat(bytes).toString()
  return {
    connection,
    messages,
    done,
    outcome: done.then(
      end => (end ? 'end' : 'closed'),
      error => (error as {code?: string}).code ?? String(error),
    ),
    get so() {
      return so()
    },
    async shows(text) {
      const last = Date.now() + 60_000
      // of a flood the end is looked at alone
      const seen = () => (bytes.length > 200 ? Buffer.concat(bytes.slice(-3)).toString() : so())
      while (!(typeof text === 'string' ? seen().includes(text) : text.test(seen()))) {
        if (over || Date.now() > last)
          throw new Error(`${text} did not show: ${JSON.stringify(so().slice(-500))} ${over ? await done.catch(String) : ''}`)
        await Promise.race([changed.promise, new Promise(resolve => setTimeout(resolve, 500))])
      }
    },
    type: async text => (await connection).sendStdin(Buffer.from(text)),
    async message(type) {
      for (;;) {
        const found = messages.find(one => one.type === type)
        if (found) return found as never
        if (over)
          throw await done.then(
            () => new Error(`the stream ended without ${type}`),
            error => error,
          )
        await changed.promise
      }
    },
  }
}

/** The first message of a break-glass shell. */
export function shellMessage(more: Partial<FirstMessage & {type: 'shell'}> = {}): FirstMessage & {type: 'shell'} {
  return {
    type: 'shell',
    key: newKey(),
    target: 'local',
    reason,
    incident,
    size: {columns: 80, rows: 24},
    term: 'xterm-256color',
    confirmed: null,
    wait: true,
    client: told,
    ...more,
  }
}

/** Asks for a break-glass shell; confirms as asked. */
export function ask(person: Person, more: Partial<FirstMessage & {type: 'shell'}> = {}, choice?: StreamChoice): Shell {
  return stream(person, shellMessage(more), choice)
}

/** Opens one and waits for its prompt. */
export async function open(
  person: Person,
  more: Partial<FirstMessage & {type: 'shell'}> = {},
  choice?: StreamChoice,
): Promise<Shell & {id: string}> {
  const shell = ask(person, more, choice)
  const {id} = await shell.message('started')
  await shell.shows(prompt)
  return Object.assign(shell, {id})
}

export function attach(person: Person, id: string, have = {stdout: 0, stderr: 0}, choice?: StreamChoice): Shell {
  return stream(person, {type: 'attach', id, have, client: told}, choice)
}

export function watch(person: Person, session: string, choice?: StreamChoice): Shell {
  return stream(person, {type: 'watch', session, client: told}, choice)
}

/** Types `exit` and waits for the end. */
export async function leave(shell: Shell): Promise<EndPayload | undefined> {
  await shell.type('exit\n')
  return shell.done
}

/** The recording as its reader opens it, page by page. */
export async function readRecording(core: Core, reader: Person, id: string): Promise<{sealed: Buffer[]; records: RecordingRecord[]}> {
  const identity = /AGE-SECRET-KEY-\S+/.exec(readFileSync(join(core.dir, 'recording-key.txt'), 'utf8'))?.[0] as string
  const decrypter = new Decrypter()
  decrypter.addIdentity(identity)
  const sealed: Buffer[] = []
  for (let from: number | null = 0; from !== null; ) {
    const page: {chunks: string[]; next: number | null} = await reader.client.call(api.recording, {id, from: String(from)})
    sealed.push(...page.chunks.map(text => Buffer.from(text, 'base64')))
    from = page.next
  }
  const records: RecordingRecord[] = []
  for (const file of sealed) records.push(...decodeRecords(await decrypter.decrypt(file)))
  return {sealed, records}
}

/** All bytes of one stream of a recording. */
export function bytesOf(records: RecordingRecord[], stream: keyof typeof recordStream): Buffer {
  return Buffer.concat(records.filter(one => one.stream === recordStream[stream]).map(one => one.bytes))
}

/** Opens a break-glass shell over a link that can be cut, with headers of one's own; rejects with the message where it must wait. */
export async function openCuttable(
  person: Person,
  more: Record<string, string> = {},
): Promise<{id: string; received(): number; type(text: string): void; shows(text: string): Promise<void>; cut(): void}> {
  const {broker, key} = person.session
  const url = broker.url + streamPath
  const accessToken = await person.session.token()
  const headers = {...more, authorization: `DPoP ${accessToken}`, dpop: proof(key, {method: 'GET', url, accessToken})}
  const socket = new WebSocket(url.replace('http', 'ws'), streamProtocol, {headers})
  const bytes: Buffer[] = []
  const started = Promise.withResolvers<string>()
  socket.on('open', () => socket.send(JSON.stringify(shellMessage())))
  socket.on('message', (data: Buffer, binary: boolean) => {
    if (binary) return void (data[0] === frame.stdout && bytes.push(data.subarray(1)))
    const message = JSON.parse(String(data)) as {type: string; nonce: string; text: string; id: string; error: unknown}
    const say = (answer: ClientMessage) => socket.send(JSON.stringify(answer))
    if (message.type === 'challenge') say({type: 'proof', proof: proof(key, {method: 'GET', url, accessToken, nonce: message.nonce})})
    if (message.type === 'confirm') say({type: 'confirmed', text: message.text})
    if (message.type === 'started') started.resolve(message.id)
    if (message.type === 'error') started.reject(message.error)
    if (message.type === 'waiting') started.reject(message)
  })
  const id = await started.promise
  const shows = (text: string) => until(() => Buffer.concat(bytes).includes(text), text)
  await shows(prompt)
  return {
    id,
    received: () => Buffer.concat(bytes).byteLength,
    type: text => socket.send(Buffer.concat([Buffer.of(frame.stdin), Buffer.from(text)])),
    shows,
    cut: () => socket.terminate(),
  }
}

/** Lines of what an alert receiver of the development broker accepted. */
export function alerts(
  core: Pick<Core, 'dir'>,
  name: 'a' | 'b',
): {type: string; subject: string; principal: string; target: string; reason: string}[] {
  return readFileSync(join(core.dir, 'alerts', `${name}.jsonl`), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line) as never)
}

export {until}
