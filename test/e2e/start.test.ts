import {existsSync} from 'node:fs'
import {expect, test} from 'vitest'
import {startRealBroker} from './broker.ts'

test('a development broker starts on a free port, two people use it, and nothing is left of it', async () => {
  const finish: (() => Promise<void>)[] = []
  const broker = await startRealBroker(step => finish.push(step), {people: {dave: {groups: ['engineers']}}})
  try {
    const alice = broker.as('alice')
    expect(await alice.run(['exec', '--reason', 'looking around', 'web', 'status'])).toMatchObject({
      status: 0,
      stderr: '',
      stdout: expect.stringMatching(/^web runs as process \d+ /),
    })
    expect(await broker.as('dave').run(['whoami'])).toMatchObject({status: 0, stdout: expect.stringContaining('dave')})
    expect((await broker.as('carol', {login: false}).run(['whoami', '--broker', broker.url])).status).toBe(242)
  } finally {
    for (const step of finish) await step()
  }
  expect(existsSync(broker.dir)).toBe(false)
  expect(() => process.kill(broker.pid, 0)).toThrow('ESRCH')
})

test('the built CLI names what is missing on a command line', async ({onTestFinished}) => {
  const broker = await startRealBroker(step => onTestFinished(step))
  for (const [args, missing] of [
    [['sessions', 'watch'], 'SESSION'],
    [['review', 'done'], 'REVIEW'],
    [['request', 'show'], 'REQUEST'],
  ] as const) {
    const {status, stdout, stderr} = await broker.as('alice', {login: false}).run(args)
    expect({status, stdout, stderr}).toEqual({
      status: 241,
      stdout: '',
      stderr: `prod: missing: ${missing}\nprod: try: prod ${args.join(' ')} --help\n`,
    })
  }
})
