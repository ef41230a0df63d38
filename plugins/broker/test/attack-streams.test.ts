/** An engineer with a client of their own, on the streams of the broker. */
import {connect} from 'node:net'
import {api} from '@prod/sdk/api'
import {openStream} from '@prod/sdk/stream-client'
import {type FirstMessage, type ServerMessage, streamPath, streamProtocol} from '@prod/sdk/wire'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type Core, newKey, type Person, reason, startCore, until} from './core.ts'

const ends: (() => Promise<void> | void)[] = []
let core: Core
let alice: Person
let bob: Person
beforeAll(async () => {
  core = await startCore(end => ends.push(end), {
    files: {
      'catalog/tools/vault.yaml': `kind: Tool
name: vault
summary: takes a secret
program: /usr/bin/true
run: { primitive: host, target: local }
commands:
  - { path: [], class: read, options: { --password: { value: { type: string, secret: true }, attach: [separate, equals] }, --url: { value: { type: string, maxLength: 200 }, attach: [separate] } } }
`,
    },
  })
  ;[alice, bob] = await Promise.all([core.as('alice'), core.as('bob')])
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

const client = {version: 'test', platform: 'test'}

/** A stream read by hand: what it said, and whether it is over. */
async function raw(who: Person, first: FirstMessage): Promise<{messages: ServerMessage[]; over: () => boolean; close(): void}> {
  const connection = await openStream({broker: who.session.broker, session: who.session, first})
  const messages: ServerMessage[] = []
  let over = false
  void (async () => {
    try {
      for await (const event of connection) if (event.type === 'message') messages.push(event.message)
    } catch {
      // the broker said why
    }
    over = true
  })()
  return {messages, over: () => over, close: () => connection.close()}
}

test('TM-Q7: TM-A6: who follows requests hears nothing more once their login was ended, and the stream ends', async () => {
  const lead = await core.as('bob', true)
  const follow = await raw(lead, {type: 'follow', client})
  const one = (await alice.exec(['job', 'note', 'seen'], {wait: false}).message('pending')).request
  await until(() => follow.messages.some(({type}) => type === 'request'), 'the first news')
  await lead.logout()
  await until(follow.over, 'the end of the stream')
  const before = follow.messages.length
  await alice.client.call(api.cancelRequest, {id: one})
  expect(follow.messages).toHaveLength(before)
})

test('TM-G3: TM-A6: who leaves the group hears nothing more of what it sees, however long the stream', async () => {
  const lead = await core.as('dave', true)
  const follow = await raw(lead, {type: 'follow', client})
  const other = await raw(bob, {type: 'follow', client})
  const one = (await alice.exec(['job', 'note', 'left'], {wait: false}).message('pending')).request
  await until(() => follow.messages.some(({type}) => type === 'request'), 'the first news')
  const {writeFileSync} = await import('node:fs')
  writeFileSync(`${core.dir}/people.json`, JSON.stringify({dave: {groups: []}, erin: {groups: ['engineers']}}))
  core.forward(6 * 60_000)
  const before = follow.messages.length
  const seen = other.messages.length
  await alice.client.call(api.cancelRequest, {id: one})
  const next = (await alice.exec(['job', 'note', 'later'], {wait: false}).message('pending')).request
  // news of both, in order, to somebody who still may see them: so the other stream has had its turn too
  await until(() => other.messages.slice(seen).filter(({type}) => type === 'request').length >= 2, 'news of both')
  await alice.client.call(api.cancelRequest, {id: next})
  expect(follow.messages.slice(before).filter(({type}) => type === 'request')).toEqual([])
  follow.close()
  other.close()
})

test('TM-E6: TM-E7: a secret in argv is refused, and neither the refused argv nor a URL’s password gets into the log', async () => {
  const canary = 'hunter2-canary-4711'
  const tries = [
    ['vault', '--password', canary],
    ['vault', `--password=${canary}`],
    ['vault', '--password', canary, '--bogus'],
    ['vault', '--bogus', `--password=${canary}`],
    ['vault', '--url', `https://user:${canary}@db.example/`],
    ['vault', `https://user:${canary}@db.example/`],
  ]
  expect(
    await alice.exec(['job', 'note', `postgres://root:${canary}@db/x`], {wait: false}).done.then(
      () => 'none',
      (error: {code: string}) => error.code,
    ),
  ).toBe('ARGV_REFUSED')
  for (const argv of tries) await alice.exec(argv, {wait: false}).done.catch(() => {})
  const events = await core.events('request.refused')
  expect(events.length).toBeGreaterThanOrEqual(tries.length)
  expect(JSON.stringify(events)).not.toContain(canary)
  expect(JSON.stringify(await core.events())).not.toContain(canary)
})

test('TM-A15: TM-F4: one person has so many streams open at once and no more, and others are served meanwhile', async () => {
  const open: {close(): void; over(): boolean}[] = []
  const erin = await core.as('erin')
  let refused = 0
  for (let batch = 0; batch < 10; batch++) {
    const some = await Promise.allSettled(Array.from({length: 30}, () => raw(erin, {type: 'follow', client})))
    for (const one of some) one.status === 'fulfilled' ? open.push(one.value) : refused++
  }
  expect(refused).toBeGreaterThan(100)
  const {stdout} = await alice.exec(['job', 'say', 'hello']).done
  expect(stdout.toString()).toBe('hello\n')
  for (const one of open) one.close()
  await until(
    async () =>
      await raw(erin, {type: 'follow', client}).then(
        one => {
          one.close()
          return true
        },
        () => false,
      ),
    'room again',
  )
})

test('TM-H10: TM-W1: what was approved without stdin gets none', async () => {
  const run = alice.exec(['job', 'take'], {wait: true, stdin: false})
  const {request} = await run.message('waiting')
  const stream = await run.connection
  void stream.sendStdin(Buffer.from('never approved\n')).catch(() => {})
  void stream.endStdin().catch(() => {})
  await bob.approve(request)
  const {stdout} = await run.done.catch(() => ({stdout: Buffer.alloc(0)}))
  expect(stdout.toString()).toBe('')
})

test('what is no frame or message of a client ends the stream, and nothing else', async () => {
  const {default: WebSocket} = await import('ws')
  const {proof} = await import('@prod/sdk/dpop')
  const open = async () => {
    const url = core.url + streamPath
    const token = await alice.session.token()
    const socket = new WebSocket(url.replace('http', 'ws'), streamProtocol, {
      headers: {authorization: `DPoP ${token}`, dpop: proof(alice.session.key, {method: 'GET', url, accessToken: token})},
    })
    const said: string[] = []
    socket.on('message', data => said.push(String(data)))
    socket.on('error', () => {})
    await new Promise((resolve, reject) =>
      socket.once('open', resolve).once('unexpected-response', (_, response) => reject(new Error(String(response.statusCode)))),
    )
    return {socket, said}
  }
  const first = (more: object) =>
    JSON.stringify({
      type: 'exec',
      key: newKey(),
      argv: ['job', 'cat'],
      targets: ['local'],
      reason,
      wait: true,
      stdin: true,
      client,
      ...more,
    })
  const wrong: (string | Buffer)[][] = [
    [Buffer.from([0, 65])],
    ['{}'],
    ['null'],
    ['{"type":"follow","type":"exec","client":{"version":"1","platform":"x"}}'],
    [`{"type":"follow","client":{"version":"1","platform":"x"},"request":${'['.repeat(40)}${']'.repeat(40)}}`],
    [first({__proto__x: 1})],
    [first({argv: ['job', 'cat', 1]})],
    [first({key: 'short'})],
    [first({}), Buffer.from([7])],
    [first({}), Buffer.from([3, 1])],
    [first({}), Buffer.alloc(0)],
    [first({}), '{"type":"ack","stdout":-1,"stderr":0}'],
    [first({}), '{"type":"ack","stdout":1e400,"stderr":0}'],
    [first({}), '{"type":"ack","stdout":1e300,"stderr":0}'],
    [first({}), '{"type":"ack","stdout":0.5,"stderr":0}'],
    [first({}), '{"type":"signal","name":"SIGSTOP"}'],
    [first({}), Buffer.concat([Buffer.from([4]), Buffer.from('null')])],
    [first({}), Buffer.concat([Buffer.from([4]), Buffer.from('{"columns":-1,"rows":1e9}')])],
    [first({}), ...Array.from({length: 80}, () => Buffer.alloc(65_000))],
    [first({}), '{"type":"auth","token":"x","proof":"y"}'],
  ]
  for (const frames of wrong) {
    const {socket, said} = await open()
    const closed = new Promise<void>(resolve => socket.once('close', () => resolve()))
    const [head, ...rest] = frames as [string | Buffer, ...(string | Buffer)[]]
    socket.send(head)
    if (rest.length > 0) await until(() => said.some(one => one.includes('"started"')), 'the start')
    for (const one of rest) socket.send(one)
    const shown = String(rest[0] ?? head).slice(0, 80)
    await Promise.race([closed, new Promise((_, reject) => setTimeout(reject, 5000, new Error(`still open after ${shown}`)))])
    expect(said.join('')).not.toMatch(/stack|\.ts:\d+|TypeError/)
    socket.terminate()
  }
  expect(core.alarms.filter(({what}) => what === 'a stream failed')).toEqual([])
  expect((await alice.exec(['job', 'say', 'well']).done).stdout.toString()).toBe('well\n')
})

test('TM-A4: TM-A7: the development provider fetches nothing but its own pages', async () => {
  const {createServer} = await import('node:http')
  const hits: string[] = []
  const elsewhere = createServer((request, response) => {
    hits.push(`${request.url} ${JSON.stringify(request.headers)}`)
    response.end('inside')
  })
  await new Promise<void>(resolve => elsewhere.listen(0, '127.0.0.1', resolve))
  ends.push(() => void elsewhere.close())
  const {port} = elsewhere.address() as {port: number}
  const {issuer} = await alice.client.call(api.loginConfiguration)
  const {host, hostname, port: own} = new URL(issuer)
  for (const target of [
    `//127.0.0.1:${port}/auth?login_hint=alice`,
    `http://127.0.0.1:${port}/auth?login_hint=alice`,
    `/\\127.0.0.1:${port}/auth?login_hint=alice`,
  ]) {
    await new Promise<void>(resolve => {
      const socket = connect(Number(own), hostname, () =>
        socket.write(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
      )
      socket.on('data', () => {})
      socket.on('close', () => resolve())
    })
  }
  expect(hits).toEqual([])
})

test('TM-G2: TM-H9: what a tool runs changes neither policy, catalog nor who there is, and reads none of the broker’s files', async () => {
  const {writeFileSync, readFileSync} = await import('node:fs')
  const {join} = await import('node:path')
  const path = join(core.dir, 'bin/job')
  const was = readFileSync(path, 'utf8')
  const people = readFileSync(join(core.dir, 'people.json'), 'utf8')
  writeFileSync(
    path,
    `#!/bin/bash
cd ${core.dir}
for one in keys/seal.key keys/log.pem broker.sqlite broker.sqlite-wal dev-provider.sqlite dev-provider.sqlite-journal recording-key.txt people.json policy/global/web.cedar catalog/tools/job.yaml; do
  [ -s "$one" ] && head -c 1 "$one" >/dev/null 2>&1 && echo "reads $one"
done
for one in policy/global/mine.cedar catalog/tools/mine.yaml alerts/a.jsonl; do (echo x >> "$one") 2>/dev/null && echo "writes $one"; done
echo '{"alice":{"groups":["sre-leads"]}}' > people.json
true
`,
  )
  const {stdout} = await alice.exec(['job', 'say', 'x']).done
  writeFileSync(path, was)
  const {checks} = await alice.client.call(api.doctor)
  if (!checks.find(({name}) => name === 'host: folders of the broker')?.ok) return
  expect(stdout.toString()).toBe('')
  expect(readFileSync(join(core.dir, 'people.json'), 'utf8')).toBe(people)
})

test('TM-A14: TM-A6: a path with an endless segment is refused in our form', async () => {
  const answer = await fetch(`${core.url}/v1/runs/${'a'.repeat(300)}`)
  expect([answer.status, answer.headers.get('x-correlation-id')?.slice(0, 4)]).toEqual([404, 'cor_'])
  expect(await answer.text()).not.toContain('FST_')
})
