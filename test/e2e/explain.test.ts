/** `prod explain` as it is shipped, and what a failed exec says by itself. Needs `npm run build`. */
import {spawn} from 'node:child_process'
import {chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest'
import {cli, collect, type Ended, type RealPerson, startRealBroker} from './broker.ts'
import {openScreen} from './screen.ts'

const denial = 'User: arn:aws:iam::111122223333:user/ana is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::reports/a.csv'
const finish: (() => Promise<void>)[] = []
let alice: RealPerson

const tool = (dir: string) => `kind: Tool
name: job
summary: for these tests
program: ${dir}/bin/job
run: { primitive: host, target: local }
commands:
  - { path: [refused], class: change }
  - { path: [fault], class: change }
  - { path: [fine], class: change }
  - { path: [locked], class: change }
`
const spread = (dir: string) => `kind: Tool
name: spread
summary: the same on two targets
program: ${dir}/bin/job
run: { primitive: host, targets: [n1, n2] }
commands:
  - { path: [refused], class: read, rollout: { maxTargets: 2, stopOnError: false } }
  - { path: [fault], class: read, rollout: { maxTargets: 2, stopOnError: false } }
`
const program = `#!/bin/sh
case $1 in
  refused) echo '${denial}' >&2; exit 3 ;;
  fault) echo 'out of paper' >&2; exit 4 ;;
  fine) echo '${denial}' >&2 ;;
esac
`

beforeAll(async () => {
  const broker = await startRealBroker(last => finish.push(last))
  writeFileSync(join(broker.dir, 'bin/job'), program)
  chmodSync(join(broker.dir, 'bin/job'), 0o755)
  writeFileSync(join(broker.dir, 'catalog/tools/job.yaml'), tool(broker.dir))
  writeFileSync(join(broker.dir, 'catalog/tools/spread.yaml'), spread(broker.dir))
  for (const name of ['n1', 'n2'])
    writeFileSync(
      join(broker.dir, `catalog/targets/${name}.yaml`),
      `kind: Target\nname: ${name}\naddress: host:${name}\nenvironment: staging\n`,
    )
  writeFileSync(
    join(broker.dir, 'policy/global/job.cedar'),
    `@id("job") permit (principal in Group::"engineers", action == Action::"run", resource in Tool::"job");
@id("spread") permit (principal in Group::"engineers", action == Action::"run", resource in Tool::"spread");
@id("locked") forbid (principal, action == Action::"run", resource is job::locked) unless { context.incident };
@id("ports") permit (principal in Group::"engineers", action == Action::"forward", resource == Target::"ports");
@id("no-ports") forbid (principal, action == Action::"forward", resource == Target::"ports") unless { context.incident };
@id("reader") permit (principal in Group::"engineers", action == Action::"request", resource == Role::"reports-reader");
`,
  )
  writeFileSync(
    join(broker.dir, 'catalog/targets/ports.yaml'),
    'kind: Target\nname: ports\naddress: host:local\nenvironment: staging\nforwards: [{host: localhost, ports: [5432]}]\n',
  )
  writeFileSync(join(broker.dir, 'catalog/services/reports.yaml'), 'kind: Service\nname: reports\nowner: data-team\n')
  writeFileSync(
    join(broker.dir, 'catalog/roles/reports-reader.yaml'),
    'kind: Role\nname: reports-reader\nsummary: read reports\nprovider: group\nparameters: { group: readers }\nclass: read\nservice: reports\nmaxSeconds: 3600\nallows: ["s3:Get*"]\n',
  )
  alice = broker.as('alice')
  while ((await alice.run(['tools', 'show', 'job'])).status !== 0);
}, 240_000)
afterAll(async () => {
  for (const last of finish) await last()
})

/** A command without a broker, in a home of its own. */
async function prod(args: string[], stdin = ''): Promise<Ended> {
  const home = mkdtempSync(join(tmpdir(), 'prod-explain-'))
  onTestFinished(() => rmSync(home, {recursive: true, force: true}))
  const child = spawn(process.execPath, [cli, ...args], {env: {HOME: home, PATH: process.env.PATH ?? ''}, stdio: ['pipe', 'pipe', 'pipe']})
  child.stdin.end(stdin)
  return collect(child)
}

const exec = (...args: string[]) => alice.run(['exec', '--reason', 'to see what it says', ...args])
const kept = () => join(alice.home, '.local/state/prod/last-failure.json')

test('explain says what happened, who was refused what, and what to type next', async () => {
  const {status, stdout, stderr} = await prod(['explain', denial])
  expect([status, stderr]).toEqual([0, ''])
  const [summary, ...lines] = stdout.trimEnd().split('\n')
  expect(summary).toContain('the role lacks the action')
  expect(lines.join('\n')).toMatch(
    /who {5}arn:aws:iam::111122223333:user\/ana\n {2}action {2}s3:GetObject\n {2}on {6}arn:aws:s3:::reports\/a\.csv\ntry: prod roles/,
  )
})

test('explain --json prints one document of the agreed shape, from a text or from standard input', async () => {
  const given = await prod(['explain', '--json', denial])
  const piped = await prod(['explain', '--json'], `${denial}\n`)
  expect(JSON.parse(given.stdout)).toEqual({
    category: 'action_not_allowed',
    principal: 'arn:aws:iam::111122223333:user/ana',
    action: 's3:GetObject',
    resource: 'arn:aws:s3:::reports/a.csv',
    role: null,
    encoded: false,
    confidence: expect.closeTo(0.94),
    summary: expect.stringContaining('s3:GetObject'),
    next: expect.arrayContaining([{command: 'prod roles --for "s3:GetObject on arn:aws:s3:::reports/a.csv"', why: expect.any(String)}]),
    evidence: expect.stringContaining('not authorized to perform'),
  })
  expect(piped.stdout).toBe(given.stdout)
})

test('explain --batch answers line by line, and says of a line that is none what is wrong', async () => {
  const lines = [{id: 'a', text: denial}, {text: 'NOAUTH Authentication required.'}, 7, {id: 3}]
  const {status, stdout} = await prod(['explain', '--batch'], `${lines.map(line => JSON.stringify(line)).join('\n')}\n{"text"\n`)
  expect(status).toBe(0)
  const answers = stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line) as {id?: unknown; category?: string; error?: string})
  expect(answers.map(({id, category, error}) => [id, category ?? error])).toEqual([
    ['a', 'action_not_allowed'],
    [undefined, 'db_auth'],
    [undefined, 'this line is no object with a text'],
    [3, 'this line has no text'],
    [undefined, 'this line is no JSON'],
  ])
})

test('TM-R1: nothing in a message acts on the terminal, in words, JSON or lines', async () => {
  const evil = 'FATAL: password authentication failed for user "a\u009b2J\u202e\u0001b"\u001b]52;c;AAAA\u0007'
  const answers = await Promise.all([
    prod(['explain', evil.replaceAll('\u0000', '')]),
    prod(['explain', '--json'], evil),
    prod(['explain', '--batch'], JSON.stringify({id: '\u001b[2J\u202e', text: evil})),
  ])
  for (const {stdout, stderr} of answers) expect(`${stdout}${stderr}`).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/)
})

test('without a text, or with a text too many, explain says how it is used', async () => {
  expect(await prod(['explain', '--last', denial])).toMatchObject({status: 241, stdout: ''})
  expect((await prod(['explain', '--last'])).stderr).toContain('failed within the last hour')
})

test('a failed exec explains a denial in three lines at most, keeps its status and its stderr', async () => {
  const {status, stdout, stderr} = await exec('job', 'refused')
  expect([status, stdout]).toEqual([3, ''])
  const [first, ...ours] = stderr.trimEnd().split('\n')
  expect(first).toBe(denial)
  expect(ours).toHaveLength(3)
  expect(ours[0]).toMatch(/^prod: .*the role lacks the action/)
  expect(ours[1]).toMatch(/^prod: try: prod roles/)
})

test('it is silent with --no-explain, with --json, with the setting off, and where the tool did not fail of access', async () => {
  expect((await exec('--no-explain', 'job', 'refused')).stderr).toBe(`${denial}\n`)
  const json = await exec('--json', 'job', 'refused')
  expect([json.stderr, JSON.parse(json.stdout).stderr.text]).toEqual(['', `${denial}\n`])
  expect((await exec('job', 'fault')).stderr).toBe('out of paper\n')
  expect((await exec('job', 'fine')).stderr).toBe(`${denial}\n`)
  await alice.run(['config', 'set', 'explainAfterFailure', 'off'])
  expect((await exec('job', 'refused')).stderr).toBe(`${denial}\n`)
  await alice.run(['config', 'unset', 'explainAfterFailure'])
})

test('explain --last reads the stderr of the last failure, kept for an hour in a file of its own', async () => {
  await exec('--json', 'job', 'refused')
  await exec('job', 'fine')
  expect(statSync(kept()).mode & 0o777).toBe(0o600)
  expect(JSON.parse((await alice.run(['explain', '--last', '--json'])).stdout)).toMatchObject({category: 'action_not_allowed'})

  const {text} = JSON.parse(readFileSync(kept(), 'utf8')) as {text: string}
  writeFileSync(kept(), JSON.stringify({at: new Date(Date.now() - 3_601_000).toISOString(), text}))
  expect(await alice.run(['explain', '--last'])).toMatchObject({status: 241, stdout: ''})
  expect(existsSync(kept())).toBe(false)

  await exec('job', 'refused')
  chmodSync(kept(), 0o644)
  expect((await alice.run(['explain', '--last'])).stderr).toContain('can be read by others')
})

test('of many targets the first that was denied is explained, once, in three lines at most; off by flag and setting', async () => {
  const on = (...args: string[]) => exec('--on', 'n1', '--on', 'n2', ...args)
  const ours = ({stderr}: Ended) => stderr.split('\n').filter(line => /^prod: (?:.*the role lacks the action|try: |more: )/.test(line))
  const denied = await on('spread', 'refused')
  expect(denied.status).toBe(3)
  expect(ours(denied)).toEqual([
    expect.stringContaining('the role lacks the action'),
    expect.stringMatching(/^prod: try: prod roles/),
    'prod: more: prod explain --last',
  ])
  expect(JSON.parse((await alice.run(['explain', '--last', '--json'])).stdout)).toMatchObject({category: 'action_not_allowed'})
  expect(ours(await on('spread', 'fault'))).toEqual([])
  expect(ours(await on('--no-explain', 'spread', 'refused'))).toEqual([])
  await alice.run(['config', 'set', 'explainAfterFailure', 'off'])
  expect(ours(await on('spread', 'refused'))).toEqual([])
  await alice.run(['config', 'unset', 'explainAfterFailure'])
})

test('a shell whose last command was denied is explained when it is over, here and where it was taken up; off by flag and setting', async ({
  onTestFinished,
}) => {
  const wide = {columns: 240}
  /** Opens a shell at a terminal, types what fails, leaves it, and gives what `prod` said after it was closed. */
  const saidAfter = async (flags: string[], command: string, takenUp = false): Promise<string[]> => {
    let screen = await openScreen(
      onTestFinished,
      alice,
      ['shell', 'local', '--reason', 'to see what it says', '--incident', 'INC-42', '--no-question', ...(takenUp ? [] : flags)],
      wide,
    )
    await screen.until(/type local to go on/)
    screen.type('local\r')
    const [, session] = (await screen.until(/(ses_\w+) on local/)) as unknown as [string, string]
    await screen.until(/\[BREAK-GLASS local\] .*[#$] ?$/)
    if (takenUp) {
      screen = await openScreen(onTestFinished, alice, ['attach', session, ...flags], wide)
      await screen.until(/BREAK-GLASS on local/)
    }
    screen.type(`${command}\rexit\r`)
    expect(await screen.ended).toBe(3)
    const lines = screen.text().split('\n')
    return lines.slice(lines.findIndex(line => line.includes(`${session} is closed`)) + 1).filter(line => line.trim() !== '')
  }
  const fails = `echo '${denial}' >&2; (exit 3)`
  const explained = [
    expect.stringContaining('the role lacks the action'),
    expect.stringMatching(/^prod: try: prod roles/),
    'prod: more: prod explain --last',
  ]
  expect(await saidAfter([], fails)).toEqual(explained)
  expect(JSON.parse((await alice.run(['explain', '--last', '--json'])).stdout)).toMatchObject({category: 'action_not_allowed'})
  expect(await saidAfter([], fails, true)).toEqual(explained)
  expect(await saidAfter(['--no-explain'], fails)).toEqual([])
  expect(await saidAfter(['--no-explain'], fails, true)).toEqual([])
  expect(await saidAfter([], 'echo out of paper >&2; (exit 3)')).toEqual([])
  await alice.run(['config', 'set', 'explainAfterFailure', 'off'])
  expect(await saidAfter([], fails)).toEqual([])
  await alice.run(['config', 'unset', 'explainAfterFailure'])
})

test('what the broker refuses is explained by its rule, its part, and what would change it', async () => {
  const refused = await exec('job', 'locked')
  expect(refused.status).toBe(243)
  const {status, stdout} = await alice.run(['explain', '--last'])
  expect(status).toBe(0)
  expect(stdout).toContain('rule    global/job.cedar#locked forbids it')
  expect(stdout).toMatch(/and not unless context\.incident {3}→ give --incident ID/)
  const json = JSON.parse((await alice.run(['explain', '--last', '--json'])).stdout)
  expect(json).toMatchObject({id: null, decision: 'deny', rules: [{rule: 'global/job.cedar#locked', effect: 'forbid'}]})
})

test('a forward that is refused is explained too', async () => {
  const words = ['--reason', 'look at the database', '-L', '0:localhost:5432']
  expect((await alice.run(['forward', 'ports', ...words])).status).toBe(243)
  expect((await alice.run(['explain', '--last'])).stdout).toContain('rule    global/job.cedar#no-ports forbids it')
})

test('a run is explained by its id', async () => {
  const {run} = JSON.parse((await exec('--json', 'job', 'refused')).stdout) as {run: string}
  const {stdout} = await alice.run(['explain', run])
  expect(stdout).toContain('the program itself failed')
  expect((await alice.run(['explain', 'run_00000000000000000000000000'])).status).toBe(241)
})

test('with a broker, the roles that allow the action are named, and the owner where no role helps', async () => {
  const read = await alice.run(['explain', denial])
  expect(read.stdout).toMatch(/roles: {2}reports-reader: prod request create reports-reader; /)
  const asked = await alice.run(['explain', '--json', `${denial} with an explicit deny in a service control policy`])
  expect(JSON.parse(asked.stdout)).toMatchObject({
    category: 'scp_deny',
    help: {roles: [], owners: [{service: 'reports', owner: 'data-team'}]},
  })
  expect(JSON.parse((await alice.run(['explain', '--offline', '--json', denial])).stdout)).not.toHaveProperty('help')
})
