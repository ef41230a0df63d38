import {afterAll, beforeAll, expect, test} from 'vitest'
import {type RealBroker, startRealBroker} from './broker.ts'
import {openScreen} from './screen.ts'

let broker: RealBroker
const finish: (() => Promise<void> | void)[] = []
beforeAll(async () => {
  broker = await startRealBroker(end => void finish.push(end))
})
afterAll(async () => {
  for (const end of finish) await end()
})

const breakGlass = ['shell', 'local', '--reason', 'the agent is wedged', '--incident', 'INC-42']
const prompt = /\[BREAK-GLASS local\] .*[#$] ?$/

async function openShell(onTestFinished: (end: () => void) => void) {
  const screen = await openScreen(onTestFinished, broker.as('alice'), breakGlass)
  await screen.until(/type local to go on/)
  screen.type('local\r')
  const session = (await screen.until(/(ses_\w+) on local/))[1] as string
  await screen.until(prompt)
  return {screen, session}
}

test('a shell goes on in another terminal, and the first one stays away', async ({onTestFinished}) => {
  const {screen, session} = await openShell(onTestFinished)
  screen.type('kept=$((40+2))\r')
  await screen.until(/kept=[\s\S]*\[BREAK-GLASS local\] .*[#$] ?$/)
  const other = await openScreen(onTestFinished, broker.as('alice'), ['attach', session], {columns: 70, rows: 20})
  await other.until(/BREAK-GLASS on local/)
  expect(await screen.ended).toBe(248)
  expect(screen.text()).toMatch(/another terminal took this over/)
  other.type('echo kept-$kept; stty size\r')
  await other.until(/^kept-42$/m)
  await other.until(/^20 70$/m)
  other.type('exit\r')
  expect(await other.ended).toBe(0)
  expect(await broker.as('alice').run(['attach', session])).toMatchObject({
    status: 241,
    stderr: expect.stringContaining('needs a terminal'),
  })
})

test('TM-R1: a watcher and a replay see text that acts on nothing; --raw shows it as it was', async ({onTestFinished}) => {
  const carol = broker.as('carol')
  const {screen, session} = await openShell(onTestFinished)
  const [plain, raw] = [
    await openScreen(onTestFinished, carol, ['sessions', 'watch', session]),
    await openScreen(onTestFinished, carol, ['sessions', 'watch', session, '--raw']),
  ]
  for (const watcher of [plain, raw]) await watcher.until(/watching alice on local, 100x30/)
  screen.type("printf '\\033]0;owned\\007\\033[31mred\\033[8m hidden\\033[0m\\n'\r")
  await plain.until(/owned.*red hidden$/m)
  await raw.until(/^red/m)
  expect([plain.titles.includes('owned'), raw.titles.includes('owned')]).toEqual([false, true])
  screen.type('exit\r')
  expect([await screen.ended, await plain.ended, await raw.ended]).toEqual([0, 0, 0])

  const play = ['sessions', 'play', session, '--identity', `${broker.dir}/recording-key.txt`]
  const text = (await carol.run(play)).stdout
  expect(text).toMatch(/owned.*red hidden$/m)
  expect(text).not.toContain('\x1b')
  expect((await carol.run([...play, '--raw'])).stdout).toContain('\x1b]0;owned\x07\x1b[31mred')
  expect(await broker.as('alice').run(play)).toMatchObject({status: 241, stdout: ''})
})

test('when the broker is lost the terminal is given back, and Ctrl-C need not wait for it', async ({onTestFinished}) => {
  const {screen} = await openShell(onTestFinished)
  screen.type("printf '\\033[?1049h\\033[?25l\\033[?2004h'; echo full-$((1+1))\r")
  await screen.until(/full-2/)
  await broker.stop('SIGKILL')
  await screen.until(/connection lost; taking up ses_/)
  screen.type('\x03')
  expect(await screen.ended).toBe(248)
  const left = screen.raw()
  for (const off of ['\x1b[?1047l', '\x1b[?25h', '\x1b[?2004l', '\x1b[0m', '\x1b[23;0t'])
    expect(left.lastIndexOf(off)).toBeGreaterThan(left.indexOf('full-2'))
  expect(screen.text()).toMatch(/was lost while ses_\w+ was open; the broker ends it/)
})
