import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {existsSync, globSync, readdirSync, readFileSync} from 'node:fs'
import {createInterface} from 'node:readline'
import {fileURLToPath} from 'node:url'
import {expect, test} from 'vitest'
import {open as openOnHost, start} from '../src/open.ts'
import {listProcesses} from '../src/processes.ts'
import {access, newMark, open, processesWith, run, script, startHere, until, waysHere} from './machine.ts'

const ways = await waysHere()

/** Waits until somebody inside sleeps for the mark: an argument equal to it, of another than the searching one. */
const untilSleeps = (mark: string) => `while ! grep -qsaz '^[${mark[0]}]${mark.slice(1)}$' /proc/[0-9]*/cmdline; do :; done; `

const escapes = (mark: string): Record<string, string> => ({
  'new session': `setsid sleep ${mark} &`,
  'double fork': `(sh -c 'sleep ${mark} & exec 0<&- 1>&- 2>&-' &)`,
  daemon: `(setsid sh -c 'trap "" TERM HUP INT; (cd /; exec 0</dev/null >/dev/null 2>&1; sleep ${mark}; sleep ${mark}) &' &)`,
  stopped: `sleep ${mark} & p=$!; ${untilSleeps(mark)}kill -s STOP $p`,
  'ignores all': `sh -c 'trap "" TERM HUP INT QUIT USR1; while :; do sleep ${mark}; done' &`,
})

test.for(ways.flatMap(way => Object.keys(escapes('')).map(name => [way, name] as const)))(
  'TM-H12: %s: a program that ends leaves nobody behind: %s',
  async ([isolation, name], {onTestFinished}) => {
    const runner = await startHere(onTestFinished, {isolation})
    const mark = newMark()
    const done = await run(runner, script(`${escapes(mark)[name]}\n${untilSleeps(mark)}exit 4`))
    expect(done.exit).toEqual({status: 4})
    expect(processesWith(mark)).toEqual([])
  },
)

test.for(ways)(
  'TM-H12: ending takes no longer than 5 s, whatever is inside, and says how it went (%s)',
  async (isolation, {onTestFinished}) => {
    const runner = await startHere(onTestFinished, {isolation})
    const mark = newMark()
    const channel = await open(
      runner,
      script(`trap "" TERM HUP INT; ${Object.values(escapes(mark)).join('\n')}\necho ready; while :; do sleep ${mark}; done`),
    )
    await once(channel.stdout, 'readable')
    channel.stdout.resume()
    channel.stderr.resume()
    const began = performance.now()
    const exit = await channel.end('a test')
    expect(performance.now() - began).toBeLessThan(5000)
    expect(exit).toEqual({signal: 'SIGKILL'})
    expect(processesWith(mark)).toEqual([])
  },
)

test.for(ways)('TM-H12: a program asked to end may tidy up first (%s)', async (isolation, {onTestFinished}) => {
  const runner = await startHere(onTestFinished, {isolation})
  const channel = await open(runner, script('trap "echo tidy; exit 12" TERM; echo ready; sleep 1000 & wait'))
  await once(channel.stdout, 'readable')
  const [chunks, exit] = await Promise.all([channel.stdout.toArray(), channel.end('a test')])
  expect(Buffer.concat(chunks).toString()).toBe('ready\ntidy\n')
  expect(exit).toEqual({status: 12})
})

test.for(ways)(
  'TM-H12: with a namespace or a control group, not even a process that hides outlives its run (%s)',
  async (isolation, {onTestFinished}) => {
    const runner = await startHere(onTestFinished, {isolation})
    const mark = newMark()
    const hidden = `env -i setsid sh -c '(setsid sleep ${mark} < /dev/null > /dev/null 2>&1 &)' &`
    await run(runner, script(`${hidden} ${untilSleeps(mark)}`))
    if (isolation !== 'processes' || runner.platform.groups.ends) expect(processesWith(mark)).toEqual([])
  },
)

test.for(ways)(
  'TM-H12: when the runner is killed, so is all it ran, and the outcome is called unknown (%s)',
  async (isolation, {onTestFinished}) => {
    const stop = await start({development: true, hide: [], isolation})
    onTestFinished(stop)
    const mark = newMark()
    const channel = await openOnHost(
      {name: 'local'},
      script(`setsid sleep ${mark} & echo ready; sleep ${mark}`),
      access,
      new AbortController().signal,
    )
    await once(channel.stdout, 'readable')
    const runner = [...listProcesses().values()].find(
      ({pid, parent}) => parent === process.pid && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('/host/src/runner.ts'),
    )
    process.kill(runner?.pid ?? 0, 'SIGKILL')
    expect(await channel.ended).toEqual({unknown: 'the runner died'})
    expect(await channel.end('late')).toEqual({unknown: 'the runner died'})
    // a new runner for what comes now; it ends what the old one could not
    const next = await openOnHost({name: 'local'}, script('exit 3'), access, new AbortController().signal)
    expect(await next.ended).toEqual({status: 3})
    await until(() => processesWith(mark).length === 0)
  },
)

test.for(ways)(
  'TM-H12: when the broker is killed, the runner ends everything and itself within 5 s (%s)',
  async (isolation, {onTestFinished}) => {
    const mark = newMark()
    const broker = spawn(
      process.execPath,
      ['--conditions=source', fileURLToPath(new URL('small-broker.ts', import.meta.url)), isolation, mark],
      {stdio: ['ignore', 'pipe', 'inherit']},
    )
    onTestFinished(() => void broker.kill('SIGKILL'))
    const {runner, folder} = JSON.parse((await once(createInterface({input: broker.stdout}), 'line'))[0]) as {
      runner: number
      folder: string
    }
    expect(processesWith(mark).length).toBeGreaterThan(1)
    broker.kill('SIGKILL')
    await until(() => processesWith(mark).length === 0 && !existsSync(`/proc/${runner}`))
    expect(existsSync(folder)).toBe(false)
  },
)

test('a use that was ended before it began does not begin', async ({onTestFinished}) => {
  const runner = await startHere(onTestFinished)
  const gone = new AbortController()
  const mark = newMark()
  const opening = runner.open(script(`sleep ${mark}`), gone.signal)
  gone.abort(new Error('gone'))
  await expect(opening).rejects.toThrow('gone')
  await until(() => processesWith(mark).length === 0)
})

test('what cannot be started leaves the runner able to start the next', async ({onTestFinished}) => {
  const runner = await startHere(onTestFinished)
  await expect(run(runner, script('true', {program: {path: '/nowhere'}}))).rejects.toMatchObject({code: 'TOOL_UNAVAILABLE'})
  const many = await Promise.all(Array.from({length: 20}, (_, index) => run(runner, script(`echo ${index}; exit ${index}`))))
  expect(many.map(({exit, stdout}) => ({exit, stdout}))).toEqual(many.map((_, index) => ({exit: {status: index}, stdout: `${index}\n`})))
})

test('a control group of a run is gone with it, and that of a runner with the runner', async ({onTestFinished}) => {
  const runner = await startHere(onTestFinished, {isolation: 'processes'})
  if (!runner.platform.groups.ends) return
  const groups = () => globSync(`/sys/fs/cgroup/**/prod-${runner.pid}-*`)
  const [base = ''] = groups()
  const inside = () => readdirSync(base, {withFileTypes: true}).filter(entry => entry.isDirectory())
  const channel = await open(runner, script('exec cat', {stdin: true}))
  expect(inside()).toHaveLength(1)
  channel.stdin.end()
  await channel.ended
  await until(() => inside().length === 0)
  await runner.stop()
  expect(groups()).toEqual([])
})
