import {spawnSync} from 'node:child_process'
import {chmodSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {makePerson} from '../../plugins/aws/test/person.ts'
import {type StandIn, startStandIn} from '../../plugins/aws/test/stand-in.ts'
import {type RealPerson, startRealBroker} from './broker.ts'
import {openScreen} from './screen.ts'

const config = (url: string): string => `
[profile base]
aws_access_key_id = AKIAEXAMPLEEXAMPLE00
aws_secret_access_key = a-long-lived-secret
[profile ops]
role_arn = arn:aws:iam::123456789012:role/ops
source_profile = base
region = eu-west-1
[profile guarded]
role_arn = arn:aws:iam::123456789012:role/guarded
source_profile = base
mfa_serial = arn:aws:iam::123456789012:mfa/phone
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-central-1
services = local
[services local]
sso =
  endpoint_url = ${url}
sso_oidc =
  endpoint_url = ${url}
[profile reader]
sso_session = corp
sso_account_id = 111111111111
sso_role_name = ReadOnly
services = local
`

/** Goes where a browser goes, and counts the tabs. */
const browser = `#!${process.execPath}
const {appendFileSync} = require('node:fs')
const {get} = require('node:http')
appendFileSync(process.env.HOME + '/tabs', 'tab\\n')
const go = url => get(url, answer => { answer.resume(); if (answer.headers.location) go(answer.headers.location) })
go(process.argv[2])
`

interface Scene {
  aws: StandIn
  who: RealPerson
  tabs(): number
}

async function begin(onTestFinished: (finish: () => Promise<void> | void) => void): Promise<Scene> {
  const aws = await startStandIn(onTestFinished)
  aws.accounts = [{id: '111111111111', name: 'payments', roles: ['ReadOnly']}]
  const person = makePerson(onTestFinished, {AWS_ENDPOINT_URL: aws.url, BROWSER: 'x', SHELL: '/bin/bash'})
  person.write('.aws/config', config(aws.url))
  person.write('bin/xdg-open', browser)
  chmodSync(join(person.home, 'bin/xdg-open'), 0o755)
  person.env.PATH = `${join(person.home, 'bin')}:${person.env.PATH}`
  const start = (): never => {
    throw new Error('at a screen alone')
  }
  return {
    aws,
    who: {name: 'somebody', home: person.home, env: person.env, run: start, start, login: async () => {}},
    tabs: () => readFileSync(join(person.home, 'tabs'), 'utf8').split('\n').length - 1,
  }
}

const shells = ['bash', 'zsh', 'fish', 'sh'].filter(name => spawnSync('sh', ['-c', `command -v ${name}`]).status === 0)

test.for(shells)(
  'a shell of a role: %s with a marked prompt, the person’s own start-up, its status; none inside it',
  async (shell, {onTestFinished}) => {
    const {who} = await begin(onTestFinished)
    who.env.SHELL = spawnSync('sh', ['-c', `command -v ${shell}`], {encoding: 'utf8'}).stdout.trim()
    for (const file of ['.bashrc', '.zshrc']) writeFileSync(join(who.home, file), 'MINE=yes\n')
    const screen = await openScreen(onTestFinished, who, ['assume', 'ops'])
    await screen.until(/\(prod ops\) /)
    if (shell === 'bash' || shell === 'zsh') {
      screen.type('echo mine=$MINE\r')
      await screen.until(/mine=yes/)
    }
    screen.type('echo role=$PROD_ASSUMED uri=$AWS_CONTAINER_CREDENTIALS_FULL_URI\r')
    await screen.until(/role=ops uri=http:\/\/127\.0\.0\.1:\d+\/credentials/)
    screen.type(`${process.execPath} ${join(import.meta.dirname, '../../bin/run.js')} assume ops\r`)
    await screen.until(/this is a shell of ops already/)
    screen.type('exit 5\r')
    expect(await screen.ended).toBe(5)
  },
)

test('Ctrl-C is the command’s, and prod ends as it ends', async ({onTestFinished}) => {
  const {who} = await begin(onTestFinished)
  for (let round = 0; round < 2; round++) {
    const screen = await openScreen(onTestFinished, who, [
      'assume',
      'ops',
      '--',
      'sh',
      '-c',
      'trap "echo caught; exit 9" INT; echo ready; while :; do sleep 0.05; done',
    ])
    await screen.until(/ready/)
    screen.type('\x03')
    await screen.until(/caught/)
    expect(await screen.ended).toBe(9)
  }
})

test('a role with MFA asks for the code, says when it is wrong, and takes the next one', async ({onTestFinished}) => {
  const {aws, who} = await begin(onTestFinished)
  aws.mfa.set('arn:aws:iam::123456789012:mfa/phone', '123456')
  for (const [code, ending, said] of [
    ['000000', 242, /AWS did not accept the MFA code/],
    ['123 456', 0, /is guarded/],
  ] as const) {
    const screen = await openScreen(onTestFinished, who, ['assume', 'guarded', '--', 'sh', '-c', 'echo is $PROD_ASSUMED'])
    await screen.until(/MFA code of phone/)
    screen.type(`${code}\r`)
    await screen.until(said)
    expect(await screen.ended).toBe(ending)
  }
})

test('three terminals that need a login: one tab opens, and all three go on', async ({onTestFinished}) => {
  const {aws, who, tabs} = await begin(onTestFinished)
  const screens = await Promise.all(
    Array.from({length: 3}, () => openScreen(onTestFinished, who, ['assume', 'reader', '--', 'sh', '-c', 'echo is $PROD_ASSUMED'])),
  )
  await Promise.all(screens.map(screen => screen.until(/is reader/)))
  expect(await Promise.all(screens.map(screen => screen.ended))).toEqual([0, 0, 0])
  expect({tabs: tabs(), logins: aws.logins}).toEqual({tabs: 1, logins: 1})
  for (const screen of screens) for (const secret of aws.secrets) expect(screen.raw()).not.toContain(secret)
})

test('without a role and a command there is a list to choose from', async ({onTestFinished}) => {
  const {who} = await begin(onTestFinished)
  const screen = await openScreen(onTestFinished, who, ['assume'])
  await screen.until(/role/)
  screen.type('ops')
  await screen.until(/role ops\n❯ ops +role ops in 123456789012/)
  screen.type('\r')
  await screen.until(/\(prod ops\) /)
  screen.type('exit\r')
  expect(await screen.ended).toBe(0)
})

test('prod roles --refresh logs in and lists what the portal offers', async ({onTestFinished}) => {
  const {who} = await begin(onTestFinished)
  const screen = await openScreen(onTestFinished, who, ['roles', '--refresh'])
  await screen.until(/reader +now/)
  expect(await screen.ended).toBe(0)
})

test('beside a broker its roles stand in the same list; when it is gone, the person’s own are there all the same', async ({
  onTestFinished,
}) => {
  const broker = await startRealBroker(onTestFinished)
  const alice = broker.as('alice')
  mkdirSync(join(alice.home, '.aws'))
  writeFileSync(join(alice.home, '.aws/config'), config('http://127.0.0.1:1'))
  type Listed = {name: string; source: string; usable: string; allows: string[] | null}
  const listed = async () => {
    const {stdout, stderr} = await alice.run(['roles', '--json'])
    return {roles: JSON.parse(stdout) as Listed[], stderr}
  }
  const {roles} = await listed()
  expect(roles.find(({name}) => name === 'ops')).toMatchObject({source: 'aws profile', usable: 'now'})
  expect(roles.find(({name}) => name === 'web-operator')).toMatchObject({source: 'broker', usable: 'request'})
  await broker.stop()
  const alone = await listed()
  expect(alone.roles.map(({source}) => source)).not.toContain('broker')
  expect(alone.roles.map(({name}) => name)).toContain('ops')
  expect(alone.stderr).toMatch(/^prod: the broker’s roles are missing here: /)
})
