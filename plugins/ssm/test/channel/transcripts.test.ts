/** Sessions of the real agent, played again to our client: what it makes of them. */
import {readFileSync} from 'node:fs'
import {text} from 'node:stream/consumers'
import {setTimeout as wait} from 'node:timers/promises'
import {expect, test} from 'vitest'
import {openCommand} from '../../src/channel/command.ts'
import {payloadTypes} from '../../src/channel/frame.ts'
import {openPort} from '../../src/channel/port.ts'
import {openShell} from '../../src/channel/shell.ts'
import {optionsFor, type Peer, startPeer} from './peer.ts'

interface Event {
  sender?: string
  to?: string
  kind?: string
  hex?: string
  decoded?: {messageType: string; payloadType: number}
  note?: {dataKeyPlaintextHex: string; encryptionContext: Record<string, string>}
}

const {transcripts} = JSON.parse(readFileSync(new URL('../../../../test/data/ssm-vectors.json', import.meta.url), 'utf8')) as {
  transcripts: {name: string; events: Event[]}[]
}
const eventsOf = (name: string): Event[] => transcripts.find(transcript => transcript.name === name)?.events ?? []
const answers: number[] = [payloadTypes.handshakeResponse, payloadTypes.challengeResponse]

/** Sends what the client got then, each thing after the answer that it needs. */
async function play(peer: Peer, events: Event[]): Promise<void> {
  for (const {sender, to, kind, hex, decoded} of events) {
    if (kind !== 'binary' || !hex || !decoded) continue
    if (sender === 'client') {
      if (answers.includes(decoded.payloadType))
        while (!peer.arrived.some(({payloadType}) => payloadType === decoded.payloadType)) await wait(5)
    } else if (to !== 'agent' && decoded.messageType !== 'agent_session_state') peer.raw(Buffer.from(hex, 'hex'))
  }
}

async function startPlaying(
  onFinished: (stop: () => Promise<void>) => void,
  events: Event[],
): Promise<{peer: Peer; played: Promise<void>}> {
  const peer = await startPeer(onFinished)
  const played = Promise.withResolvers<void>()
  peer.onToken = () => void play(peer, events).then(played.resolve, played.reject)
  return {peer, played: played.promise}
}

const size = {columns: 100, rows: 30}

test('a shell', async ({onTestFinished}) => {
  const {peer} = await startPlaying(onTestFinished, eventsOf('shell'))
  const shell = await openShell(optionsFor(peer), size)
  const output = await text(shell.stdout)
  expect(output).toContain('stty size\r\n30 100\r\n')
  expect(await shell.ended).toEqual({status: 0})
})

test('an encrypted shell', async ({onTestFinished}) => {
  const events = eventsOf('encrypted shell')
  const note = events.find(event => event.note)?.note
  const contexts: Record<string, string>[] = []
  const told: string[] = []
  const {peer} = await startPlaying(onTestFinished, events)
  const shell = await openShell(
    optionsFor(peer, {
      tell: words => told.push(words),
      kms: {
        required: true,
        async generate({context}) {
          contexts.push(context)
          return {plaintext: Buffer.from(note?.dataKeyPlaintextHex ?? '', 'hex'), ciphertext: Buffer.from('sealed')}
        },
      },
    }),
    size,
  )
  expect(await text(shell.stdout)).toMatch(/\$ |# /)
  expect(await shell.ended).toEqual({status: 0})
  expect(told).toEqual(['the agent says "This session is encrypted using AWS KMS."'])
  // the recorded client did not use the challenge: what it did use is what we use, and the challenge besides
  expect(Object.keys(note?.encryptionContext ?? {}).every(name => name in (contexts[0] ?? {}))).toBe(true)
})

test('a command whose output is combined has no status', async ({onTestFinished}) => {
  const {peer} = await startPlaying(onTestFinished, eventsOf('non-interactive command, combined output'))
  const command = await openCommand(optionsFor(peer))
  expect(await text(command.stdout)).not.toBe('')
  expect(await command.ended).toEqual({unknown: expect.stringContaining('separateOutputStream')})
})

test('a command whose output is separate ends with its status, which is not part of the output', async ({onTestFinished}) => {
  const {peer} = await startPlaying(onTestFinished, eventsOf('non-interactive command, separate output'))
  const command = await openCommand(optionsFor(peer))
  const [stdout, stderr] = await Promise.all([text(command.stdout), text(command.stderr)])
  expect([stdout, stderr]).toEqual(['out\n', 'err\n'])
  expect(await command.ended).toEqual({status: 3})
})

test('two connections of a multiplexed port', async ({onTestFinished}) => {
  const events = eventsOf('multiplexed port forwarding')
  const from = events.findIndex(({sender, decoded}) => sender === 'client' && decoded?.payloadType === payloadTypes.output)
  const {peer, played} = await startPlaying(onTestFinished, events.slice(0, from))
  const port = await openPort(optionsFor(peer))
  await played
  expect(port.form).toBe('multiplexed')
  const [first, second] = [await port.connect(), await port.connect()]
  await play(peer, events.slice(from))
  expect((await text(first.stdout)).length).toBeGreaterThan(0)
  expect((await text(second.stdout)).length).toBeGreaterThan(0)
  expect(await Promise.all([first.ended, second.ended])).toEqual([{status: 0}, {status: 0}])
  peer.close()
  expect(await port.ended).toEqual({status: 0})
})
