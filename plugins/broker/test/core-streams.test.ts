import {createHash, randomBytes} from 'node:crypto'
import {readdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {Receipt} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {canonical, sha256} from '@prod/sdk/document'
import {ProdError} from '@prod/sdk/errors'
import {LinkLost, openStream} from '@prod/sdk/stream-client'
import {compactVerify, importJWK} from 'jose'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type Core, codeOf, jobFiles, type Person, running, startCore, until} from './core.ts'

const ends: (() => Promise<void> | void)[] = []
let core: Core
let alice: Person
let bob: Person
beforeAll(async () => {
  core = await startCore(end => ends.push(end))
  ;[alice, bob] = await Promise.all([core.as('alice'), core.as('bob')])
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

const mebibyte = 1024 ** 2
/** Limits under which big output passes. */
async function wide(outputBytes: number): Promise<() => Promise<void>> {
  const file = 'catalog/tools/job.yaml'
  const text = jobFiles(core.dir)[file] as string
  await core.change(file, text.replace('outputBytes: 1048576', `outputBytes: ${outputBytes}`))
  return () => core.change(file, text)
}
test('TM-H10: without permission nothing of stdin arrives: the tool sees its end', async () => {
  const run = alice.exec(['job', 'say', 'hello'], {stdin: true}, {stdin: 'sneaked in'})
  expect((await run.done).stdout.toString()).toBe('hello\n')
  const pushed = alice.exec(['job', 'say', 'hello'])
  const stream = await pushed.connection
  await pushed.message('started')
  void stream.sendStdin(Buffer.from('raw')).catch(() => {})
  stream.send({type: 'stdin-end'})
  expect(['none', 'STDIN_REFUSED', 'BAD_REQUEST']).toContain(await codeOf(pushed.done))
  // one that may read and is given none
  expect((await alice.exec(['job', 'cat']).done).stdout.toString()).toBe('')
})

test('TM-H10: stdin beyond its bound is refused; of an approved run it is part of what is approved', async () => {
  expect(await codeOf(alice.exec(['job', 'take'], {wait: false}, {stdin: Buffer.alloc(1_000_001)}).done)).toBe('STDIN_REFUSED')
  const run = alice.exec(['job', 'take'], {}, {stdin: Buffer.alloc(1_000_000, 'y')})
  const {request} = await run.message('waiting')
  expect(JSON.parse((await bob.client.call(api.requestDocument, {id: request})).document)).toMatchObject({stdin: {bytes: 1_000_000}})
  await bob.approve(request)
  expect(sha256((await run.done).stdout)).toBe(sha256(Buffer.alloc(1_000_000, 'y')))
})

test('TM-H17: a tool that runs has no terminal', async () => {
  expect((await alice.exec(['job', 'tty']).done).stdout.toString()).toBe('no terminal\n')
})

test('TM-H18: stdout, stderr, stdin and status travel unchanged, whatever the bytes', async () => {
  const undo = await wide(64 * mebibyte)
  const bytes = randomBytes(10 * mebibyte)
  const echoed = await alice.exec(['job', 'cat'], {}, {stdin: bytes}).done
  expect(sha256(echoed.stdout)).toBe(sha256(bytes))
  const {stdout, stderr, receipt, end} = await alice.exec(['job', 'both', String(10 * mebibyte)]).done
  expect(sha256(stdout)).toBe(sha256(readFileSync(join(core.dir, 'jobs/out'))))
  expect(sha256(stderr)).toBe(sha256(readFileSync(join(core.dir, 'jobs/err'))))
  expect(receipt).toMatchObject({
    stdout: {bytes: 10 * mebibyte, sha256: sha256(stdout)},
    stderr: {bytes: 10 * mebibyte, sha256: sha256(stderr)},
  })
  expect(end).toMatchObject({exit: {status: 0}, stdoutBytes: 10 * mebibyte, stderrBytes: 10 * mebibyte})
  const nothing = await alice.exec(['job', 'cat']).done
  expect(nothing.receipt).toMatchObject({stdout: {bytes: 0, sha256: sha256('')}})
  await undo()
}, 240_000)

test('TM-H18: the end is signed by the broker’s receipt key and is of this run; text that looks like frames is text', async () => {
  const {receiptKey} = await alice.client.call(api.loginConfiguration)
  let jws = ''
  const {stdout, end, receipt} = await alice.exec(
    ['job', 'frames'],
    {},
    {
      onEnd: text => {
        jws = text
      },
    },
  ).done
  expect(stdout).toEqual(Buffer.from('\u0003{"exit":{"status":0}}\nprod: exit 0\n\u20ac').subarray(0, -1))
  expect(end).toMatchObject({id: receipt?.run, exit: {status: 7}})
  const key = await importJWK(receiptKey as never, 'EdDSA')
  expect((await compactVerify(jws, key)).protectedHeader.typ).toBe('prod-end+jws')
  const {signature, ...unsigned} = receipt as Receipt
  const verified = await compactVerify(signature, key)
  expect(Buffer.from(verified.payload).toString()).toBe(canonical(unsigned))
})

test('TM-H18: a client that is slow slows the tool, and the broker’s memory stays flat', async () => {
  const undo = await wide(1024 * mebibyte)
  let held = true
  let seen = 0
  const run = alice.exec(
    ['job', 'flood', String(48 * mebibyte)],
    {},
    {
      keep: false,
      onOutput: async (_, bytes) => {
        seen += bytes.byteLength
        while (held) await new Promise(resolve => setTimeout(resolve, 20))
      },
    },
  )
  await until(() => seen > 0)
  const stuck = process.memoryUsage()
  // while others run from their start to their end, it could have gone on
  for (let others = 0; others < 3; others++) expect((await alice.exec(['job', 'say', 'meanwhile']).done).end?.exit).toEqual({status: 0})
  const now = process.memoryUsage()
  // client and broker share this process: one window for each and what is on the way
  expect(now.external + now.arrayBuffers - stuck.external - stuck.arrayBuffers).toBeLessThan(32 * mebibyte)
  expect(seen).toBeLessThan(2 * mebibyte)
  held = false
  const {end} = await run.done
  expect(end).toMatchObject({exit: {status: 0}, stdoutBytes: 48 * mebibyte})
  expect(seen).toBe(48 * mebibyte)
  await undo()
}, 240_000)

test('TM-H18: a link cut in the middle of 50 MiB is taken up again and misses no byte', async () => {
  const undo = await wide(1024 * mebibyte)
  const size = 50 * mebibyte
  const hash = createHash('sha256')
  let seen = 0
  let cut = false
  const onOutput = (_: string, bytes: Uint8Array) => {
    hash.update(bytes)
    seen += bytes.byteLength
  }
  const first = alice.exec(
    ['job', 'flood', String(size)],
    {},
    {
      keep: false,
      onOutput: async (stream, bytes) => {
        if (cut) return // what came with the cut was not taken: it comes again
        onOutput(stream, bytes)
        if (seen > 20 * mebibyte) {
          cut = true
          ;((await first.connection) as unknown as {close(): void}).close()
        }
      },
    },
  )
  const {id} = await first.message('started')
  await first.done.catch(error => {
    if (!(error instanceof LinkLost)) throw error
  })
  expect(cut).toBe(true)
  const second = await alice.attach(id, {stdout: seen, stderr: 0}, {keep: false, onOutput}).done
  expect(second.end).toMatchObject({exit: {status: 0}, stdoutBytes: size})
  expect(seen).toBe(size)
  expect(hash.digest('hex')).toBe(second.receipt?.stdout.sha256)
  await undo()
}, 240_000)

test('a run that is over is told again, without its bytes, to its own person alone', async () => {
  const {receipt} = await alice.exec(['job', 'say', 'over']).done
  const id = receipt?.run as string
  await until(async () => {
    const again = await alice.attach(id).done
    return again.end?.id === id && again.receipt?.stdout.bytes === 5
  })
  expect(await codeOf(bob.attach(id).done)).toBe('RUN_NOT_FOUND')
  expect(await codeOf(alice.attach('run_00000000000000000').done)).toBe('RUN_NOT_FOUND')
})

test('TM-H11: output beyond its limit ends the run, says so, and what is kept has its bound', async () => {
  const {end, receipt} = await alice.exec(['job', 'flood', String(400 * mebibyte)], {}, {keep: false}).done
  expect(end?.endedBy).toBe('limit: output')
  expect(end?.stdoutBytes).toBeLessThan(64 * mebibyte)
  const run = await alice.client.call(api.showRun, {id: receipt?.run as string})
  expect(run).toMatchObject({endedBy: 'limit: output'})
  expect((await core.events('run.ended')).find(({subject}) => subject === receipt?.run)?.data).toMatchObject({limit: 'output'})
  const folder = join(core.dir, 'outputs', receipt?.run as string)
  const kept = readdirSync(folder).reduce((sum, name) => sum + readFileSync(join(folder, name)).length, 0)
  expect(kept).toBeLessThan(12 * mebibyte)
})

test('TM-H12: a tool that ignores signals and forks away is gone within five seconds of its cancel', async () => {
  const run = alice.exec(['now', 'stubborn'])
  await until(() => run.so.stdout.includes('stubborn'))
  await until(() => running(`${core.dir}/jobs/stubborn-`) === 3)
  const at = Date.now()
  ;(await run.connection).send({type: 'cancel'})
  const {end} = await run.done
  expect(end?.endedBy).toBe('cancelled')
  expect(Date.now() - at).toBeLessThan(5000)
  expect(running(`${core.dir}/jobs/stubborn-`)).toBe(0)
})

test('TM-H12: a cut link keeps a run for its detach time, and then ends all of it', async () => {
  const run = alice.exec(['now', 'wait', 'detached'])
  await until(() => run.so.stdout.includes('waiting'))
  const {id} = await run.message('started')
  await until(() => running(`${core.dir}/jobs/waiter-detached`) === 1)
  ;(await run.connection).close()
  await run.done
  expect((await alice.client.call(api.showRun, {id})).state).toBe('started')
  await until(async () => (await alice.client.call(api.showRun, {id})).state !== 'started')
  expect(await alice.client.call(api.showRun, {id})).toMatchObject({endedBy: 'detached'})
  expect(running(`${core.dir}/jobs/waiter-detached`)).toBe(0)
})

test('a stream whose login ends in the middle is closed; what waits there goes on waiting', async () => {
  const erin = await core.as('erin', true)
  const waiting = erin.exec(['job', 'note', 'expired'])
  const {request} = await waiting.message('waiting')
  const running = erin.exec(['now', 'wait', 'expired'])
  await until(() => running.so.stdout.includes('waiting'))
  await erin.logout()
  const {end} = await running.done
  expect(end?.endedBy).toContain('revoked')
  await bob.approve(request)
  expect(await codeOf(waiting.done)).toBe('LOGIN_EXPIRED')
  expect((await core.events('run.started')).some(({data}) => data.request === request)).toBe(false)
})

test('ten streams at once on a token that has run out renew it once and all go on', async () => {
  const erin = await core.as('erin', true)
  core.forward(16 * 60_000)
  const runs = Array.from({length: 10}, (_, at) => erin.exec(['job', 'say', `ten-${at}`]))
  const outputs = await Promise.all(runs.map(async ({done}) => (await done).stdout.toString()))
  expect(outputs).toEqual(Array.from({length: 10}, (_, at) => `ten-${at}\n`))
})

test('what nobody may send on a stream ends it, and nothing runs', async () => {
  const run = alice.exec(['now', 'wait', 'rude'])
  const stream = await run.connection
  await run.message('started')
  stream.send({type: 'ack', stdout: 10 ** 9, stderr: 0})
  const error = await run.done.catch((error: unknown) => error)
  expect(error).toBeInstanceOf(ProdError)
  writeFileSync(join(core.dir, 'jobs/go-rude'), '')
  await until(() => running(`${core.dir}/jobs/waiter-rude`) === 0)
  for (const first of [{argv: []}, {argv: ['job'], targets: ['local', 'other']}, {argv: ['job', 'say', 'x\u0000']}, {argv: ['nothing']}]) {
    expect(await codeOf(alice.exec(['job'], first).done)).not.toBe('none')
  }
})

test('a first message that is malformed is refused in words that name its one fault, not its value', async () => {
  const client = {version: 'test', platform: 'test'}
  for (const [first, fault] of [
    [{type: 'watch', session: 'ses_1m81c87', client}, 'session is not of the right form'],
    [{type: 'attach', id: 'ses_1m81c87', have: {stdout: 0, stderr: 0}, client}, 'id is not of the right form'],
    [{type: 'follow', client, more: 'secret'}, 'the input holds a key that does not belong there'],
    [{type: 'secret', client}, 'the input is of no known type'],
    [{client}, "the input must have required property 'type'"],
  ]) {
    const stream = await openStream({broker: alice.session.broker, session: alice.session, first: first as never})
    const heard = (async () => {
      for await (const _ of stream);
    })()
    await expect(heard).rejects.toMatchObject({code: 'BAD_REQUEST', message: `the request is malformed: ${fault as string}`})
  }
})
