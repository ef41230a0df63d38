/** Seals what happens on a channel while it happens (TM-O4): chunks of at most a quarter second or 64 KiB, each an age file. */
import {createHash} from 'node:crypto'
import {mkdir, open, rename} from 'node:fs/promises'
import {join} from 'node:path'
import {encodeRecord, type RecordingHeader, recordStream} from '@prod/sdk/recording'
import {Encrypter} from 'age-encryption'

const chunkBytes = 64 * 1024
const chunkMilliseconds = 250
/** unsealed bytes at which the writer makes the channel wait */
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
  /** Seals what is left. Rejects when the recording is lost. */
  close(): Promise<SealedChunk[]>
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
export async function openRecorder(options: RecorderOptions): Promise<Recorder & {readonly truncated: () => boolean}> {
  const {id, folder, recipients, startedAt} = options
  await mkdir(folder, {recursive: true, mode: 0o700})
  const encrypter = new Encrypter()
  for (const recipient of recipients) encrypter.addRecipient(recipient)
  const begun = process.hrtime.bigint()
  const microseconds = () => Number((process.hrtime.bigint() - begun) / 1000n)

  const done: SealedChunk[] = []
  let waiting: Uint8Array[] = []
  let waitingBytes = 0
  let total = 0
  let cut = false
  let sealing: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  let closed = false
  let failure: Error | undefined
  let fail: (error: Error) => void = () => {}
  const lost = new Promise<never>((_, reject) => {
    fail = error => {
      failure ??= error
      reject(error)
    }
  })
  lost.catch(() => {})

  const seal = (): Promise<void> => {
    clearTimeout(timer)
    timer = undefined
    if (waiting.length === 0) return sealing
    const records = waiting
    const bytesTaken = waitingBytes
    waiting = []
    sealing = sealing.then(async () => {
      if (failure) throw failure
      try {
        const number = done.length
        const header: RecordingHeader = {
          version: 1,
          id,
          chunk: number,
          previous: done.at(-1)?.sha256 ?? null,
          startedAt: startedAt.toISOString(),
          ...(options.columns === undefined ? {} : {columns: options.columns, rows: options.rows ?? 24}),
          ...(options.title === undefined ? {} : {title: options.title}),
        }
        const head = encodeRecord({at: microseconds(), stream: recordStream.header, bytes: Buffer.from(JSON.stringify(header))})
        const file = await encrypter.encrypt(Buffer.concat([head, ...records]))
        await writeDurably(join(folder, chunkName(number)), file)
        const chunk = {chunk: number, sha256: createHash('sha256').update(file).digest('hex'), bytes: file.byteLength}
        done.push(chunk)
        await options.sealed?.(chunk)
        waitingBytes -= bytesTaken
      } catch (error) {
        fail(error instanceof Error ? error : new Error('recording lost'))
        throw failure
      }
    })
    sealing.catch(() => {})
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
    truncated: () => cut,
    async write(stream, bytes) {
      if (failure) throw failure
      if (closed || bytes.byteLength === 0) return
      const room = (options.maxBytes ?? Number.POSITIVE_INFINITY) - total
      if (room < bytes.byteLength) cut = true
      if (room <= 0) return
      const kept = bytes.byteLength <= room ? bytes : bytes.subarray(0, room)
      total += kept.byteLength
      add(recordStream[stream], kept)
      if (waitingBytes >= pressureBytes) await seal()
      else if (waitingBytes >= chunkBytes) void seal().catch(() => {})
      else timer ??= setTimeout(() => void seal().catch(() => {}), chunkMilliseconds)
    },
    async close() {
      closed = true
      await seal()
      await sealing
      return done
    },
  }
}

/** File name of a chunk: `000000.age`. */
export function chunkName(number: number): string {
  return `${String(number).padStart(6, '0')}.age`
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(`${path}.part`, 'wx', 0o600)
  try {
    await file.writeFile(bytes)
    await file.datasync()
  } finally {
    await file.close()
  }
  await rename(`${path}.part`, path)
}
