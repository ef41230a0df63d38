/** Seals what happens on a channel while it happens (TM-O4): a chunk at least each quarter second, each an age file of its own. The broker does, and offline the CLI. */
import {createHash} from 'node:crypto'
import {mkdir, open} from 'node:fs/promises'
import {join} from 'node:path'
import {encodeRecord, type RecordingHeader, recordStream} from './recording.ts'

/** bytes at which a chunk is sealed at once */
const chunkBytes = 64 * 1024
const chunkMilliseconds = 250
/** unsealed bytes at which the channel waits: so a chunk is never much larger, nor is the memory of a recording */
const pressureBytes = 512 * 1024

/** One sealed chunk: its number, hash and size. */
export interface SealedChunk {
  chunk: number
  sha256: string
  bytes: number
}

export interface Recorder {
  /** Resolves at once, or when there is room again. Rejects when the recording is lost. */
  write(stream: keyof typeof recordStream, bytes: Uint8Array): Promise<void>
  /** Seals what is left and gives all chunks. Rejects when the recording is lost. */
  close(): Promise<SealedChunk[]>
  /** What is sealed so far. */
  readonly chunks: readonly SealedChunk[]
  /** Whether bytes beyond `maxBytes` were dropped. */
  truncated(): boolean
  /** Rejects as soon as the recording is lost; never resolves. */
  readonly lost: Promise<never>
}

export interface RecorderOptions {
  id: string
  folder: string
  recipients: string[]
  startedAt: Date
  columns?: number
  rows?: number
  title?: string
  /** most bytes kept; what is beyond is dropped and told by `truncated` */
  maxBytes?: number
  /** tells the log of each chunk, before the next one is written */
  sealed?(chunk: SealedChunk): Promise<void>
}

/** Opens a recording: the first chunk is on disk when this resolves, so that a channel never opens unrecorded. */
export async function openRecorder(options: RecorderOptions): Promise<Recorder> {
  const {id, folder, recipients, startedAt, maxBytes = Number.POSITIVE_INFINITY} = options
  await mkdir(folder, {recursive: true, mode: 0o700})
  const {Encrypter} = await import('age-encryption')
  const encrypter = new Encrypter()
  for (const recipient of recipients) encrypter.addRecipient(recipient)
  const begun = process.hrtime.bigint()
  const microseconds = () => Number((process.hrtime.bigint() - begun) / 1000n)

  const done: SealedChunk[] = []
  let waiting: Uint8Array[] = []
  let waitingBytes = 0
  let total = 0
  let cut = false
  let sealing: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let closed = false
  let failure: Error | undefined
  const {promise: lost, reject: fail} = Promise.withResolvers<never>()
  lost.catch(() => {})

  let taken = Promise.withResolvers<void>()
  const makeRoom = () => {
    taken.resolve()
    taken = Promise.withResolvers<void>()
  }

  const sealOne = async (records: Uint8Array[]) => {
    const header: RecordingHeader = {
      version: 1,
      id,
      chunk: done.length,
      previous: done.at(-1)?.sha256 ?? null,
      startedAt: startedAt.toISOString(),
      ...(options.columns === undefined ? {} : {columns: options.columns, rows: options.rows ?? 24}),
      ...(options.title === undefined ? {} : {title: options.title}),
    }
    const head = encodeRecord({at: microseconds(), stream: recordStream.header, bytes: Buffer.from(JSON.stringify(header))})
    const file = await encrypter.encrypt(Buffer.concat([head, ...records]))
    await writeDurably(join(folder, chunkName(header.chunk)), file)
    const chunk = {chunk: header.chunk, sha256: createHash('sha256').update(file).digest('hex'), bytes: file.byteLength}
    await options.sealed?.(chunk)
    done.push(chunk)
  }

  /** Seals all that waits, one chunk after the other. Rejects once the recording is lost. */
  const seal = (): Promise<void> => {
    clearTimeout(timer)
    timer = undefined
    if (failure) return Promise.reject(failure)
    if (waiting.length === 0) return sealing ?? Promise.resolve()
    sealing ??= (async () => {
      try {
        while (waiting.length > 0) {
          const records = waiting
          waiting = []
          waitingBytes = 0
          makeRoom()
          await sealOne(records)
        }
      } catch (error) {
        failure = error instanceof Error ? error : new Error(String(error))
        fail(failure)
        makeRoom()
        throw failure
      } finally {
        sealing = undefined
      }
    })()
    return sealing
  }

  const add = (stream: number, bytes: Uint8Array) => {
    const record = encodeRecord({at: microseconds(), stream, bytes})
    waiting.push(record)
    waitingBytes += record.byteLength
  }
  add(recordStream.resize, Buffer.from(JSON.stringify({columns: options.columns ?? 80, rows: options.rows ?? 24})))
  await seal()

  return {
    lost,
    chunks: done,
    truncated: () => cut,
    async write(stream, bytes) {
      if (failure) throw failure
      if (closed || bytes.byteLength === 0) return
      const room = Math.max(0, maxBytes - total)
      if (room < bytes.byteLength) cut = true
      if (room === 0) return
      const kept = bytes.byteLength <= room ? bytes : bytes.subarray(0, room)
      total += kept.byteLength
      add(recordStream[stream], kept)
      if (waitingBytes >= chunkBytes) seal().catch(() => {})
      else timer ??= setTimeout(() => void seal().catch(() => {}), chunkMilliseconds)
      while (waitingBytes >= pressureBytes && !failure) await taken.promise
      if (failure) throw failure
    },
    async close() {
      closed = true
      await seal()
      return done
    },
  }
}

/** File name of a chunk: `000000.age`. */
export function chunkName(number: number): string {
  return `${String(number).padStart(6, '0')}.age`
}

/** A chunk counts once its hash is in the log: what a broken write leaves behind is none. */
async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    await file.writeFile(bytes)
    await file.datasync()
  } finally {
    await file.close()
  }
}
