import {chmodSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {Receipt} from '@prod/sdk'
import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest'
import {collect, type RealBroker, type RealPerson, startRealBroker} from './broker.ts'
import {openScreen} from './screen.ts'

const program = `#!/bin/bash
case $1 in
  say) shift; printf '%s\\n' "$@"; echo "err of $1" >&2 ;;
  partly) printf 'no newline' ;;
  odd) [ -e "$SPREAD_DIR/$2" ] && exit "$(cat "$SPREAD_DIR/$2")"; exit 0 ;;
  once) mkdir "$SPREAD_DIR/once" 2>/dev/null && exit 0; exit 5 ;;
  hold) echo holding; for n in $(seq 1 300); do sleep 0.1; done ;;
esac
`
const tool = (dir: string) => `kind: Tool
name: spread
summary: the same on many targets
program: ${dir}/bin/spread
run: { primitive: host, targets: [n1, n2, n3, n4] }
env: { SPREAD_DIR: ${dir}/demo }
retention: none
commands:
  - { path: [say], class: read, operands: [{ name: words, type: { type: string }, min: 1, max: 9 }] }
  - { path: [partly], class: read }
  - { path: [once], class: change, rollout: { maxTargets: 3, stopOnError: false } }
  - { path: [hold], class: read, rollout: { batch: 2 } }
`
const reason = ['--reason', 'to see many targets at once']
const finish: (() => Promise<void>)[] = []
let broker: RealBroker
let alice: RealPerson
let bob: RealPerson

beforeAll(async () => {
  broker = await startRealBroker(step => finish.push(step))
  ;[alice, bob] = [broker.as('alice'), broker.as('bob')]
  const {dir} = broker
  writeFileSync(join(dir, 'bin/spread'), program)
  chmodSync(join(dir, 'bin/spread'), 0o755)
  for (const at of [1, 2, 3, 4]) {
    const environment = at < 4 ? 'production' : 'staging'
    const text = `kind: Target\nname: n${at}\naddress: host:n${at}\nenvironment: ${environment}\nlabels: { rack: r${at % 2} }\n`
    writeFileSync(join(dir, `catalog/targets/n${at}.yaml`), text)
  }
  writeFileSync(join(dir, 'catalog/tools/spread.yaml'), tool(dir))
  writeFileSync(
    join(dir, 'policy/global/spread.cedar'),
    `permit (principal in Group::"engineers", action == Action::"run", resource in Tool::"spread") unless { resource is spread::once };
permit (principal in Group::"engineers", action == Action::"request", resource in Tool::"spread");
permit (principal in Group::"sre-leads", action == Action::"approve", resource in Tool::"spread");
`,
  )
  for (;;) {
    const {status, stdout} = await alice.run(['tools', 'spread', '--json'])
    if (status === 0 && JSON.parse(stdout).length > 0) break
  }
  await bob.login()
})
afterAll(async () => {
  for (const step of finish) await step()
})

test('each line is prefixed by its target, whole; progress is told line by line; 0 when all ended with 0', async () => {
  const {status, stdout, stderr} = await alice.run(['exec', ...reason, '--on', 'all', 'spread', 'say', 'one', 'two'])
  expect(stdout.trim().split('\n').sort()).toEqual(['n1', 'n2', 'n3', 'n4'].flatMap(name => [`${name}: one`, `${name}: two`]))
  expect(status).toBe(0)
  expect(stderr).toContain('prod: 4 targets, 10 at a time\n')
  expect(stderr).toMatch(/prod: n2: runs as run_\w+\n/)
  expect(stderr).toContain('prod: n2: ended with 0\n')
  expect(stderr).toContain('n3: err of one\n')
  expect(stderr).toMatch(/prod: req_\w+: of 4 targets 4 ended with 0\n$/)

  const {stdout: partly} = await alice.run(['exec', ...reason, '--on', 'rack=r1', 'spread', 'partly'])
  expect(partly.split('\n').sort()).toEqual(['', 'n1: no newline', 'n3: no newline'])
  for (const on of ['', '.*', 'n*']) expect((await alice.run(['exec', ...reason, '--on', on, 'spread', 'partly'])).status).toBe(241)
}, 240_000)

test('TM-F2: one request shows all its targets to who approves; the highest status of a target is the status; --json is a list', async () => {
  const asked = await alice.run(['exec', ...reason, '--nowait', '--on', 'environment=production', 'spread', 'once'])
  expect(asked.status).toBe(245)
  const request = asked.stdout.trim()
  const shown = await bob.run(['request', 'show', request])
  for (const name of ['n1', 'n2', 'n3']) expect(shown.stdout).toContain(`where:        ${name} (production, host:${name})`)
  expect(shown.stdout).toContain('targets:      3, 1 at a time, whatever fails')
  expect(shown.stdout).toContain('chosen by:    environment=production')
  expect((await bob.run(['request', 'approve', request, '--yes'])).status).toBe(0)
  const receipts = join(alice.home, 'receipts.json')
  const {status, stdout} = await alice.run(['attach', request, '--json', '--receipt', receipts])
  expect(status).toBe(5)
  const results = JSON.parse(stdout) as {target: string; exit: {status: number}; run: string; state: string}[]
  expect(results.map(({target, state}) => `${target} ${state}`)).toEqual(['n1 ended', 'n2 ended', 'n3 ended'])
  expect(results.map(({exit}) => exit.status)).toEqual([0, 5, 5])
  expect((JSON.parse(readFileSync(receipts, 'utf8')) as Receipt[]).map(({target}) => target)).toEqual(['host:n1', 'host:n2', 'host:n3'])
  const again = await alice.run(['attach', request])
  expect(again.status).toBe(5)
}, 240_000)

test('Ctrl-C ends what runs and begins nothing more: 130', async () => {
  const child = await alice.start(['exec', ...reason, '--on', 'all', 'spread', 'hold'])
  const ended = collect(child)
  let seen = ''
  child.stdout.on('data', text => {
    seen += text
    if (seen.split('holding').length === 3) child.kill('SIGINT')
  })
  const {status, stderr} = await ended
  expect(stderr).toContain('2 ended with 130, 2 not begun; it stopped: cancelled')
  expect(status).toBe(130)
}, 240_000)

test('at a terminal a table stands below the output', async () => {
  const screen = await openScreen(onTestFinished, alice, ['exec', ...reason, '--on', 'n1', '--on', 'n2', 'spread', 'say', 'hello'])
  expect(await screen.ended).toBe(0)
  expect(screen.text()).toContain('2 of 2 targets are over')
  expect(screen.text()).toContain('n1: hello')
}, 240_000)

test('TM-F5: prod freeze stops what would change, is shown, and two people lift it', async () => {
  expect((await alice.run(['freeze', '--reason', 'payments lose money'])).stdout).toContain('frozen by alice')
  const refused = await alice.run(['exec', ...reason, 'web', 'restart'])
  expect(refused.status).toBe(243)
  expect(refused.stderr).toContain('production is frozen by alice')
  expect((await alice.run(['exec', ...reason, 'web', 'status'])).status).toBe(0)
  expect((await alice.run(['whoami', '--broker', broker.url])).stdout).toContain('FROZEN: by alice')
  expect((await alice.run(['doctor'])).stdout).toMatch(/FAIL +broker: freeze/)
  expect((await alice.run(['freeze', '--lift', '--reason', 'let me please go on'])).status).toBe(243)
  expect((await bob.run(['freeze', '--lift', '--reason', 'it is mended now'])).stdout).toContain('bob wants to lift it')
  expect((await bob.run(['freeze', '--lift', '--reason', 'it is mended now'])).status).toBe(241)
  expect((await broker.as('carol').run(['freeze', '--lift', '--reason', 'it is mended now'])).stdout).toBe('nothing is frozen\n')
  expect((await alice.run(['freeze', '--show', '--json'])).stdout).toBe('{\n  "freeze": null\n}\n')
}, 240_000)
