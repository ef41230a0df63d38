import {chmodSync, existsSync, readdirSync, readFileSync, realpathSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:net'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {expect, test} from 'vitest'
import {open as openOnHost, start} from '../src/open.ts'
import {access, limits, newFolder, newMark, open, processesWith, run, script, sh, startHere, waysHere} from './machine.ts'

const ways = await waysHere()
const asRoot = process.getuid?.() === 0

test.for(ways)(
  'TM-H9: a program starts in an empty folder of its own, writes for itself alone, and leaves nothing (%s)',
  async (isolation, {onTestFinished}) => {
    const runner = await startHere(onTestFinished, {isolation})
    const look = 'pwd; ls -A . "$HOME"; umask; echo x > made; mkdir "$HOME/deep"; stat -c %a made . "$HOME" "$HOME/deep"; echo "$HOME"'
    const [first, second] = [await run(runner, script(look)), await run(runner, script(look))]
    const [cwd = '', ...rest] = first.stdout.trimEnd().split('\n')
    const home = rest.at(-1) ?? ''
    expect(rest.slice(0, -1)).toEqual(['.:', '', `${home}:`, '0077', '600', '700', '700', '700'])
    // whatever the first one made, the second one finds nothing
    expect(second.stdout.trimEnd().split('\n').slice(1, 3)).toEqual(['.:', ''])
    expect(second.stderr).toBe('')
    expect([existsSync(cwd), existsSync(home)]).toEqual([false, false])
  },
)

test.for(ways)(
  'TM-H9: no descriptor above 2 reaches a program, and no more rights can be had (%s)',
  async (isolation, {onTestFinished}) => {
    const server = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    const runner = await startHere(onTestFinished, {isolation})
    // `ls` itself opens the folder as 3
    expect((await run(runner, {...script(''), program: {path: realpathSync('/usr/bin/ls')}, argv: ['ls', '/proc/self/fd']})).stdout).toBe(
      '0\n1\n2\n3\n',
    )
    const status = (await run(runner, script('exec cat /proc/self/status'))).stdout
    expect(status).toMatch(/^NoNewPrivs:\s+1$/m)
    const shell = await open(runner, {kind: 'shell', size: {columns: 200, rows: 24}, env: {}, limits})
    shell.stdin.write('ls /proc/self/fd | tr "\\n" ,; grep NoNewPrivs /proc/self/status; exit\n')
    const screen = await text(shell.stdout)
    expect(screen).toContain('0,1,2,3,')
    expect(screen).not.toContain('0,1,2,3,4')
    expect(screen).toMatch(/NoNewPrivs:\s+1/)
  },
)

test.for(ways)(
  'TM-H17: a program has no terminal and cannot get the one of whoever started the broker (%s)',
  async (isolation, {onTestFinished}) => {
    const runner = await startHere(onTestFinished, {isolation})
    const {stdout, stderr} = await run(
      runner,
      script('if (exec < /dev/tty); then echo has; else echo none; fi; tty; cut -d" " -f7 /proc/self/stat'),
    )
    expect(stdout.split('\n')).toEqual(['none', 'not a tty', '0', ''])
    expect(stderr).toMatch(/No such device or address/)
  },
)

test.for(ways.filter(way => way !== 'processes'))(
  'TM-H9: programs and shells do not see the folders of the broker, nor its processes (%s)',
  async (isolation, {onTestFinished}) => {
    const folder = newFolder(onTestFinished)
    writeFileSync(join(folder, 'key'), 'canary')
    // a file by itself, and one that comes after the runner has made ready
    const [file = '', late = ''] = ['file', 'late'].map(name => join(newFolder(onTestFinished), name))
    writeFileSync(file, 'canary')
    const runner = await startHere(onTestFinished, {isolation, hide: [folder, file, late, '/nowhere/at-all']})
    expect(runner.platform.hides).toBe(true)
    writeFileSync(late, 'canary')
    const attempt = `cat ${folder}/key ${file} ${late}; umount ${folder} ${file}; cat ${folder}/key ${file}; cat /proc/*/root${folder}/key /proc/*/cwd/key; cat /proc/${process.pid}/environ /proc/${runner.pid}/environ; kill -9 ${process.pid} ${runner.pid}; ls -d /proc/[0-9]* | wc -l`
    const {stdout} = await run(runner, script(attempt))
    expect(stdout).not.toContain('canary')
    expect(Number(stdout.trim())).toBeLessThan(8)
    const shell = await open(runner, {kind: 'shell', size: {columns: 200, rows: 24}, env: {}, limits})
    shell.stdin.write(`cat ${folder}/key ${file} ${late}; exit\n`)
    expect(await text(shell.stdout)).not.toContain('canary')
    for (const path of [join(folder, 'key'), file, late]) expect(readFileSync(path, 'utf8')).toBe('canary')
  },
)

test('TM-H9: where nothing can be hidden, the platform says so', async ({onTestFinished}) => {
  const runner = await startHere(onTestFinished, {isolation: 'processes', hide: [newFolder(onTestFinished)]})
  expect(runner.platform).toMatchObject({isolation: 'processes', hides: false})
})

test.skipIf(!asRoot)(
  'TM-H9: a program runs under the account that is named, without its groups or rights of ours (needs root)',
  async ({onTestFinished}) => {
    const folder = newFolder(onTestFinished)
    writeFileSync(join(folder, 'key'), 'canary', {mode: 0o600})
    chmodSync(folder, 0o755)
    for (const isolation of ways) {
      const runner = await startHere(onTestFinished, {development: false, isolation})
      const use = script(
        `id -u; id -g; grep -E "^Cap(Prm|Bnd|Inh)" /proc/self/status; echo x > made && stat -c %u made; cat ${folder}/key`,
        {runAs: 'nobody'},
      )
      const {stdout, stderr} = await run(runner, use)
      const none = '0000000000000000'
      expect(stdout.trimEnd().split(/\n/)).toEqual(['65534', '65534', `CapInh:\t${none}`, `CapPrm:\t${none}`, `CapBnd:\t${none}`, '65534'])
      expect(stderr).toContain('Permission denied')
      const shell = await open(runner, {kind: 'shell', size: {columns: 80, rows: 24}, env: {}, limits, runAs: 'nobody'})
      shell.stdin.write('id -u; stat -c "owner %u" $(tty); exit\n')
      const screen = await text(shell.stdout)
      expect(screen).toMatch(/^65534\r$/m)
      expect(screen).toContain('owner 65534')
    }
  },
)

test('TM-H9: outside development nothing runs under the power of the broker', async ({onTestFinished}) => {
  const runner = await startHere(onTestFinished, {development: false})
  const own = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find(line => line.split(':')[2] === String(process.getuid?.()))
    ?.split(':')[0]
  for (const runAs of [undefined, own, 'no-such-account', '-x', 'a\nb']) {
    await expect(run(runner, script('true', runAs === undefined ? {} : {runAs}))).rejects.toMatchObject({code: 'TOOL_UNAVAILABLE'})
  }
})

const hogs: [string, string, Partial<typeof limits>][] = [
  ['wall', 'sleep 100', {wallSeconds: 0.3}],
  ['wall', 'trap "" TERM; while :; do sleep 100; done', {wallSeconds: 0.3}],
  ['cpu', 'while :; do :; done', {cpuSeconds: 1}],
  ['cpu', 'for i in 1 2 3 4 5 6; do (while :; do :; done) & done; wait', {cpuSeconds: 1}],
  ['memory', 'head -c 300000000 /dev/zero | tail | wc -c', {memoryBytes: 64 * 1024 ** 2}],
  // a fork bomb that stops by itself at some 500, so that a failing test does not take the machine with it
  ['processes', 'f() { if [ "$1" = xxxxxxxx ]; then sleep 100; else f "x$1" | f "x$1" & wait; fi; }; f ""', {processes: 50}],
  ['processes', 'i=0; while [ $i -lt 100 ]; do setsid sleep 100 & i=$((i+1)); done; sleep 100', {processes: 50}],
  ['file', 'exec head -c 9000000 /dev/zero > big', {fileBytes: 1024 ** 2}],
  ['file', 'exec truncate -s 1T sparse', {fileBytes: 1024 ** 2}],
]

test.for(ways.flatMap(way => hogs.map(hog => [way, ...hog] as const)))(
  'TM-H11: %s: the limit %s ends the whole tree of %j',
  {timeout: 240_000},
  async ([isolation, limit, text, given], {onTestFinished}) => {
    const runner = await startHere(onTestFinished, {isolation})
    const mark = newMark()
    const done = await run(runner, script(`: ${mark}; ${text.replaceAll('sleep 100', `sleep ${mark}`)}`, {limits: {...limits, ...given}}))
    expect(done.limit).toBe(limit)
    expect(done.exit).not.toEqual({status: 0})
    expect(processesWith(mark)).toEqual([])
  },
)

test('TM-H11: what stays below its limits is told of none', async ({onTestFinished}) => {
  const runner = await startHere(onTestFinished)
  expect(
    await run(
      runner,
      script('head -c 1000000 /dev/zero > f; sleep 0.3; (:) | (:); exit 9', {
        limits: {...limits, processes: 10, memoryBytes: 32 * 1024 ** 2, fileBytes: 1024 ** 2},
      }),
    ),
  ).toMatchObject({
    exit: {status: 9},
    limit: undefined,
  })
})

test('TM-U2: neither broker, runner nor programs leave their memory on the disk', async ({onTestFinished}) => {
  const runner = await startHere(onTestFinished)
  expect(runner.platform.coreDumpsOff).toBe(true)
  for (const pid of [process.pid, runner.pid]) expect(readFileSync(`/proc/${pid}/limits`, 'latin1')).toMatch(/^Max core file size\s+0\s+0/m)
  const folder = newFolder(onTestFinished)
  expect(await run(runner, script(`ulimit -Hc; cd ${folder}; kill -s SEGV $$`))).toMatchObject({stdout: '0\n', exit: {signal: 'SIGSEGV'}})
  expect(readdirSync(folder)).toEqual([])
})

test('TM-U2: a credential given to a use is in no argument, environment or file', async ({onTestFinished}) => {
  const canary = 'canary-5f1d7c'
  const stop = await start({development: true, hide: []})
  onTestFinished(stop)
  const channel = await openOnHost(
    {name: 'local'},
    {...script('env; echo "$0 $@"; grep -rs canary-[5]f1d7c . "$HOME" ..; echo done; exec cat', {stdin: true}), program: {path: sh}},
    {...access, credential: {token: canary}},
    new AbortController().signal,
  )
  channel.stdin.end()
  expect(processesWith(canary)).toEqual([])
  expect(await text(channel.stdout)).not.toContain(canary)
})

test('TM-H9: TM-A5: a tool sees no socket of ours, and not even root opens by handle what is hidden', async ({onTestFinished}) => {
  const runner = await startHere(onTestFinished)
  if (!runner.platform.hides) return
  const {stdout} = await run(
    runner,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's
    script('ls /proc/self/fd >/dev/null; for one in "${HOME%/run-*}"/link-*; do ls -A "$one" 2>&1; done; grep CapBnd /proc/self/status'),
  )
  expect(stdout).not.toMatch(/^broker$/m)
  const capabilities = BigInt(`0x${/CapBnd:\s+([0-9a-f]+)/.exec(stdout)?.[1]}`)
  if (process.getuid?.() === 0)
    for (const [name, bit] of [
      ['dac_read_search', 2n],
      ['sys_admin', 21n],
      ['sys_ptrace', 19n],
    ] as const)
      expect((capabilities >> bit) & 1n, name).toBe(0n)
})
