import {existsSync, readFileSync, statSync} from 'node:fs'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {codes} from '../src/errors.ts'
import {makeHome, run, runAtTerminal, runInShell} from './try/start.ts'

test('the result goes to stdout alone, what prod says to stderr after its name', async ({onTestFinished}) => {
  const {status, stdout, stderr} = await run(['say', 'hello'], {home: makeHome(onTestFinished)})
  expect({status, stdout, stderr}).toEqual({status: 0, stdout: 'result: hello\n', stderr: 'prod: hello\n'})
})

test('with --json exactly one document comes out, also where there is nothing to tell', async ({onTestFinished}) => {
  const home = makeHome(onTestFinished)
  expect(await run(['say', 'hello', '--json'], {home})).toEqual({status: 0, stdout: '{\n  "text": "hello"\n}\n', stderr: 'prod: hello\n'})
  expect((await run(['nothing', '--json'], {home})).stdout).toBe('{}\n')
})

test('a failure has its status, a line on stderr, the command to type next, and with --json its document', async ({onTestFinished}) => {
  const home = makeHome(onTestFinished)
  const failed = await run(['fail', 'DENIED'], {home})
  expect(failed).toEqual({status: codes.DENIED.exit, stdout: '', stderr: 'prod: no DENIED\nprod: try: prod whoami\n'})
  const document = await run(['fail', 'BROKER_UNREACHABLE', '--json'], {home})
  expect(document.status).toBe(codes.BROKER_UNREACHABLE.exit)
  expect(JSON.parse(document.stdout)).toEqual({error: {code: 'BROKER_UNREACHABLE', message: 'no BROKER_UNREACHABLE', hint: 'prod whoami'}})
})

test('what cannot be parsed is usage, with the help to look at', async ({onTestFinished}) => {
  const home = makeHome(onTestFinished)
  for (const [args, message, hint] of [
    [[], 'missing: WHAT', 'prod try --help'],
    [['say', '--nonsense'], 'there is no flag --nonsense', 'prod try --help'],
    [['say', 'a', 'b', 'c'], 'unexpected arguments: b, c', 'prod try --help'],
    [['say', '--size'], 'flag --size expects a value', 'prod try --help'],
  ] as const) {
    const {status, stdout} = await run([...args, '--json'], {home})
    expect(JSON.parse(stdout)).toEqual({error: {code: 'USAGE', message, hint}})
    expect(status).toBe(241)
  }
})

test('a word that is missing is not read from what is piped in', async ({onTestFinished}) => {
  const {stdout} = await runInShell('echo say | prod --json; echo "$?"', makeHome(onTestFinished))
  expect(stdout).toMatch(/"missing: WHAT"[\s\S]*\n241\n$/)
})

test('a failure that a flag meets keeps its own code and words', async ({onTestFinished}) => {
  const {status, stdout} = await run(['say', '--size', 'big', '--json'], {home: makeHome(onTestFinished)})
  expect({status, ...JSON.parse(stdout)}).toEqual({
    status: 241,
    error: {code: 'DURATION_INVALID', message: 'big is no size', hint: 'prod try --size 3'},
  })
})

test('TM-U2: a bug ends with 240 and a note of where, without its text, arguments or stack', async ({onTestFinished}) => {
  const home = makeHome(onTestFinished)
  const {status, stdout, stderr} = await run(['bug', 'hunter2-hunter2', '--json'], {home})
  expect(status).toBe(240)
  expect(JSON.parse(stdout)).toEqual({error: {code: 'INTERNAL', message: 'something went wrong inside prod'}})
  expect(stderr).toMatch(
    /^prod: something went wrong inside prod\nprod: this is a bug, please report it: TypeError at try\.ts:\d+:\d+, node 24\.[\d.]+, \w+-\w+\nprod: try: PROD_DEBUG=1/,
  )
  expect(stderr).not.toContain('hunter2')
  expect((await run(['bug', 'x'], {home, env: {PROD_DEBUG: '1'}})).stderr).toMatch(/prod: TypeError: cannot read x\nprod: {5}at .*try\.ts/)
})

test('TM-U2: a registered credential is written nowhere', async ({onTestFinished}) => {
  const home = makeHome(onTestFinished)
  const secret = 'canary-"4f1c9e\\77'
  for (const json of [[], ['--json']]) {
    const {stdout, stderr, status} = await run(['secret', secret, ...json], {home, env: {PROD_DEBUG: '1'}})
    expect(status).toBe(json.length > 0 ? 0 : 242)
    expect(stdout + stderr).not.toContain('4f1c9e')
    expect(stdout).toContain('[secret]')
  }
})

test('a status that is no failure passes through', async ({onTestFinished}) => {
  const {status, stdout} = await run(['status', '7', '--json'], {home: makeHome(onTestFinished)})
  expect([status, JSON.parse(stdout)]).toEqual([7, {status: 7}])
})

test('Ctrl-C ends with 130 and says nothing, or does what the command says', async ({onTestFinished}) => {
  const home = makeHome(onTestFinished)
  const interrupt = (text: string, kill: (signal: NodeJS.Signals) => void): void => {
    if (text.includes('waiting')) kill('SIGINT')
  }
  expect(await run(['wait'], {home, onStderr: interrupt})).toEqual({status: 130, stdout: '', stderr: 'prod: waiting\n'})
  expect(await run(['cancel'], {home, onStderr: interrupt})).toEqual({
    status: 130,
    stdout: '',
    stderr: 'prod: waiting\nprod: cancelled after 1\n',
  })
  expect(JSON.parse((await run(['wait', '--json'], {home, onStderr: interrupt})).stdout).error.code).toBe('INTERRUPTED')
})

test('a reader that stops early ends it quietly', async ({onTestFinished}) => {
  const home = makeHome(onTestFinished)
  const head = await runInShell('set -o pipefail; prod lines --size 20000 | head -n 1; echo "$?"', home)
  expect(head.stdout).toBe(`line 0 ${'x'.repeat(200)}\n0\n`)
  expect(head.stderr).toBe('')
  const passed = await runInShell('set -o pipefail; prod pass 7878787878 --size 100000 | head -c 3; echo " $?"', home)
  expect(passed).toMatchObject({stdout: 'xxx 0\n', stderr: ''})
})

test.skipIf(!existsSync('/dev/full'))('a result that cannot be written is no success', async ({onTestFinished}) => {
  const {stdout, stderr} = await runInShell('prod lines --size 3 > /dev/full; echo "$?"', makeHome(onTestFinished))
  expect(stdout).toBe('240\n')
  expect(stderr).toBe('prod: the result could not be written: ENOSPC\n')
})

test('each run leaves a usage event without its arguments, unless telemetry is off', async ({onTestFinished}) => {
  const home = makeHome(onTestFinished)
  await run(['say', 'hunter2'], {home})
  await run(['fail', 'DENIED'], {home})
  const spool = join(home, '.local/state/prod/usage.jsonl')
  const events = readFileSync(spool, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  expect(events).toEqual([
    {
      command: 'try',
      durationMs: expect.any(Number),
      exit: 0,
      at: expect.any(Number),
      version: '1.2.3',
      platform: process.platform,
    },
    {
      command: 'try',
      durationMs: expect.any(Number),
      exit: 243,
      at: expect.any(Number),
      version: '1.2.3',
      platform: process.platform,
    },
  ])
  expect(readFileSync(spool, 'utf8')).not.toContain('hunter2')
  expect(statSync(spool).mode & 0o777).toBe(0o600)
})

test('TM-R1: foreign text in a result, a message and a document acts nowhere', async ({onTestFinished}) => {
  const home = makeHome(onTestFinished)
  const nasty = 'ok\u001b[2K\r\u202e\nprod: approved'
  const {stdout, stderr} = await run(['say', nasty], {home})
  expect(stdout).toBe('result: ok\\x1b[2K\\r\\u202e\nprod: approved\n')
  expect(stderr).toBe('prod: ok\\x1b[2K\\r\\u202e\nprod:   prod: approved\n')
  const json = await run(['say', nasty, '--json'], {home})
  expect(json.stdout).not.toMatch(/[^\x20-\x7e\n]/)
  expect(JSON.parse(json.stdout)).toEqual({text: nasty})
})

test('TM-R1: at a terminal only what prod paints is coloured, and the table keeps to the width', async ({onTestFinished}) => {
  const home = makeHome(onTestFinished)
  const terminal = runAtTerminal(['table'], {home, atEnd: onTestFinished})
  expect(await terminal.ended).toBe(0)
  expect(terminal.screen().filter(line => line !== '')).toEqual([
    'NAME               REASON               LAST',
    String.raw`\u0430lice\tadmin  look – \x1b[2Kat it  ${'x'.repeat(39)}…`,
    'bob                -                    y',
  ])
  const piped = await run(['table'], {home})
  expect(piped.stdout).toContain(`${'x'.repeat(90)}\n`)
})

test.each([
  [{}, 'mark plain b\n'],
  [{FORCE_COLOR: '1'}, '\u001b[31mmark\u001b[39m plain \u001b[1mb\u001b[22m\n'],
  [{FORCE_COLOR: '1', NO_COLOR: '1'}, 'mark plain b\n'],
])('colour is written to a terminal or by wish: %o', async (env, written) => {
  const ends: (() => void)[] = []
  try {
    expect((await run(['paint', 'mark'], {home: makeHome(end => ends.push(end)), env})).stdout).toBe(written)
  } finally {
    for (const end of ends) end()
  }
})
