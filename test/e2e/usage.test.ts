import {readdirSync, readFileSync} from 'node:fs'
import {join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type RealBroker, startRealBroker} from './broker.ts'
import {openScreen} from './screen.ts'

let broker: RealBroker
const finish: (() => Promise<void> | void)[] = []
beforeAll(async () => {
  broker = await startRealBroker(end => void finish.push(end))
})
afterAll(async () => {
  for (const end of finish.reverse()) await end()
})

test('after a shell one key says how it went, the figures know it, and no argument is among them', async ({onTestFinished}) => {
  const alice = broker.as('alice')
  const screen = await openScreen(onTestFinished, alice, ['shell', 'local', '--reason', 'the agent is wedged', '--incident', 'INC-42'])
  await alice.run(['config', 'set', 'askAfterSession', 'on'])
  await screen.until(/type local to go on/)
  screen.type('local\r')
  await screen.until(/\[BREAK-GLASS local\] .*[#$] ?$/)
  screen.type('exit\r')
  await screen.until(/how did it go\?/)
  screen.type('4')
  expect(await screen.ended).toBe(0)

  const spool = join(alice.home, '.local/state/prod')
  for (let n = 0; n < 6; n += 1) await alice.run(['exec', '--reason', 'look at the service', 'web', 'status'])
  for (let n = 0; n < 20 && readdirSync(spool).some(name => name.startsWith('usage-')); n += 1)
    await alice.run(['exec', '--reason', 'look at the service', 'web', 'status'])
  const {values} = JSON.parse((await alice.run(['metrics', '--json'])).stdout) as {values: Record<string, number>}
  expect(values).toMatchObject({satisfactionAnswers: 1, satisfactionMean: 4, shells: 1, incidentsNamed: 1, breakGlass: 1})
  expect(values.cliCommands).toBeGreaterThan(3)
  const {stdout} = await broker.as('carol').run(['audit', 'export'])
  const told = stdout.split('\n').filter(line => line.includes('usage.reported'))
  expect(told.length).toBeGreaterThan(0)
  expect(told.join('\n')).not.toMatch(/wedged|status|INC-42/)
})

test('the question is not asked where it was turned off, and telemetry off ends all of it', async ({onTestFinished}) => {
  const bob = broker.as('bob')
  await bob.run(['config', 'set', 'askAfterSession', 'on'])
  const open = async (...more: string[]) => {
    const screen = await openScreen(onTestFinished, bob, [
      'shell',
      'local',
      '--reason',
      'the agent is wedged',
      '--incident',
      'INC-43',
      ...more,
    ])
    await screen.until(/type local to go on/)
    screen.type('local\r')
    await screen.until(/\[BREAK-GLASS local\] .*[#$] ?$/)
    screen.type('exit\r')
    expect(await screen.ended).toBe(0)
    return screen.text()
  }
  expect(await open('--no-question')).not.toContain('how did it go')
  expect(readFileSync(join(bob.home, '.local/state/prod/usage.jsonl'), 'utf8')).toContain('"command":"shell"')
  await bob.run(['config', 'set', 'telemetry', 'off'])
  expect(await open()).not.toContain('how did it go')
  await bob.run(['request', 'ls'])
  expect(readdirSync(join(bob.home, '.local/state/prod')).filter(name => name.startsWith('usage'))).toEqual([])
})
