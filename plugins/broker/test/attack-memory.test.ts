/** An engineer who wants the broker to keep what it should not. */
import {proof} from '@prod/sdk/dpop'
import {frame, streamPath, streamProtocol} from '@prod/sdk/wire'
import {expect, test} from 'vitest'
import WebSocket from 'ws'
import {sweepForgotten} from '../src/requests/sweep.ts'
import {newKey, reason, startCore} from './core.ts'
import {openDoor} from './door.ts'

const yes = `kind: Tool
name: endless
summary: output without an end
program: {{yes}}
run: { primitive: host, target: local }
limits: { wallSeconds: 20 }
commands:
  - { path: [], class: read }
`

test('TM-H18: who acknowledges what they never read does not fill the broker’s memory: the stream ends', async ({onTestFinished}) => {
  const {realpathSync} = await import('node:fs')
  const core = await startCore(onTestFinished, {
    files: {
      'catalog/tools/endless.yaml': yes.replace('{{yes}}', realpathSync('/usr/bin/yes')),
      'policy/global/endless.cedar': '@id("endless") permit (principal, action == Action::"run", resource in Tool::"endless");\n',
    },
  })
  const alice = await core.as('alice')
  const url = core.url + streamPath
  const token = await alice.session.token()
  const socket = new WebSocket(url.replace('http', 'ws'), streamProtocol, {
    headers: {authorization: `DPoP ${token}`, dpop: proof(alice.session.key, {method: 'GET', url, accessToken: token})},
  })
  onTestFinished(() => socket.terminate())
  const words: string[] = []
  let seen = 0
  const started = new Promise<void>(resolve =>
    socket.on('message', (data, binary) => {
      if (binary && (data as Buffer)[0] === frame.stdout) seen += (data as Buffer).length - 1
      else words.push(String(data))
      if (seen > 512 * 1024) resolve()
    }),
  )
  await new Promise(resolve => socket.once('open', resolve))
  const client = {version: 'test', platform: 'test'}
  socket.send(
    JSON.stringify({type: 'exec', key: newKey(), argv: ['endless'], targets: ['local'], reason, wait: true, stdin: false, client}),
  )
  await started
  socket.pause()
  // slower than the tool, so that no more is acknowledged than was sent
  for (let acked = 0; acked < 40 * 1024 * 1024; ) {
    acked += 128 * 1024
    socket.send(JSON.stringify({type: 'ack', stdout: acked, stderr: 0}))
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()))
  socket.resume()
  await closed
  expect(words.join('\n')).toContain('an acknowledgement of bytes that were not taken')
})

test('TM-E13: what is past its time is forgotten, however much of it there is', async ({onTestFinished}) => {
  const {parts} = await openDoor(onTestFinished)
  const dueAt = new Date(Date.now() - 1000).toISOString()
  for (let batch = 0; batch < 5; batch++) {
    await parts.store.commit({
      put: Array.from({length: 500}, (_, n) => ({kind: 'seen' as const, id: `old-${batch}-${n}`, version: 0, value: {}, index: {dueAt}})),
      events: [],
    })
  }
  await sweepForgotten(parts)
  expect(await parts.store.list({kind: 'seen', dueBefore: dueAt})).toHaveLength(0)
})
