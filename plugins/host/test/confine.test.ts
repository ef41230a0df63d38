import {mkdirSync, readFileSync, realpathSync, statSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:net'
import {join} from 'node:path'
import type {Needs} from '@prod/sdk'
import {expect, test} from 'vitest'
import {limits, newFolder, newMark, open, processesWith, run, script, startHere, until, waysHere} from './machine.ts'

const ways = (await waysHere()).filter(way => way !== 'processes')
const asRoot = process.getuid?.() === 0
const nothing: Needs = {network: false, processes: false, reads: [], writes: []}

test.for(ways)(
  'TM-H9: who needs nothing sees a read-only machine, closed places and private ones (%s)',
  async (isolation, {onTestFinished}) => {
    const runner = await startHere(onTestFinished, {isolation})
    if (!runner.platform.confines) return
    const outside = newFolder(onTestFinished)
    writeFileSync(join(outside, 'theirs'), 'canary')
    const attempt = `
    for place in / /etc /usr /var /opt /run /home /srv; do touch $place/planted 2>/dev/null && echo wrote $place; done
    ls -A /home /root /run /srv /mnt /media 2>/dev/null | grep -v '^/' | grep -v '^$'
    cat ${outside}/theirs; ls -A /tmp | grep -v prod-host
    echo x > /tmp/mine && echo x > ./mine && echo x > "$HOME/mine" && echo x > /dev/null && head -c 4 /dev/urandom | wc -c
    ls /dev | grep -E '^(sd|vd|nvme|mem|kmsg|loop)'; echo c > /proc/sysrq-trigger; echo 1 > /proc/sys/kernel/panic; exit 7`
    const {stdout, exit} = await run(runner, script(attempt, {needs: nothing}))
    expect(stdout).toBe('4\n')
    expect(exit).toEqual({status: 7})
    expect(readFileSync(join(outside, 'theirs'), 'utf8')).toBe('canary')
    // what the next one finds in the private places is not what this one left
    expect((await run(runner, script('cat /tmp/mine; ls -A /tmp | grep -v prod-host', {needs: nothing}))).stdout).toBe('')
  },
)

test.for(ways)('TM-H9: no network but for who names it, not even to this machine (%s)', async (isolation, {onTestFinished}) => {
  const runner = await startHere(onTestFinished, {isolation})
  if (!runner.platform.closesNetwork) return
  const server = createServer(socket => socket.end('reached')).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  onTestFinished(() => void server.close())
  const {port} = server.address() as {port: number}
  const call = {
    ...script(''),
    program: {path: realpathSync('/usr/bin/bash')},
    argv: ['bash', '-c', `exec 3<>/dev/tcp/127.0.0.1/${port} && cat <&3`],
  }
  expect((await run(runner, {...call, needs: nothing})).stdout).toBe('')
  expect((await run(runner, {...call, needs: {...nothing, network: true}})).stdout).toBe('reached')
})

test.for(ways)(
  'TM-H9: what a definition names is there: read-only, or to write to, never what is hidden (%s)',
  async (isolation, {onTestFinished}) => {
    const [data, out, hidden] = [newFolder(onTestFinished), newFolder(onTestFinished), newFolder(onTestFinished)]
    writeFileSync(join(data, 'read'), 'data')
    writeFileSync(join(hidden, 'key'), 'canary')
    const runner = await startHere(onTestFinished, {isolation, hide: [hidden]})
    if (!runner.platform.confines) return
    const needs = {...nothing, reads: [data, hidden, '/nowhere'], writes: [out]}
    const {stdout} = await run(
      runner,
      script(`cat ${data}/read; touch ${data}/x && echo wrote; echo done > ${out}/made && echo; cat ${hidden}/key; pwd`, {
        needs,
        cwd: data,
      }),
    )
    expect(stdout).toBe(`data\n${data}\n`)
    expect(readFileSync(join(out, 'made'), 'utf8')).toBe('done\n')
  },
)

test.for(ways)('TM-H12: a confined program tells its status, its signal, and leaves nobody (%s)', async (isolation, {onTestFinished}) => {
  const runner = await startHere(onTestFinished, {isolation})
  for (const needs of [nothing, {...nothing, processes: true}]) {
    const mark = newMark()
    expect((await run(runner, script(`(setsid sleep ${mark} &) ; setsid sleep ${mark} & exit 9`, {needs}))).exit).toEqual({status: 9})
    expect(processesWith(mark)).toEqual([])
    const {exit} = await run(runner, script('kill -s TERM $$', {needs}))
    expect([{signal: 'SIGTERM'}, {status: 143}]).toContainEqual(exit)
    const channel = await open(runner, script(`trap "" TERM; setsid sleep ${mark} & sleep ${mark}; sleep ${mark}`, {needs}))
    await until(() => processesWith(mark).length > 1)
    await channel.end('a test')
    expect(processesWith(mark)).toEqual([])
  }
})

test.for(ways)('who names the processes of the machine sees them, others their own alone (%s)', async (isolation, {onTestFinished}) => {
  const runner = await startHere(onTestFinished, {isolation})
  const look = `[ -d /proc/${process.pid} ] && echo sees`
  expect((await run(runner, script(look, {needs: nothing}))).stdout).toBe('')
  expect((await run(runner, script(look, {needs: {...nothing, processes: true}}))).stdout).toBe('sees\n')
})

test.for([...ways, 'processes'] as const)(
  'TM-H9: a folder to start in has no link on its way and nobody who could exchange it (%s)',
  async (isolation, {onTestFinished}) => {
    const runner = await startHere(onTestFinished, {isolation})
    const folder = newFolder(onTestFinished)
    mkdirSync(join(folder, 'real'))
    const {symlinkSync, chmodSync} = await import('node:fs')
    symlinkSync('real', join(folder, 'link'))
    expect((await run(runner, script('pwd', {cwd: join(folder, 'real')}))).stdout).toBe(`${folder}/real\n`)
    await expect(run(runner, script('pwd', {cwd: join(folder, 'link')}))).rejects.toMatchObject({code: 'TOOL_UNAVAILABLE'})
    await expect(run(runner, script('pwd', {cwd: join(folder, 'none')}))).rejects.toMatchObject({code: 'TOOL_UNAVAILABLE'})
    chmodSync(folder, 0o777)
    await expect(run(runner, script('pwd', {cwd: join(folder, 'real')}))).rejects.toMatchObject({code: 'TOOL_UNAVAILABLE'})
  },
)

test.for(ways)('TM-H11: private folders hold no more than a run may write (%s)', async (isolation, {onTestFinished}) => {
  const runner = await startHere(onTestFinished, {isolation})
  if (!runner.platform.confines) return
  const less = {...limits, fileBytes: 4 * 1024 ** 2, memoryBytes: 64 * 1024 ** 2}
  const {stdout} = await run(
    runner,
    script('i=0; while [ $i -lt 8 ]; do head -c 4000000 /dev/zero > /tmp/f$i || { echo full; break; }; i=$((i+1)); done', {
      needs: nothing,
      limits: less,
    }),
  )
  expect(stdout).toBe('full\n')
})

test('two runs of one user see nothing of each other', async ({onTestFinished}) => {
  const runner = await startHere(onTestFinished)
  if (runner.platform.isolation !== 'namespaces') return
  const mark = newMark()
  const first = await open(runner, script(`echo secret > "$HOME/${mark}"; echo ready; exec cat`, {stdin: true}))
  await new Promise(resolve => first.stdout.once('data', resolve))
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's
  const {stdout} = await run(runner, script('find "${HOME%/run-*}" 2>/dev/null; cat /proc/*/root$HOME/* 2>/dev/null'))
  expect(stdout).not.toContain(mark)
  expect(stdout).not.toContain('secret')
  first.stdin.end()
  await first.ended
})

test.skipIf(!asRoot)(
  'TM-H9: a confined program runs as its account and owns its private folders (needs root)',
  async ({onTestFinished}) => {
    const runner = await startHere(onTestFinished, {development: false})
    const {stdout} = await run(
      runner,
      script('id -u; stat -c "%u %a" . "$HOME"; echo x > made && cat made; grep CapEff /proc/self/status', {
        runAs: 'nobody',
        needs: nothing,
      }),
    )
    expect(stdout).toBe(`65534\n65534 700\n65534 700\nx\nCapEff:\t${'0'.repeat(16)}\n`)
    expect(statSync('/').uid).toBe(0)
  },
)
