import {readdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type RealBroker, startRealBroker} from './broker.ts'
import {openScreen} from './screen.ts'

let broker: RealBroker
const finish: (() => Promise<void> | void)[] = []
beforeAll(async () => {
  broker = await startRealBroker(end => void finish.push(end), {people: {dave: {groups: ['engineers']}}})
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

test('what shells are used for is shown by first words that several people typed, to whom may open recordings; incidents are imported', async ({
  onTestFinished,
}) => {
  for (const name of ['alice', 'bob', 'dave']) {
    const args = ['shell', 'local', '--reason', 'the agent is wedged', '--incident', 'INC-44']
    const screen = await openScreen(onTestFinished, broker.as(name), args)
    await screen.until(/type local to go on/)
    screen.type('local\r')
    await screen.until(/\[BREAK-GLASS local\] .*[#$] ?$/)
    screen.type(name === 'dave' ? 'davesecret one\r' : 'ls -d one\r')
    await screen.until(/one$[\s\S]*\[BREAK-GLASS local\] .*[#$] ?$/m)
    screen.type('uptime -p /nowhere/hunter2\r')
    await screen.until(/uptime -p[\s\S]*\[BREAK-GLASS local\] .*[#$] ?$/)
    screen.type('exit\r')
    expect(await screen.ended).toBeGreaterThanOrEqual(0)
  }
  const carol = broker.as('carol')
  const suggest = ['metrics', 'suggest', '--identity', `${broker.dir}/recording-key.txt`]
  const {status, stdout} = await carol.run([...suggest, '--json'])
  expect(status).toBe(0)
  const found = JSON.parse(stdout) as {suggestions: unknown[]; leftOut: number}
  expect(found).toMatchObject({
    unread: 0,
    suggestions: expect.arrayContaining([
      expect.objectContaining({what: 'processes', target: 'local', people: 3, words: [{word: 'uptime', people: 3, times: 3}]}),
    ]),
  })
  expect(stdout).not.toMatch(/hunter2|davesecret|alice|dave"|hosts/)
  const page = (await carol.run(suggest)).stdout
  expect(page).toMatch(/processes +local +3 +\d+ +uptime 3/)
  expect(page).toMatch(/prod policy init DIR --tools .*uptime/)
  expect(await broker.as('alice').run([...suggest, '--json'])).toMatchObject({stdout: expect.stringMatching(/"shells": 0/)})
  expect(await carol.run(['metrics', 'suggest'])).toMatchObject({status: 241})

  const file = join(carol.home, 'incidents.json')
  const now = Date.now()
  const [begun, over] = [3_600_000, 1_800_000].map(ago => new Date(now - ago).toISOString())
  writeFileSync(
    file,
    JSON.stringify({
      incidents: [44, 45].map(number => ({id: `P${number}`, incident_number: number, created_at: begun, resolved_at: over})),
    }),
  )
  const importing = ['metrics', 'import', file, '--prefix', 'INC-']
  expect(await broker.as('alice').run(importing)).toMatchObject({status: 243})
  expect(await carol.run(importing)).toMatchObject({status: 0, stdout: 'imported 2 rows\n'})
  expect(await carol.run(importing)).toMatchObject({status: 0})
  const report = JSON.parse((await carol.run(['metrics', '--json'])).stdout) as {values: object; incidents: object[]}
  expect(report.values).toMatchObject({incidents: 2, incidentsTouched: 1, restoreSecondsP50: 1800})
  expect(report.incidents).toContainEqual(expect.objectContaining({id: 'INC-44', restoreSeconds: 1800, shells: 3}))
  const html = join(carol.home, 'metrics.html')
  expect(await carol.run(['metrics', '--team', 'engineers', '--html', html])).toMatchObject({status: 0, stdout: `wrote ${html}\n`})
  expect(readFileSync(html, 'utf8')).toContain('team engineers')
  expect(await carol.run(['metrics', '--team', 'nobody'])).toMatchObject({status: 243})
})
