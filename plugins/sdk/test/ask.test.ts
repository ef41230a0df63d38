import fc from 'fast-check'
import {expect, test} from 'vitest'
import {filter} from '../src/cli/ask.ts'
import {makeHome, run, runAtTerminal} from './try/start.ts'

const down = '\u001b[B'

test('without a terminal, or under --json, every question is an error that names the flag', async ({onTestFinished}) => {
  const home = makeHome(onTestFinished)
  for (const [what, hint] of [
    ['reason', '--reason "what for, in a sentence"'],
    ['text', '--text TEXT'],
    ['confirm', '--yes'],
    ['pick', 'prod try pick NAME'],
    ['typed', 'type the same command at a terminal'],
  ] as const) {
    const {status, stdout} = await run([what, 'local', '--json'], {home})
    expect(JSON.parse(stdout).error).toMatchObject({code: 'NO_TERMINAL', hint})
    expect(status).toBe(241)
  }
  expect((await run(['reason'], {home})).stderr).toBe(
    'prod: reason is missing, and there is no terminal to ask at\nprod: try: --reason "what for, in a sentence"\n',
  )
  const terminal = runAtTerminal(['reason', '--json'], {home, atEnd: onTestFinished})
  expect(await terminal.ended).toBe(241)
  expect(terminal.screen().join('\n')).toContain('--json asks nobody')
})

test('TM-I1: a reason is asked for until it says something', async ({onTestFinished}) => {
  const terminal = runAtTerminal(['reason'], {home: makeHome(onTestFinished), atEnd: onTestFinished})
  await terminal.sees(/reason/)
  terminal.type('too short\r')
  await terminal.sees(/8 visible characters, 10 are needed/)
  terminal.type(', so a longer one\r')
  expect(await terminal.ended).toBe(0)
  expect(
    terminal
      .screen()
      .filter(line => line !== '')
      .at(-1),
  ).toBe('reason: too short, so a longer one')
})

test('TM-R2: a picker narrows as one types, and shows names that mislead for what they are', async ({onTestFinished}) => {
  const terminal = runAtTerminal(['pick'], {home: makeHome(onTestFinished), atEnd: onTestFinished})
  await terminal.sees(/\\u0430pi[\s\S]*ledger {2}the ledger|ledger {2}the ledger[\s\S]*\\u0430pi/)
  terminal.type('paywork')
  await terminal.sees(/payments-worker(?![\s\S]*ledger)/)
  terminal.type('\r')
  expect(await terminal.ended).toBe(0)
  expect(
    terminal
      .screen()
      .filter(line => line !== '')
      .at(-1),
  ).toBe('picked: payments-worker')
})

test('a picker can be walked with the arrows', async ({onTestFinished}) => {
  const terminal = runAtTerminal(['pick'], {home: makeHome(onTestFinished), atEnd: onTestFinished})
  await terminal.sees(/ledger/)
  terminal.type(`${down}${down}\r`)
  expect(await terminal.ended).toBe(0)
  expect(terminal.screen().join('\n')).toContain('picked: ledger')
})

test('the typed confirmation takes exactly the text, pasted too', async ({onTestFinished}) => {
  const home = makeHome(onTestFinished)
  const right = runAtTerminal(['typed', 'local'], {home, atEnd: onTestFinished})
  await right.sees(/type local to go on/)
  right.type('local\r')
  expect(await right.ended).toBe(0)
  expect(right.screen().join('\n')).toContain('typed: local')

  const wrong = runAtTerminal(['typed', 'local'], {home, atEnd: onTestFinished})
  await wrong.sees(/type local to go on/)
  wrong.type('Local\r')
  expect(await wrong.ended).toBe(241)
  expect(wrong.screen().join('\n')).toContain('prod: that was not local; nothing was done')
})

test('Ctrl-C at a question ends with 130', async ({onTestFinished}) => {
  const home = makeHome(onTestFinished)
  for (const what of ['pick', 'confirm', 'typed']) {
    const terminal = runAtTerminal([what, 'restart ledger'], {home, atEnd: onTestFinished})
    await terminal.sees(/\? |target|restart/)
    terminal.type('\u0003')
    expect(await terminal.ended).toBe(130)
  }
})

test('a terminal without cursor movements is asked in plain lines', async ({onTestFinished}) => {
  const home = makeHome(onTestFinished)
  const env = {TERM: 'dumb'}
  const yes = runAtTerminal(['confirm', 'restart ledger?'], {home, env, atEnd: onTestFinished})
  await yes.sees(/restart ledger\? \[y\/N\]/)
  yes.type('y\r')
  expect(await yes.ended).toBe(0)
  expect(yes.screen().join('\n')).toContain('yes: true')
  const list = runAtTerminal(['pick'], {home, env, atEnd: onTestFinished})
  expect(await list.ended).toBe(241)
  expect(list.screen().join('\n')).toContain('prod: try: prod try pick NAME')
})

test('a spinner stands below what is said, keeps foreign text inert, and leaves nothing behind', async ({onTestFinished}) => {
  const terminal = runAtTerminal(['spin'], {home: makeHome(onTestFinished), atEnd: onTestFinished})
  await terminal.sees(/prod: waits for bob/)
  terminal.signal('SIGUSR2')
  await terminal.sees(/prod: a line above\n[^\n]*prod: waits for \\x1b\[2Kcarol/)
  terminal.signal('SIGUSR2')
  expect(await terminal.ended).toBe(0)
  expect(terminal.screen().join('\n')).not.toContain('waits')
  expect(terminal.screen().filter(line => line.trim() !== '')).toEqual(['prod: a line above', 'done'])
})

test('filtering keeps what has the letters in order, the closest first', () => {
  const names = ['payments-api', 'payments-worker', 'ledger', 'api-gateway']
  expect(filter(names, 'api', name => name)).toEqual(['api-gateway', 'payments-api'])
  expect(filter(names, 'PAY w', name => name)).toEqual(['payments-worker', 'api-gateway'])
  expect(filter(names, 'xyz', name => name)).toEqual([])
  expect(filter(names, '  ', name => name)).toEqual(names)
  fc.assert(
    fc.property(fc.array(fc.string()), fc.string(), (items, term) => filter(items, term, item => item).every(item => items.includes(item))),
  )
})
