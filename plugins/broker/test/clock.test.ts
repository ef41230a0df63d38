import {spawnSync} from 'node:child_process'
import {writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {api} from '@prod/sdk/api'
import {expect, test} from 'vitest'
import {type MachineClocks, steadyClock} from '../src/clock.ts'
import {codeOf, running, startCore, until} from './core.ts'
import {ask, attach} from './sessions-shell.ts'

function machine(): MachineClocks & {pass(ms: number): void; sleep(ms: number): void; set(ms: number): void} {
  let [wall, running, sinceBoot] = [Date.parse('2026-03-29T00:59:50Z'), 500, 90_000]
  return {
    wall: () => wall,
    running: () => running,
    sinceBoot: () => sinceBoot,
    pass(ms) {
      wall += ms
      running += ms
      sinceBoot += ms
    },
    sleep(ms) {
      wall += ms
      sinceBoot += ms
    },
    set(ms) {
      wall += ms
    },
  }
}

test('TM-N6: a clock that is set, forth or back, moves no time of the broker, which takes itself out until the clock is right again', () => {
  for (const step of [600_000, -600_000, 3_600_000]) {
    const clocks = machine()
    const steady = steadyClock(clocks)
    clocks.pass(20_000)
    expect(steady.secondsOff()).toBe(0)
    clocks.set(step)
    clocks.pass(1000)
    expect(steady.now().toISOString()).toBe('2026-03-29T01:00:11.000Z')
    expect(steady.secondsOff()).toBe(step / 1000)
    clocks.set(-step)
    expect(steady.secondsOff()).toBe(0)
  }
})

test('TM-N6: small corrections are borne', () => {
  const clocks = machine()
  const steady = steadyClock(clocks)
  clocks.set(-4000)
  expect(steady.secondsOff()).toBe(0)
})

test('TM-N6: while a machine sleeps its time passes', () => {
  const clocks = machine()
  const steady = steadyClock(clocks)
  clocks.pass(1000)
  clocks.sleep(7_200_000)
  expect(steady.secondsOff()).toBe(0)
  expect(steady.now().getTime()).toBe(clocks.wall())
  clocks.set(-600_000)
  expect(steady.secondsOff()).toBe(-600)
})

test('TM-N6: while the clock of its machine is off nothing new starts on a broker, and what runs goes on', async ({onTestFinished}) => {
  let set = 0
  const core = await startCore(onTestFinished, {
    machine: {wall: () => Date.now() + set, running: () => performance.now(), sinceBoot: () => performance.now()},
    settings: {places: ['203.0.113.0/24']},
  })
  const [alice, bob] = [await core.as('alice'), await core.as('bob')]
  const shell = (await ask(alice, {wait: false}).message('pending')).request
  await bob.approve(shell)
  const running = alice.exec(['now', 'wait', 'clock'])
  await running.message('started')
  set = -600_000
  expect(await codeOf(alice.exec(['date']).done)).toBe('DRAINING')
  // a shell that was approved before is a start as well
  expect(await attach(alice, shell).outcome).toBe('DRAINING')
  await until(() => core.alarms.some(({what}) => what.startsWith('the clock of this machine was set')))
  set = 0
  writeFileSync(join(core.dir, 'jobs/go-clock'), '')
  expect((await running.done).end?.exit).toEqual({status: 0})
  expect((await alice.exec(['date']).done).end?.exit).toEqual({status: 0})
  await until(async () => (await core.events('broker.clock-right')).length === 1)
})

test('TM-N6: TM-E5: an end that the store has no room for waits for room, also while the clock is off', async ({onTestFinished, skip}) => {
  const limit = (size: string) => spawnSync('prlimit', ['--pid', String(process.pid), `--fsize=${size}:unlimited`]).status
  if (limit('unlimited') !== 0) skip('no prlimit here')
  onTestFinished(() => void limit('unlimited'))
  let set = 0
  const core = await startCore(onTestFinished, {
    machine: {wall: () => Date.now() + set, running: () => performance.now(), sinceBoot: () => performance.now()},
  })
  const alice = await core.as('alice')
  const run = alice.exec(['now', 'wait', 'both'])
  await until(() => run.so.stdout.includes('waiting'))
  set = 600_000
  limit('1')
  spawnSync('touch', [join(core.dir, 'jobs/go-both')])
  await until(() => running(`${core.dir}/jobs/waiter-both`) === 0)
  // the end is tried meanwhile
  for (let round = 0; round < 50; round++) await alice.client.call(api.whoami).catch(() => {})
  limit('unlimited')
  expect((await run.done).end?.exit).toEqual({status: 0})
})
