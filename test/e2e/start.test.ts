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

test('an id that is missing or malformed is said in one sentence that names the list it stands in, and nothing is sent', async ({
  onTestFinished,
}) => {
  const broker = await startRealBroker(step => onTestFinished(step))
  const stranger = broker.as('alice', {login: false})
  for (const [args, what, list] of [
    [['sessions', 'watch'], 'session', 'sessions'],
    [['sessions', 'play'], 'session or run', 'sessions'],
    [['sessions', 'end'], 'session or run', 'sessions'],
    [['review', 'done'], 'review', 'review'],
    [['request', 'show'], 'request', 'request'],
    [['request', 'approve'], 'request', 'request'],
    [['request', 'deny'], 'request', 'request'],
    [['request', 'cancel'], 'request', 'request'],
    [['grant', 'revoke'], 'grant', 'grant'],
    [['attach'], 'request or run or session', 'request'],
  ] as const) {
    expect(await stranger.run([...args, 'ses_1m81c87'])).toEqual({
      status: 241,
      stdout: '',
      stderr: `prod: ses_1m81c87 is not the id of a ${what}\nprod: try: prod ${list} ls\n`,
    })
    const [first] = what.split(' ')
    expect(await stranger.run(args)).toEqual({
      status: 241,
      stdout: '',
      stderr: `prod: ${first} is missing, and there is no terminal to ask at\nprod: try: prod ${args.join(' ')} ID; prod ${list} ls has them\n`,
    })
  }
})
