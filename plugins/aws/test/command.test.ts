import {execFile, spawnSync} from 'node:child_process'
import {once} from 'node:events'
import {chmodSync, statSync} from 'node:fs'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {expect, test} from 'vitest'
import {cli, collect, makePerson, type Person} from './person.ts'
import {type StandIn, startStandIn} from './stand-in.ts'

const config = `
[profile base]
region = eu-west-1
aws_access_key_id = AKIAEXAMPLEEXAMPLE00
aws_secret_access_key = canary-long-lived-secret
[profile ops]
role_arn = arn:aws:iam::123456789012:role/ops
source_profile = base
[profile other]
role_arn = arn:aws:iam::123456789012:role/other
source_profile = base
prod_allows = s3:DeleteObject, s3:ListBucket
prod_class = change
[profile guarded]
role_arn = arn:aws:iam::123456789012:role/guarded
source_profile = base
mfa_serial = arn:aws:iam::123456789012:mfa/me
[profile process]
credential_process = ${process.execPath} -e "console.error('canary-on-stderr'); console.log('canary-on-stdout'); process.exit(3)" canary-in-argv
[profile loop]
role_arn = arn:aws:iam::123456789012:role/loop
source_profile = loop
`

async function begin(onTestFinished: (finish: () => Promise<void> | void) => void): Promise<{person: Person; aws: StandIn}> {
  const aws = await startStandIn(onTestFinished)
  const person = makePerson(onTestFinished, {AWS_ENDPOINT_URL: aws.url})
  person.write('.aws/config', config)
  return {person, aws}
}

const assumes = (aws: StandIn): string[] => aws.calls.filter(call => call.startsWith('AssumeRole'))

test('the status of the command is ours: its own, a signal’s, and prod’s where it could not be started', async ({onTestFinished}) => {
  const {person} = await begin(onTestFinished)
  for (let round = 0; round < 2; round++) {
    expect((await person.run('assume', 'ops', '--', 'sh', '-c', 'exit 7')).status).toBe(7)
    expect((await person.run('assume', 'ops', '--', 'sh', '-c', 'kill -9 $$')).status).toBe(137)
    const {status, stderr} = await person.run('assume', 'ops', '--', 'no-such-program-anywhere')
    expect({status, stderr}).toEqual({status: 247, stderr: 'prod: there is no program no-such-program-anywhere\nprod: try: echo $PATH\n'})
  }
})

test('arguments, stdin and output are the command’s, untouched', async ({onTestFinished}) => {
  const {person} = await begin(onTestFinished)
  for (let round = 0; round < 2; round++) {
    const child = person.start(
      'assume',
      'ops',
      '--',
      process.execPath,
      '-e',
      'process.stdin.pipe(process.stdout); console.error(JSON.stringify(process.argv.slice(1)))',
      '--',
      '--json',
      'a b',
      '',
      '$(x)',
    )
    child.stdin.write('in\x00\xff\n')
    const {stdout, stderr, status} = await collect(child)
    expect({stdout, stderr, status}).toEqual({stdout: 'in\x00\xff\n', stderr: '["--json","a b","","$(x)"]\n', status: 0})
  }
})

test('a signal to prod is the command’s to answer', async ({onTestFinished}) => {
  const {person} = await begin(onTestFinished)
  for (let round = 0; round < 2; round++) {
    const child = person.start(
      'assume',
      'ops',
      '--',
      'sh',
      '-c',
      'trap "echo got it; exit 3" TERM; echo ready; while :; do sleep 0.05; done',
    )
    child.stdout.setEncoding('utf8')
    await once(child.stdout, 'data')
    const rest = collect(child)
    child.kill('SIGTERM')
    expect(await rest).toMatchObject({status: 3, stdout: 'got it\n'})
  }
})

test('eight commands at once: one asks AWS, and all have the credentials', async ({onTestFinished}) => {
  const {person, aws} = await begin(onTestFinished)
  aws.slowMs = 300
  const all = await Promise.all(Array.from({length: 8}, () => person.run('assume', 'ops', '--json')))
  expect(all.map(({status}) => status)).toEqual(all.map(() => 0))
  expect(new Set(all.map(({stdout}) => stdout)).size).toBe(1)
  expect(assumes(aws)).toHaveLength(1)
})

test('who is killed while it asks AWS keeps nobody waiting', async ({onTestFinished}) => {
  const {person, aws} = await begin(onTestFinished)
  aws.slowMs = 60_000
  const called = aws.called()
  const first = person.start('assume', 'ops', '--json')
  await called
  aws.slowMs = 0
  first.kill('SIGKILL')
  await once(first, 'exit')
  expect((await person.run('assume', 'ops', '--json')).status).toBe(0)
})

test('what would end too soon is fetched anew, and what AWS never gives is said', async ({onTestFinished}) => {
  const {person, aws} = await begin(onTestFinished)
  aws.lifeSeconds = 1800
  await person.run('assume', 'ops', '--json')
  await person.run('assume', 'ops', '--json', '--min-remaining', '20m')
  expect(assumes(aws)).toHaveLength(1)
  aws.lifeSeconds = 3600
  expect((await person.run('assume', 'ops', '--json', '--min-remaining', '50m')).status).toBe(0)
  expect(assumes(aws)).toHaveLength(2)
  const {status, stderr} = await person.run('assume', 'ops', '--json', '--min-remaining', '2h')
  expect(status).toBe(241)
  expect(stderr).toMatch(/^prod: credentials of ops live for (59|60) minutes, not for 120\n/)
})

test('--fresh asks AWS again, and what it got serves the next one', async ({onTestFinished}) => {
  const {person, aws} = await begin(onTestFinished)
  const key = async (...flags: string[]): Promise<string> => (await person.run('assume', 'ops', '--json', ...flags)).stdout
  const first = await key()
  const second = await key('--fresh')
  expect(second).not.toBe(first)
  expect(await key()).toBe(second)
  expect(assumes(aws)).toHaveLength(2)
})

test('a role that AWS refuses, a code nobody can type, a process that fails, a circle, a name that is none', async ({onTestFinished}) => {
  const {person, aws} = await begin(onTestFinished)
  aws.denied.add('arn:aws:iam::123456789012:role/ops')
  const said = async (...args: string[]): Promise<[number | null, string]> => {
    const {status, stderr} = await person.run('assume', ...args)
    return [status, stderr.split('\n')[0] ?? '']
  }
  expect(await said('ops', '--', 'true')).toEqual([243, 'prod: AWS does not let you assume arn:aws:iam::123456789012:role/ops'])
  expect(await said('guarded', '--', 'true')).toEqual([241, 'prod: MFA code of me is missing, and there is no terminal to ask at'])
  expect(await said('process', '--', 'true')).toEqual([242, 'prod: credential_process of AWS profile process gave no credentials'])
  expect(await said('loop', '--', 'true')).toEqual([241, 'prod: AWS profile loop: its source_profile goes in a circle: loop → loop'])
  expect(await said('nobody', '--', 'true')).toEqual([241, 'prod: there is no AWS profile nobody'])
  expect(await said('base', '--url')).toEqual([241, 'prod: base is a pair of long-lived keys: the console takes roles only'])
  expect(await said('ops', 'true')).toEqual([241, expect.stringContaining('nexpected')])
  expect(await said('ops', '--')).toEqual([241, 'prod: there is no command after --'])
})

test('every way a profile may name its credentials leads to them', async ({onTestFinished}) => {
  const {person, aws} = await begin(onTestFinished)
  const answer = JSON.stringify({
    Version: 1,
    AccessKeyId: 'AKIAFROMPROCESS',
    SecretAccessKey: 'x-secret-x',
    SessionToken: 'x-token-x',
    Expiration: '2999-01-01T00:00:00Z',
  })
  person.write('token', 'header.payload.signature')
  person.write('answer', answer)
  person.write(
    '.aws/config',
    `[profile web]
role_arn = arn:aws:iam::123456789012:role/web
web_identity_token_file = ${join(person.home, 'token')}
[profile env]
role_arn = arn:aws:iam::123456789012:role/env
credential_source = Environment
[profile after-env]
role_arn = arn:aws:iam::123456789012:role/after
source_profile = env
[profile own]
aws_access_key_id = AKIAEXAMPLEEXAMPLE00
aws_secret_access_key = y-secret-y
role_arn = arn:aws:iam::123456789012:role/own
source_profile = own
external_id = shared-word
duration_seconds = 1800
role_session_name = me@example
[profile process]
credential_process = /bin/cat ${join(person.home, 'answer')}
[profile after-process]
role_arn = arn:aws:iam::123456789012:role/after-process
source_profile = process
`,
  )
  Object.assign(person.env, {AWS_ACCESS_KEY_ID: 'AKIAFROMENVIRONMENT0', AWS_SECRET_ACCESS_KEY: 'z-secret-z'})
  for (const name of ['web', 'env', 'after-env', 'own', 'process', 'after-process']) {
    const {status, stdout, stderr} = await person.run('assume', name, '--json')
    expect({name, status, stderr}).toEqual({name, status: 0, stderr: ''})
    expect(JSON.parse(stdout)).toMatchObject({
      Version: 1,
      AccessKeyId: expect.stringMatching(name === 'process' ? /^AKIAFROMPROCESS$/ : /^ASIA/),
    })
    if (name === 'own')
      expect(aws.assumed).toMatchObject({ExternalId: 'shared-word', DurationSeconds: '1800', RoleSessionName: 'me@example'})
  }
  expect(assumes(aws).map(call => call.split('/').at(-1))).toEqual(['web', 'env', 'env', 'after', 'own', 'after-process'])
})

test('keys that AWS does not know, an old token, no network: each says what to do', async ({onTestFinished}) => {
  const {person, aws} = await begin(onTestFinished)
  person.write('.aws/config', config.replace('AKIAEXAMPLEEXAMPLE00', 'ASIAUNKNOWN'))
  expect((await person.run('assume', 'ops', '--json')).stderr).toMatch(/^prod: AWS does not know the keys that profile ops begins with\n/)
  person.env.AWS_ENDPOINT_URL = 'http://127.0.0.1:1'
  person.env.AWS_MAX_ATTEMPTS = '1'
  const {status, stderr} = await person.run('assume', 'other', '--json')
  expect({status, stderr}).toEqual({status: 247, stderr: expect.stringMatching(/^prod: AWS cannot be reached \(ECONNREFUSED\)\n/)})
  expect(aws.calls).toEqual([])
})

test('without a role the least that is known to allow the command is taken, and it says why', async ({onTestFinished}) => {
  const {person, aws} = await begin(onTestFinished)
  person.write('bin/aws', '#!/bin/sh\necho ran $PROD_ASSUMED "$@"\n')
  chmodSync(join(person.home, 'bin/aws'), 0o755)
  person.env.PATH = `${join(person.home, 'bin')}:${person.env.PATH}`
  expect(await person.run('assume', '--', 'aws', 's3', 'rm', 's3://b/k')).toMatchObject({
    status: 0,
    stdout: 'ran other s3 rm s3://b/k\n',
    stderr: 'prod: other: the least of your roles that is known to allow s3:DeleteObject\n',
  })
  expect(assumes(aws)).toEqual(['AssumeRole arn:aws:iam::123456789012:role/other'])
  expect((await person.run('assume', '--', 'terraform', 'apply')).stderr).toBe(
    'prod: what terraform asks AWS for is not known\nprod: try: name the role: prod assume ROLE -- CMD\n',
  )
})

test('a profile that is written gets its credentials from prod, and is not written twice', async ({onTestFinished}) => {
  const {person} = await begin(onTestFinished)
  person.write('.aws/config', config.replaceAll('\n', '\r\n'))
  const first = await person.run('assume', 'ops', '--write-profile', 'prod-ops')
  expect(first).toMatchObject({status: 0, stdout: `prod-ops: written to ${person.home}/.aws/config\n`})
  expect((await person.run('assume', 'ops', '--write-profile', 'prod-ops')).stdout).toContain('is as it should be')
  expect((await person.run('assume', 'other', '--write-profile', 'prod-ops')).status).toBe(241)
  expect((await person.run('assume', 'ops', '--write-profile', 'ops')).stderr).toContain('would ask itself')
  const text = person.files().get(join(person.home, '.aws/config')) ?? ''
  expect(text.match(/\[profile prod-ops\]\r\ncredential_process = .* assume ops --json\r\n/g)).toHaveLength(1)
  expect(text).not.toMatch(/[^\r]\n/)
  const listed = JSON.parse((await person.run('roles', '--json')).stdout) as {name: string; summary: string}[]
  expect(listed.find(({name}) => name === 'prod-ops')?.summary).toBe('credential_process')
})

test('prod roles lists what the person has with no broker at all, the most used first', async ({onTestFinished}) => {
  const {person} = await begin(onTestFinished)
  const names = async (...args: string[]): Promise<string[]> =>
    (JSON.parse((await person.run('roles', ...args, '--json')).stdout) as {name: string}[]).map(({name}) => name)
  expect(await names()).toEqual(['base', 'guarded', 'loop', 'ops', 'other', 'process'])
  for (let round = 0; round < 3; round++) await person.run('assume', 'other', '--', 'true')
  await person.run('assume', 'ops', '--', 'true')
  expect((await names()).slice(0, 3)).toEqual(['other', 'ops', 'base'])
  expect(await names('gua')).toEqual(['guarded'])
  expect(await names('--for', 's3:DeleteObject on arn:aws:s3:::b/*')).toEqual(['other'])
  const {stdout} = await person.run('roles')
  expect(stdout).toMatch(/^loop +not as it stands .*its source_profile goes in a circle: loop → loop$/m)
})

test('six hundred profiles and a file of another kind are listed', async ({onTestFinished}) => {
  const {person} = await begin(onTestFinished)
  person.write(
    '.aws/config',
    `\ufeff${Array.from({length: 600}, (_, at) => `[profile p${at}]\r\nrole_arn = arn:aws:iam::123456789012:role/r${at}\r\nsource_profile = base\r\n`).join('')}[profile base]\naws_access_key_id = A\naws_secret_access_key = B\n`,
  )
  person.env.AWS_SHARED_CREDENTIALS_FILE = person.home
  const {status, stdout, stderr} = await person.run('roles', '--json')
  expect(status).toBe(0)
  expect(JSON.parse(stdout)).toHaveLength(601)
  expect(stderr).toBe(`prod: ${person.home} cannot be read (EISDIR)\n`)
})

test('TM-U2: no secret is in argv, logs, error texts or files but the one that keeps credentials', async ({onTestFinished}) => {
  const {person, aws} = await begin(onTestFinished)
  person.env.PROD_DEBUG = '1'
  const all = [
    await person.run('roles'),
    await person.run('roles', '--json'),
    await person.run(
      'assume',
      'ops',
      '--',
      process.execPath,
      '-e',
      'console.log(require("fs").readFileSync("/proc/" + process.ppid + "/cmdline", "latin1"))',
    ),
    await person.run('assume', 'process', '--json'),
    await person.run('assume', 'guarded', '--json'),
    await person.run('assume', 'ops', '--write-profile', 'written'),
    await person.run('doctor'),
  ]
  expect(aws.secrets.size).toBeGreaterThan(1)
  const secrets = [...aws.secrets, 'canary-long-lived-secret', 'canary-on-stdout', 'canary-on-stderr', 'canary-in-argv']
  for (const {stdout, stderr} of all) for (const secret of secrets) expect(stdout + stderr).not.toContain(secret)
  for (const [path, text] of person.files()) {
    if (path.startsWith(join(person.home, '.aws/'))) continue
    const keeps = path.startsWith(join(person.home, '.local/state/prod/aws/'))
    if (keeps) expect(statSync(path).mode & 0o777).toBe(0o600)
    for (const secret of keeps ? secrets.filter(one => one.startsWith('canary')) : secrets)
      expect({path, has: text.includes(secret)}).toEqual({path, has: false})
  }
})

test('TM-Q6: without a keychain nothing is kept, and it says so', async ({onTestFinished}) => {
  const {person, aws} = await begin(onTestFinished)
  delete person.env.PROD_CREDENTIAL_STORE
  for (let round = 1; round < 3; round++) {
    const {status, stderr} = await person.run('assume', 'ops', '--json')
    expect(status).toBe(0)
    expect(stderr).toMatch(
      /^prod: there is no keychain .*: credentials are not kept for the next command\nprod: try: prod config set credentialStore file\n$/,
    )
    expect(assumes(aws)).toHaveLength(round)
  }
  for (const text of person.files().values()) for (const secret of aws.secrets) expect(text).not.toContain(secret)
})

test('a use is told by the first word of the command, its time and its status, also where it goes the fast way', async ({
  onTestFinished,
}) => {
  const {person} = await begin(onTestFinished)
  for (let round = 0; round < 2; round++) await person.run('assume', 'ops', '--', '/bin/sh', '-c', 'exit 3 # an-argument')
  const told = person.files().get(join(person.home, '.local/state/prod/usage.jsonl')) ?? ''
  const events = told
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as object)
  expect(events).toEqual(
    Array(2).fill(
      expect.objectContaining({command: 'assume', tool: 'sh', exit: 3, durationMs: expect.any(Number), at: expect.any(Number)}),
    ),
  )
  expect(told).not.toContain('an-argument')
})

test('a refusal by AWS is told by its category and action, no resource and no name, also where it goes the fast way', async ({
  onTestFinished,
}) => {
  const {person} = await begin(onTestFinished)
  const denial =
    'An error occurred (AccessDenied) when calling the DeleteObject operation: User: arn:aws:iam::111122223333:user/ana is not authorized to perform: s3:DeleteObject on resource: "arn:aws:s3:::payroll/ana.csv" because no identity-based policy allows the s3:DeleteObject action'
  person.write('bin/aws', `#!/bin/sh\necho '${denial}' >&2\nexit 254\n`)
  chmodSync(join(person.home, 'bin/aws'), 0o700)
  const rm = ['--', join(person.home, 'bin/aws'), 's3', 'rm', 's3://payroll/ana.csv']
  // the first fetches credentials, the second finds them kept
  for (let round = 0; round < 2; round++) {
    const {status, stderr} = await person.run('assume', 'ops', ...rm)
    expect(status).toBe(254)
    expect(stderr).toContain('the role lacks the action')
  }
  await person.run('assume', 'ops', '--no-explain', ...rm)
  await person.run('assume', 'not-a-role-but-hunter2', '--json')
  const told = person.files().get(join(person.home, '.local/state/prod/usage.jsonl')) ?? ''
  const events = told
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Record<string, unknown>)
  const refused = {tool: 'aws', role: 'ops', exit: 254, denied: 'action_not_allowed', action: 's3:DeleteObject'}
  expect(events).toMatchObject([refused, refused, {role: 'ops', exit: 254}, {exit: expect.any(Number)}])
  expect(events[2]).not.toHaveProperty('denied')
  expect(told).not.toMatch(/payroll|ana|hunter2/)
})

test('the child is fed by the file that was kept, and a prod inside is no other', async ({onTestFinished}) => {
  const {person} = await begin(onTestFinished)
  await person.run('assume', 'ops', '--json')
  const {stdout} = await person.run('assume', 'ops', '--', process.execPath, cli, 'assume', 'ops', '--json')
  expect(JSON.parse(stdout)).toMatchObject({Version: 1})
})

const keychain = ['dbus-run-session', 'gnome-keyring-daemon'].every(name => spawnSync('which', [name]).status === 0)

// where the machine has no secret service of its own to start, the keychain is not tested; its absence is (above)
test.skipIf(!keychain)('TM-Q6: with a secret service credentials are kept in it, and in no file', async ({onTestFinished}) => {
  const {person, aws} = await begin(onTestFinished)
  person.env.PROD_CREDENTIAL_STORE = 'keychain'
  person.env.XDG_RUNTIME_DIR = join(person.home, 'run')
  person.write('run/empty', '')
  const prod = [process.execPath, cli].map(word => JSON.stringify(word)).join(' ')
  const script = `printf pw | gnome-keyring-daemon --unlock --components=secrets --daemonize > /dev/null
    for round in 1 2 3; do ${prod} assume ops --json; done
    ${prod} assume ops -- sh -c 'echo $PROD_ASSUMED'`
  const {stdout} = await promisify(execFile)('dbus-run-session', ['--', 'sh', '-ec', script], {env: person.env, cwd: person.home})
  const lines = stdout.trimEnd().split('\n')
  expect(lines).toHaveLength(4)
  expect(new Set(lines.slice(0, 3)).size).toBe(1)
  expect(lines[3]).toBe('ops')
  expect(assumes(aws)).toHaveLength(1)
  for (const [path, text] of person.files()) {
    if (path.includes('/keyrings/')) continue
    for (const secret of aws.secrets) expect(text).not.toContain(secret)
  }
})
