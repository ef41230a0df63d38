import {text} from 'node:stream/consumers'
import type {Channel} from '@prod/sdk'
import {expect, test} from 'vitest'
import {openCommand, statusOf} from '../../src/channel/command.ts'
import {payloadTypes} from '../../src/channel/frame.ts'
import {optionsFor, type Peer, startPeer} from './peer.ts'

/** A command of an agent that greets, takes the answer and then does what `run` says. */
async function openPeer(
  onFinished: (stop: () => Promise<void>) => void,
  run: (peer: Peer) => void,
): Promise<{peer: Peer; command: Channel}> {
  const peer = await startPeer(onFinished)
  peer.onToken = () => peer.tokens.length === 1 && peer.greet('NonInteractiveCommands')
  peer.onInput = ({payloadType}) => {
    if (payloadType !== payloadTypes.handshakeResponse) return
    peer.complete()
    run(peer)
  }
  const command = await openCommand(optionsFor(peer, {timings: {afterExitMs: 50}}))
  return {peer, command}
}

const result = async ({stdout, stderr, ended}: Channel) => ({
  stdout: await text(stdout),
  stderr: await text(stderr),
  exit: await ended,
})

test('output, errors and status come apart; errors after the status are not missed', async ({onTestFinished}) => {
  const {command, peer} = await openPeer(onTestFinished, peer => {
    peer.send(payloadTypes.output, 'out\n')
    peer.send(payloadTypes.exitCode, 'EXIT_CODE: 3')
    peer.send(payloadTypes.stderr, 'err\n')
    peer.close()
  })
  expect(await result(command)).toEqual({stdout: 'out\n', stderr: 'err\n', exit: {status: 3}})
  expect(peer.input[0]?.payload.toString()).toBe(
    '{"ClientVersion":"1.2.764.0","ProcessedClientActions":[{"ActionType":"SessionType","ActionStatus":1,"ActionResult":null,"Error":""}],"Errors":null}',
  )
})

test('a service that does not say the end is not waited for: some silence after the status is one', async ({onTestFinished}) => {
  const {command} = await openPeer(onTestFinished, peer => {
    peer.send(payloadTypes.exitCode, 'EXIT_CODE: 0')
    peer.send(payloadTypes.output, 'late')
  })
  expect(await result(command)).toEqual({stdout: 'late', stderr: '', exit: {status: 0}})
})

test('a document that gives no status gives none: unknown, and what to change', async ({onTestFinished}) => {
  const {command} = await openPeer(onTestFinished, peer => {
    peer.send(payloadTypes.output, 'out\nerr\n')
    peer.close()
  })
  expect(await result(command)).toEqual({
    stdout: 'out\nerr\n',
    stderr: '',
    exit: {unknown: expect.stringContaining('separateOutputStream: true')},
  })
})

test('a status is never told over output that is missing', async ({onTestFinished}) => {
  const {command} = await openPeer(onTestFinished, peer => {
    peer.fault = ({payloadType}) => ({times: payloadType === payloadTypes.output ? 0 : 1})
    peer.send(payloadTypes.output, 'lost on the way')
    peer.send(payloadTypes.exitCode, 'EXIT_CODE: 0')
    setTimeout(() => peer.close(), 20)
  })
  expect((await result(command)).exit).toEqual({unknown: 'the session ended before all of its output had come'})
})

test('interrupting reaches the program as the one byte it takes; what is written to it goes nowhere', async ({onTestFinished}) => {
  const {command, peer} = await openPeer(onTestFinished, peer => {
    peer.onInput = ({payloadType, payload}) => {
      if (payloadType !== payloadTypes.output) return
      peer.send(payloadTypes.exitCode, `EXIT_CODE: ${payload.toString('hex') === '03' ? 130 : 1}`)
      peer.close()
    }
  })
  command.stdin.end('\x03 is a byte of this input')
  command.signal('SIGUSR1')
  command.signal('SIGINT')
  expect(await result(command)).toMatchObject({exit: {status: 130}})
  expect(peer.input.filter(({payloadType}) => payloadType === payloadTypes.output)).toHaveLength(1)
})

test('a command whose status was lost with the link ends unknown', async ({onTestFinished}) => {
  const peer = await startPeer(onTestFinished)
  peer.onToken = () => peer.greet('NonInteractiveCommands')
  peer.onInput = ({payloadType}) => payloadType === payloadTypes.handshakeResponse && peer.complete()
  const command = await openCommand(optionsFor(peer, {renew: () => Promise.reject(new Error('no way')), timings: {patienceMs: 50}}))
  peer.cut()
  expect(await result(command)).toMatchObject({exit: {unknown: 'the session cannot be resumed'}})
})

test('statuses: those of signals and of Windows keep being failures', () => {
  const table = {
    'EXIT_CODE: 0': 0,
    'EXIT_CODE: 7': 7,
    'EXIT_CODE: -1': 255,
    'EXIT_CODE: 255': 255,
    'EXIT_CODE: 256': 255,
    'EXIT_CODE: 3221225786': 0x3a,
    'EXIT_CODE: ': undefined,
    'EXIT_CODE: 1 ': undefined,
    'exit_code: 1': undefined,
  }
  for (const [message, status] of Object.entries(table)) expect(statusOf(message), message).toBe(status)
})
