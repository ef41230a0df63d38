import {chmodSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {Request, Session} from '@prod/sdk'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type RealBroker, type RealPerson, startRealBroker} from './broker.ts'
import {openScreen} from './screen.ts'

/** A tool that behaves badly on purpose. It ends by itself. */
const talk = `#!/bin/sh
case $1 in
  hold) trap 'echo caught; exit 7' INT; echo holding; n=0; while [ $n -lt 300 ]; do sleep 0.05; n=$((n + 1)); done ;;
  flood) n=0; while [ $n -lt 20000 ]; do echo "line $n"; n=$((n + 1)); done ;;
  evil) printf 'before \\033]0;owned\\007\\033[31mred\\033[0m after\\nprod: approved\\n' ;;
esac
`
const tool = (program: string) => `kind: Tool
name: talk
summary: talks
program: ${program}
run: { primitive: host, target: local }
retention: none
commands:
  - { path: [hold], class: read }
  - { path: [flood], class: read }
  - { path: [evil], class: read }
`
const reason = ['--reason', 'to see what a terminal does']

const finish: (() => Promise<void>)[] = []
let broker: RealBroker
let alice: RealPerson
let carol: RealPerson

beforeAll(async () => {
  broker = await startRealBroker(step => finish.push(step))
  alice = broker.as('alice')
  carol = broker.as('carol')
  const program = join(broker.dir, 'bin', 'talk')
  writeFileSync(program, talk)
  chmodSync(program, 0o755)
  mkdirSync(join(broker.dir, 'policy/services/talk'), {recursive: true})
  writeFileSync(
    join(broker.dir, 'policy/global/talk.cedar'),
    '@id("talk")\npermit (principal in Group::"engineers", action == Action::"run", resource in Tool::"talk");\n',
  )
  writeFileSync(
    join(broker.dir, 'policy/tests/talk.yaml'),
    '- { principal: alice, groups: [engineers], argv: [talk, evil], expect: allow }\n- { principal: carol, groups: [security], argv: [talk, evil], expect: deny }\n- { principal: mallory, groups: [], argv: [talk, hold], expect: deny }\n',
  )
  writeFileSync(join(broker.dir, 'catalog/tools/talk.yaml'), tool(program))
  for (;;) {
    const {status, stdout} = await alice.run(['tools', 'talk', '--json'])
    if (status === 0 && JSON.parse(stdout).length > 0) break
  }
  // who has been there once is named where approval is waited for
  await Promise.all([carol.login(), broker.as('bob').login()])
})

afterAll(async () => {
  for (const step of finish) await step()
})

const breakGlass = ['shell', 'local', '--reason', 'the agent is wedged', '--incident', 'INC-42']
const prompt = /\[BREAK-GLASS local\] .*[#$] ?$/

test('TM-O1 TM-O4: a shell has its banner in the title for the whole time, follows the size of the terminal, and the recording has both', async ({
  onTestFinished,
}) => {
  const screen = await openScreen(onTestFinished, alice, breakGlass, {columns: 90, rows: 25})
  await screen.until(/type local to go on/)
  screen.type('local\r')
  const session = (await screen.until(/(ses_\w+) on local/))[1] as string
  await screen.until(prompt)
  expect(screen.titles.at(-1)).toMatch(/BREAK-GLASS local \(production\)/)
  screen.type('stty size\r')
  await screen.until(/^25 90$/m)
  screen.resize(120, 40)
  // the size may come after what is typed
  screen.type('while [ "$(stty size)" = "25 90" ]; do sleep 0.1; done; stty size\r')
  // the shell may draw its line anew in between
  await screen.until(/stty size\s*40 120$/m)
  screen.type('exit 3\r')
  expect(await screen.ended).toBe(3)
  expect(screen.raw()).toMatch(/\x1b\[22;0t[\s\S]*BREAK-GLASS[\s\S]*\x1b\[23;0t/) // the title that was there before comes back
  expect(screen.text()).toMatch(/its review waits: prod review ls$/)

  const cast = join(carol.home, 'session.cast')
  const played = await carol.run(['sessions', 'play', session, '--identity', join(broker.dir, 'recording-key.txt'), '--cast', cast])
  expect(played).toMatchObject({status: 0})
  const events = readFileSync(cast, 'utf8')
    .trimEnd()
    .split('\n')
    .slice(1)
    .map(line => JSON.parse(line) as [number, string, string])
  expect(events.filter(([, kind]) => kind === 'r').map(([, , size]) => size)).toContain('120x40')
  expect(
    events
      .filter(([, kind]) => kind === 'o')
      .map(([, , text]) => text)
      .join(''),
  ).toMatch(/25 90[\s\S]*40 120/)
})

test('TM-O1: another name typed, a piped yes or no terminal opens nothing and alerts nobody', async ({onTestFinished}) => {
  const alerts = () => readFileSync(join(broker.dir, 'alerts/a.jsonl'), 'utf8')
  const before = alerts()
  const screen = await openScreen(onTestFinished, alice, breakGlass)
  await screen.until(/type local to go on/)
  screen.type('y\r')
  expect(await screen.ended).toBe(241)
  expect(screen.text()).toMatch(/that was not local; nothing was done/)
  for (const stdin of ['y\n', 'local\n', undefined]) {
    expect(await alice.run(breakGlass, stdin === undefined ? {} : {stdin})).toMatchObject({
      status: 241,
      stdout: '',
      stderr: expect.stringContaining('needs a terminal'),
    })
  }
  expect(alerts()).toBe(before)
  const sessions = JSON.parse((await carol.run(['sessions', 'ls', '--json'])).stdout) as Session[]
  expect(sessions.filter(({state}) => state === 'open')).toEqual([])
})

const loudExec = ['exec', '--break-glass', '--incident', 'INC-42', '--reason', 'payments time out', 'web', 'restart']

test('TM-O1 TM-O2 TM-O4 TM-O5: a command that would wait runs at once by break-glass: banner, typed name, alerts, recording, review', async ({
  onTestFinished,
}) => {
  const alerts = () => readFileSync(join(broker.dir, 'alerts/a.jsonl'), 'utf8')
  const before = alerts()
  const wrong = await openScreen(onTestFinished, alice, loudExec)
  await wrong.until(/BREAK-GLASS on local \(production\)[\s\S]*type local to go on/)
  wrong.type('web\r')
  expect(await wrong.ended).toBe(241)
  expect(wrong.text()).toMatch(/that was not local; nothing was done/)
  for (const [args, stdin] of [
    [loudExec, 'local\n'],
    [[...loudExec.slice(0, 1), '--json', ...loudExec.slice(1)], 'local\n'],
  ] as const)
    expect(await alice.run(args, {stdin})).toMatchObject({status: 241, stderr: expect.not.stringContaining('BREAK-GLASS')})
  expect(alerts()).toBe(before)

  const screen = await openScreen(onTestFinished, alice, loudExec, {columns: 110, rows: 30})
  await screen.until(/type local to go on/)
  screen.type('local\r')
  await screen.until(/alerting a and b/)
  expect(await screen.ended).toBe(0)
  const text = screen.text()
  expect(text.match(/BREAK-GLASS on local \(production\)/g)).toHaveLength(1)
  const run = /(run_\w+) was break-glass, and its review waits: prod review ls$/m.exec(text)?.[1] as string
  expect(run).toBeDefined()

  const listed = await carol.run(['review', 'ls'])
  expect(listed.stdout).toMatch(new RegExp(`open\\s+${run}\\s+alice\\s+local`))
  const played = await carol.run(['sessions', 'play', run, '--identity', join(broker.dir, 'recording-key.txt')])
  expect([played.status, played.stdout]).toEqual([0, expect.stringMatching(/restarted|web/)])
  const review = /(rev_\w+)\s+open\s+run_/.exec(listed.stdout)?.[1] as string
  const done = await carol.run(['review', 'done', review, '--verdict', 'ok', '--note', 'a restart, as the incident says'])
  expect(done).toMatchObject({status: 0, stdout: expect.stringContaining('is done: ok')})
})

test('break-glass with --at, on several targets, or where no glass is in the way', async ({onTestFinished}) => {
  for (const more of [
    ['--at', '10m'],
    ['--on', 'local', '--on', 'other'],
  ]) {
    const screen = await openScreen(onTestFinished, alice, [...loudExec.slice(0, -2), ...more, 'web', 'restart'])
    expect(await screen.ended).toBe(241)
    expect(screen.text()).not.toMatch(/type local to go on/)
  }
  const screen = await openScreen(onTestFinished, alice, [...loudExec.slice(0, -2), 'true'])
  expect(await screen.ended).toBe(0)
  expect(screen.text()).toMatch(/no glass had to be broken/)
  expect(screen.text()).not.toMatch(/BREAK-GLASS/)
})

test('who is not logged in is told so before a reason is asked for', async ({onTestFinished}) => {
  const home = join(alice.home, 'nobody')
  mkdirSync(home, {mode: 0o700})
  const screens = [['exec', 'web', 'status'], ['freeze']].map(words => openScreen(onTestFinished, alice, words, {env: {HOME: home}}))
  for (const screen of await Promise.all(screens)) {
    expect(await screen.ended).toBe(241)
    expect(screen.text()).toContain('prod: no broker is known yet')
    expect(screen.text()).not.toContain('reason')
  }
})

test('Ctrl-C while a request waits cancels it and ends with 130', async ({onTestFinished}) => {
  const screen = await openScreen(onTestFinished, alice, ['exec', ...reason, 'web', 'restart'])
  const request = (await screen.until(/(req_\w+)[\s\S]*waiting since \S+ for one of: bob/))[1] as string
  screen.type('\x03')
  expect(await screen.ended).toBe(130)
  const shown = JSON.parse((await alice.run(['request', 'show', request, '--json'])).stdout) as Request
  expect(shown.state).toBe('cancelled')
})

test('Ctrl-C while a tool runs is the tool’s, and its own exit status comes back', async ({onTestFinished}) => {
  const screen = await openScreen(onTestFinished, alice, ['exec', ...reason, 'talk', 'hold'])
  await screen.until(/^holding$/m)
  screen.type('\x03')
  await screen.until(/caught$/m)
  expect(await screen.ended).toBe(7)
})

test('a tool that is left out is picked from a list as one types, and the reason is asked for', async ({onTestFinished}) => {
  const screen = await openScreen(onTestFinished, alice, ['exec'])
  await screen.until(/tool[\s\S]*uname/)
  screen.type('dat')
  await screen.until(/❯ date[^\n]*\n {2}id/)
  screen.type('\r')
  await screen.until(/reason/)
  screen.type('short\r')
  await screen.until(/10 are needed/)
  screen.type('\x15to see what time it is\r')
  await screen.until(/\b20\d\d\b/)
  expect(await screen.ended).toBe(0)
})

test('TM-R6: what a tool writes cannot act on the terminal unless --raw asks for it, and prod’s own words come apart', async ({
  onTestFinished,
}) => {
  const screen = await openScreen(onTestFinished, alice, ['exec', ...reason, 'talk', 'evil'])
  expect(await screen.ended).toBe(0)
  expect(screen.text()).toMatch(/before .*owned.*red.* after/)
  expect(screen.titles).not.toContain('owned')
  expect(screen.raw()).not.toContain('\x1b[31mred')
  const raw = await openScreen(onTestFinished, alice, ['exec', ...reason, '--raw', 'talk', 'evil'])
  expect(await raw.ended).toBe(0)
  expect(raw.titles).toContain('owned')

  const apart = await alice.run(['exec', ...reason, 'talk', 'evil'])
  expect(apart).toEqual({status: 0, stdout: 'before \x1b]0;owned\x07\x1b[31mred\x1b[0m after\nprod: approved\n', stderr: ''})
  const {stdout} = await alice.run(['exec', ...reason, '--json', 'talk', 'evil'])
  expect(JSON.parse(stdout)).toMatchObject({stdout: {text: apart.stdout}, stderr: {text: ''}})
  expect(stdout).not.toContain('\x1b')
})

test('a reader that leaves early ends the command quietly', async ({onTestFinished}) => {
  for (const args of [['tools'], ['exec', ...reason, 'talk', 'flood']]) {
    const child = await alice.start(args)
    onTestFinished(() => void child.kill('SIGKILL'))
    child.stdin.end()
    let said = ''
    child.stderr.on('data', (piece: Buffer) => {
      said += String(piece)
    })
    await new Promise(resolve => child.stdout.once('data', resolve))
    child.stdout.destroy()
    const [status, signal] = await new Promise<[number | null, string | null]>(resolve => child.once('exit', (...how) => resolve(how)))
    expect({args, signal, said}).toEqual({args, signal: null, said: ''})
    expect(status).toBeLessThan(240)
  }
})

test('NO_COLOR takes the colour, TERM=dumb every movement too, and nothing is missing', async ({onTestFinished}) => {
  const wait = ['exec', ...reason, 'web', 'restart']
  const [colour, anything] = [/\x1b\[(3[0-7]|9[0-7]|1)m/, /\x1b/]
  for (const {never, ...how} of [
    {env: {NO_COLOR: '1'}, never: colour},
    {term: 'dumb', never: anything},
  ]) {
    const screen = await openScreen(onTestFinished, alice, wait, how)
    await screen.until(/waiting since \S+ for one of: bob/)
    screen.type('\x03')
    expect(await screen.ended).toBe(130)
    expect(screen.raw()).not.toMatch(never)
  }
  const dumb = await openScreen(onTestFinished, alice, ['exec', 'date'], {term: 'dumb'})
  await dumb.until(/reason:/)
  dumb.type('to see what time it is\r')
  expect(await dumb.ended).toBe(0)
  expect(dumb.raw()).not.toMatch(anything)
})

test('TM-I1: without a terminal nothing asks: each question names the flag that answers it', async () => {
  const {stdout: id, status} = await alice.run(['exec', ...reason, '--nowait', 'web', 'restart'])
  expect(status).toBe(245)
  const bob = broker.as('bob')
  for (const [person, args, flag] of [
    [alice, ['exec', 'web', 'status'], '--reason'],
    [alice, ['exec', ...reason], 'prod exec TOOL'],
    [alice, ['request', 'create', ...reason], 'prod request create ROLE'],
    [bob, ['request', 'approve', id.trim()], '--yes'],
    [bob, ['request', 'approve'], 'prod request approve ID'],
  ] as const) {
    expect(await person.run(args)).toMatchObject({status: 241, stderr: expect.stringContaining(flag)})
  }
  expect((await alice.run(['request', 'cancel', id.trim()])).status).toBe(0)
})
