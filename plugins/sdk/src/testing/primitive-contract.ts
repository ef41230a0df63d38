/** What every primitive must do, as tests: run it from the plugin's test/contract.test.ts, against the real thing. */
import {createHash, randomBytes} from 'node:crypto'
import {once} from 'node:events'
import {readdirSync, readFileSync} from 'node:fs'
import type {Readable} from 'node:stream'
import {buffer, text} from 'node:stream/consumers'
import {afterAll, beforeAll, describe, expect, test} from 'vitest'
import type {Exit, HostPort} from '../domain.ts'
import {ProdError} from '../errors.ts'
import type {Access, Channel, Primitive, Use} from '../primitive.ts'

/** What the suite needs to know of one primitive. */
export interface PrimitiveContract<T> {
  primitive: Primitive<T>
  /** a target that can be reached now, without the `id:` */
  target: string
  /** texts that `parse` must refuse */
  badTargets: string[]
  access?: Access
  /** where programs can run: how to run a POSIX `sh` script there */
  exec?: {use(script: string, options?: {stdin?: boolean}): Extract<Use, {kind: 'exec'}>}
  /** where shells can be had: one that understands `sh` */
  shell?: {use(): Extract<Use, {kind: 'shell'}>}
  /** where connections can be had: a server of the tests' own that the target reaches, its behaviour as of {@link ForwardedServer} */
  forward?: {serve(): Promise<ForwardedServer>}
  /** what the far side's protocol cannot do: not asked of it, and where it shows, the honest answer is */
  lacks?: readonly Lack[]
  /** command lines of the processes at the far side; default: of this machine */
  processes?(): Promise<string[]>
  /** how far a program may get ahead of a reader who does not read, in bytes; default 4 MiB */
  aheadBytes?: number
  /** how much a slow reader is sent, in MiB; default 64, less where the way is slow */
  mebibytes?: number
}

/**
 * What some protocols lack.
 * - `stdin`: programs get no input, and one that is promised some is refused
 * - `SIGTERM`: of signals only SIGINT reaches a program
 * - `signal of death`: a death by signal has a status that is not 0
 * - `shell status`: a shell that has ended has status 0
 * - `escaped`: what has left its terminal or session goes on when that is ended, and what has not may take a moment
 * - `half-close`: the two directions of a connection end together
 * - `break-off`: a far side that breaks off looks like one that has ended its half, until something is sent to it
 * - `reset`: a connection that the far side broke off, or that was ended, looks like one that ended in good order
 * - `refusal`: a connection that nobody takes is opened, and then breaks
 */
export type Lack = 'stdin' | 'SIGTERM' | 'signal of death' | 'shell status' | 'escaped' | 'half-close' | 'break-off' | 'reset' | 'refusal'

/** Servers at the far side of a forward, and a place where nobody listens. */
export interface ForwardedServer {
  /** sends back all that it gets, and ends when that has ended */
  echo: HostPort
  /** sends `hello`, ends its half at once, then takes what comes and keeps it */
  greeter: HostPort
  /** what the greeter got on its last connection, once that has ended */
  got(): Promise<string>
  /** takes a byte, then breaks off */
  breaker: HostPort
  nobody: HostPort
  close(): Promise<void>
}

const unhurried = 20_000

/** Registers the suite. Every use is opened on the real target. */
export function primitiveContract<T>(options: PrimitiveContract<T>): void {
  const {primitive, exec, shell, forward} = options
  const lacks = (what: Lack): boolean => options.lacks?.includes(what) ?? false
  const access: Access = options.access ?? {id: 'run_contract', principal: 'https://idp.example#contract', credential: {}}
  const processes = options.processes ?? listLocalProcesses
  const open = (use: Use, signal = new AbortController().signal): Promise<Channel> =>
    primitive.open(primitive.parse(options.target), use, access, signal)

  describe(`primitive ${primitive.id}`, () => {
    let stop: (() => Promise<void>) | undefined
    beforeAll(async () => {
      stop = await primitive.start?.({development: true, hide: []})
    })
    afterAll(() => stop?.())

    test('names itself, and what it can do', () => {
      expect(primitive.id).toMatch(/^[a-z][a-z0-9-]*$/)
      expect(primitive.summary).not.toBe('')
      expect(primitive.uses.length).toBeGreaterThan(0)
    })

    test('reads a target the same way twice', () => {
      expect(primitive.parse(options.target)).toEqual(primitive.parse(options.target))
    })

    test.each([...options.badTargets, '', ' ', `${options.target}\n`, `${options.target}\0`, '-o'])('refuses the target %j', bad => {
      expect(() => primitive.parse(bad)).toThrow(expect.objectContaining({code: 'TARGET_INVALID'}))
    })

    test('says what each use needs without touching anything', () => {
      const target = Object.freeze(primitive.parse(options.target))
      for (const use of [exec?.use('true'), shell?.use()]) {
        if (!use) continue
        const before = structuredClone(use)
        const needed = primitive.permissions(target as T, use)
        expect(needed).toEqual(primitive.permissions(target as T, use))
        expect(use).toEqual(before)
        for (const {kind, actions, resources} of needed) {
          expect(kind).not.toBe('')
          expect(actions.length).toBeGreaterThan(0)
          expect(resources).toBeInstanceOf(Array)
        }
      }
    })

    test('opens nothing for someone who has gone already', async () => {
      const use = exec?.use('true') ?? shell?.use()
      if (use) await expect(open(use, AbortSignal.abort(new Error('gone')))).rejects.toThrow()
    })

    if (exec) execContract(exec, open, processes, options.aheadBytes ?? 4 * 1024 ** 2, options.mebibytes ?? 64, lacks)
    if (shell) shellContract(shell, open, processes, lacks)
    if (forward) forwardContract(forward, primitive, open, access, lacks)
  })
}

function execContract(
  exec: NonNullable<PrimitiveContract<unknown>['exec']>,
  open: (use: Use) => Promise<Channel>,
  processes: () => Promise<string[]>,
  aheadBytes: number,
  mebibytes: number,
  lacks: (what: Lack) => boolean,
): void {
  test.runIf(lacks('stdin'))('a program that would wait for input is not started', async () => {
    await expect(open(exec.use('cat', {stdin: true}))).rejects.toThrow(ProdError)
  })

  test.skipIf(lacks('stdin'))('carries any bytes to the program and back, and then the end of its input', async () => {
    const channel = await open(exec.use('cat', {stdin: true}))
    const sent = randomBytes(3 * 1024 ** 2 + 7)
    const [received] = await Promise.all([buffer(channel.stdout), write(channel, sent), text(channel.stderr)])
    expect(digest(received)).toBe(digest(sent))
    expect(await channel.ended).toEqual({status: 0})
  })

  test('a program without input reads its end at once', async () => {
    expect(await run(await open(exec.use('wc -c')))).toMatchObject({stdout: expect.stringMatching(/^\s*0\n$/), exit: {status: 0}})
  })

  test('keeps output and errors apart, and tells the status', async () => {
    const done = await run(await open(exec.use('echo out; echo err >&2; echo out again; exit 7')))
    expect(done).toEqual({stdout: 'out\nout again\n', stderr: 'err\n', exit: {status: 7}})
  })

  test('all output arrives though the program ended before anyone read it', async () => {
    const channel = await open(exec.use('head -c 100000 /dev/zero'))
    await once(channel.stdout, 'readable')
    expect((await run(channel)).stdout.length).toBe(100_000)
  })

  test('tells of a death by signal', async () => {
    const {exit} = await run(await open(exec.use('kill -s KILL $$')))
    if (lacks('signal of death')) expect(exit).not.toEqual({status: 0})
    else expect([{signal: 'SIGKILL'}, {status: 137}]).toContainEqual(exit)
  })

  test('passes a signal on', async () => {
    const signal = lacks('SIGTERM') ? 'SIGINT' : 'SIGTERM'
    const channel = await open(exec.use(`trap "echo caught; kill \\$!; exit 5" ${signal.slice(3)}; echo ready; sleep 1000 & wait`))
    await once(channel.stdout, 'readable')
    channel.signal(signal)
    expect(await run(channel)).toMatchObject({stdout: 'ready\ncaught\n', exit: {status: 5}})
  })

  test('a slow reader slows the program, and no memory fills', {timeout: unhurried * 3}, async () => {
    const mebibyte = 1024 ** 2
    const channel = await open(
      exec.use(`i=0; while [ $i -lt ${mebibytes} ]; do head -c ${mebibyte} /dev/zero; i=$((i+1)); echo $i >&2; done`),
    )
    let written = 0
    channel.stderr.on('data', chunk => {
      written += String(chunk).split('\n').length - 1
    })
    let read = 0
    let ahead = 0
    for await (const chunk of channel.stdout) {
      read += chunk.length
      // a turn of the loop: whoever could get ahead now does
      await new Promise(resolve => setImmediate(resolve))
      ahead = Math.max(ahead, written * mebibyte - read)
    }
    expect(read).toBe(mebibytes * mebibyte)
    expect(ahead).toBeLessThanOrEqual(aheadBytes)
    expect(await channel.ended).toEqual({status: 0})
  })

  test('a program whose reader has gone ends', {timeout: unhurried}, async () => {
    const channel = await open(exec.use('while :; do echo more || exit 1; done'))
    await once(channel.stdout, 'readable')
    channel.stdout.destroy()
    channel.stderr.resume()
    expect(await channel.ended).not.toEqual({status: 0})
  })

  test.skipIf(lacks('stdin'))('input that a program does not want hurts nobody', async () => {
    const channel = await open(exec.use('exit 3', {stdin: true}))
    channel.stdin.on('error', () => {})
    channel.stdin.write(Buffer.alloc(1024 ** 2))
    expect((await run(channel)).exit).toEqual({status: 3})
  })

  test('TM-H12: ending it leaves no descendant, and may be asked for twice', {timeout: unhurried}, async () => {
    const mark = `4${Date.now()}`
    const escaping = lacks('escaped') ? ':' : `(setsid sh -c 'trap "" TERM; sleep ${mark}' &)`
    const stubborn = `trap "" TERM HUP; sleep ${mark} & ${escaping}; (sleep ${mark} &) ; echo ready; while :; do sleep ${mark}; done`
    const channel = await open(exec.use(stubborn))
    await once(channel.stdout, 'readable')
    drain(channel.stdout)
    drain(channel.stderr)
    const [first, second] = await Promise.all([channel.end('a test'), channel.end('again')])
    expect(second).toEqual(first)
    expect(await channel.ended).toEqual(first)
    const left = async () => (await processes()).filter(line => line.includes(mark))
    if (lacks('escaped')) await expect.poll(left, {timeout: unhurried}).toEqual([])
    else expect(await left()).toEqual([])
    expect(await channel.end('once more')).toEqual(first)
  })

  test('what cannot be started is a failure we foresaw', async () => {
    const use = exec.use('true')
    const failed = await open({...use, program: {path: '/nowhere/at-all'}}).then(run, error => error)
    if (failed instanceof Error) expect(failed).toBeInstanceOf(ProdError)
    else expect(failed.exit).not.toEqual({status: 0})
  })
}

function shellContract(
  shell: NonNullable<PrimitiveContract<unknown>['shell']>,
  open: (use: Use) => Promise<Channel>,
  processes: () => Promise<string[]>,
  lacks: (what: Lack) => boolean,
): void {
  test('a shell has a terminal of the size asked for, and learns of a new one', {timeout: unhurried}, async () => {
    const channel = await open({...shell.use(), size: {columns: 91, rows: 23}})
    const screen = follow(channel.stdout)
    channel.stdin.write('stty size\n')
    await screen.until(/23 91/)
    channel.resize({columns: 132, rows: 50})
    // keys may come there before the size does
    channel.stdin.write('until stty size | grep "50 13[2]"; do sleep 0.1; done\n')
    await screen.until(/50 132/)
    channel.stdin.write('exit 6\n')
    expect(await channel.ended).toEqual({status: lacks('shell status') ? 0 : 6})
    await screen.ended
  })

  test('a shell has one stream of output', {timeout: unhurried}, async () => {
    const channel = await open(shell.use())
    const screen = follow(channel.stdout)
    expect((await buffer(channel.stderr)).length).toBe(0)
    channel.stdin.write('echo to-$((40+2)) >&2; exit\n')
    await channel.ended
    await screen.ended
    expect(screen.seen()).toContain('to-42')
  })

  test('TM-H12: ending a shell leaves no descendant', {timeout: unhurried}, async () => {
    const mark = `5${Date.now()}`
    const channel = await open(shell.use())
    const screen = follow(channel.stdout)
    const escaping = lacks('escaped') ? '' : `(setsid sleep ${mark} &); nohup sleep ${mark} & `
    channel.stdin.write(`${escaping}echo ready-$((1+1)); sleep ${mark}\n`)
    await screen.until(/ready-2/)
    await channel.end('a test')
    const left = async () => (await processes()).filter(line => line.includes(mark))
    if (lacks('escaped')) await expect.poll(left, {timeout: unhurried}).toEqual([])
    else expect(await left()).toEqual([])
  })
}

function forwardContract(
  forward: NonNullable<PrimitiveContract<unknown>['forward']>,
  primitive: Pick<Primitive, 'uses' | 'release'>,
  open: (use: Use, signal?: AbortSignal) => Promise<Channel>,
  access: Access,
  lacks: (what: Lack) => boolean,
): void {
  describe('forward', () => {
    let server: ForwardedServer
    const to = (place: HostPort): Use => ({kind: 'forward', to: place})
    beforeAll(async () => {
      server = await forward.serve()
    })
    afterAll(async () => {
      await primitive.release?.(access.id)
      await server.close()
    })

    /** All that comes; where the far side cannot see our end, as much as was sent, and then we end it. */
    const read = async (channel: Channel, bytes: number): Promise<Buffer> => {
      if (!lacks('half-close')) return buffer(channel.stdout)
      const chunks: Buffer[] = []
      let missing = bytes
      for await (const chunk of channel.stdout) {
        chunks.push(chunk as Buffer)
        missing -= (chunk as Buffer).length
        if (missing <= 0) break
      }
      await channel.end('all has come')
      return Buffer.concat(chunks)
    }

    test('says that it forwards', () => expect(primitive.uses).toContain('forward'))

    test('carries any bytes both ways at once, and their end', {timeout: unhurried}, async () => {
      const channel = await open(to(server.echo))
      const sent = randomBytes(3 * 1024 ** 2 + 7)
      const [received, errors] = await Promise.all([read(channel, sent.length), buffer(channel.stderr), write(channel, sent)])
      expect([digest(received), errors.length]).toEqual([digest(sent), 0])
      expect(await channel.ended).toEqual({status: 0})
    })

    test('many connections at once are each their own', {timeout: unhurried}, async () => {
      const texts = Array.from({length: 20}, (_, at) => `connection ${at}`)
      const got = await Promise.all(
        texts.map(async one => {
          const channel = await open(to(server.echo))
          channel.stderr.resume()
          channel.stdin.end(one)
          return String(await read(channel, one.length))
        }),
      )
      expect(got).toEqual(texts)
    })

    test.skipIf(lacks('half-close'))(
      'the far side may end its half first: what is sent afterwards still arrives',
      {timeout: unhurried},
      async () => {
        const channel = await open(to(server.greeter))
        channel.stderr.resume()
        expect(await text(channel.stdout)).toBe('hello')
        channel.stdin.end('after that')
        expect(await server.got()).toBe('after that')
        expect(await channel.ended).toEqual({status: 0})
      },
    )

    test.skipIf(lacks('reset'))('a far side that breaks off is no orderly end', {timeout: unhurried}, async () => {
      const channel = await open(to(server.breaker))
      channel.stderr.resume()
      channel.stdin.on('error', () => {})
      channel.stdin.write('x')
      await text(channel.stdout).catch(() => {})
      if (lacks('break-off')) channel.stdin.write('y')
      expect(await channel.ended).toEqual({unknown: expect.any(String)})
    })

    test('ending it breaks it off, and may be asked for twice', {timeout: unhurried}, async () => {
      const channel = await open(to(server.echo))
      for (const stream of [channel.stdin, channel.stdout, channel.stderr]) stream.on('error', () => {})
      channel.stdin.write('x')
      await once(channel.stdout, 'readable')
      const [first, second] = await Promise.all([channel.end('a test'), channel.end('again')])
      expect(first).toEqual(lacks('reset') ? {status: 0} : {unknown: expect.any(String)})
      expect([second, await channel.ended]).toEqual([first, first])
    })

    test('it can be ended while its own half ends', {timeout: unhurried}, async () => {
      const channel = await open(to(server.echo))
      for (const stream of [channel.stdin, channel.stdout, channel.stderr]) stream.on('error', () => {})
      channel.stdin.write(randomBytes(1024 ** 2))
      channel.stdin.end()
      await once(channel.stdout, 'readable')
      await channel.end('a test')
      expect(await channel.ended).toEqual(await channel.end('again'))
    })

    test('where nobody listens, a failure we foresaw', {timeout: unhurried}, async () => {
      if (lacks('refusal')) expect((await run(await open(to(server.nobody)))).exit).toEqual({unknown: expect.any(String)})
      else await expect(open(to(server.nobody))).rejects.toMatchObject({code: 'TARGET_UNREACHABLE'})
      await expect(open(to(server.echo), AbortSignal.abort(new Error('gone')))).rejects.toThrow()
    })
  })
}

async function run(channel: Channel): Promise<{stdout: string; stderr: string; exit: Exit}> {
  const [stdout, stderr, exit] = await Promise.all([text(channel.stdout), text(channel.stderr), channel.ended])
  return {stdout, stderr, exit}
}

async function write({stdin}: Channel, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += 65_536) {
    if (!stdin.write(bytes.subarray(at, at + 65_536))) await once(stdin, 'drain')
  }
  stdin.end()
}

function drain(stream: Readable): void {
  stream.resume()
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function follow(stream: Readable): {until(pattern: RegExp): Promise<void>; seen(): string; ended: Promise<unknown>} {
  let seen = ''
  const waiting = new Set<() => void>()
  stream.on('data', chunk => {
    seen += String(chunk)
    for (const look of waiting) look()
  })
  return {
    seen: () => seen,
    ended: once(stream, 'end'),
    until: pattern =>
      new Promise(resolve => {
        const look = () => {
          if (!pattern.test(seen)) return
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        look()
      }),
  }
}

async function listLocalProcesses(): Promise<string[]> {
  return readdirSync('/proc').flatMap(name => {
    try {
      return /^\d+$/.test(name) ? [readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ')] : []
    } catch {
      return []
    }
  })
}
