/**
 * Break-glass when the broker is gone: the built CLI at a terminal, an instance of the stand-in of AWS, receivers that are nobody's but the tests'.
 * The tests go one after the other, as such a night does.
 */
import {cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import type {Review, Session} from '@prod/sdk'
import {verifyWebhook} from '@prod/webhook'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {defaults} from '../../plugins/broker/src/config.ts'
import {type Broker, startBroker} from '../../plugins/broker/src/main.ts'
import {prepareFolder} from '../../plugins/broker/test/core.ts'
import {type StandIn, startStandIn} from '../sessions-stand-in/stand-in.ts'
import {openPerson, type RealPerson} from './broker.ts'
import {openScreen} from './screen.ts'

const ends: (() => Promise<void> | void)[] = []
let aws: StandIn
let base: string
let broker: Broker | undefined
let serves = false
let [alice, carol] = [] as unknown as [RealPerson, RealPerson]
const alarms: {what: string; faults?: string[]}[] = []

/** A receiver that believes what is signed alone. */
interface Receiver {
  url: string
  secret: string
  deaf: boolean
  got: {type: string; subject: string; title: string; digest: string | null; holder?: string}[]
}
const receivers: Receiver[] = []

async function startReceiver(): Promise<Receiver> {
  const receiver: Receiver = {url: '', secret: `whsec_${Buffer.alloc(32, receivers.length + 1).toString('base64')}`, deaf: false, got: []}
  const server = createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      try {
        const body = Buffer.concat(pieces)
        const {holder} = verifyWebhook(request.headers, body, [receiver.secret], new Date())
        if (!receiver.deaf) receiver.got.push({...JSON.parse(body.toString()), ...(holder === undefined ? {} : {holder})})
        response.writeHead(receiver.deaf ? 503 : 204).end()
      } catch {
        response.writeHead(401).end()
      }
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  ends.push(() => {
    server.closeAllConnections()
    server.close()
  })
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  receivers.push(receiver)
  return receiver
}

const web1 = `kind: Target
name: web-1
address: ssm:us-east-1/i-0a1b2c3d4e5f60001
environment: production
offline: { role: break-glass }
`
/** Starts the broker, at the address it had. */
async function start(breakGlass: Partial<typeof defaults.breakGlass> = {}): Promise<void> {
  const port = broker === undefined ? 0 : Number(new URL(broker.ready.url).port)
  const channels = ['a', 'b'].map((name, at) => ({
    name,
    notifier: 'webhook',
    config: {url: (receivers[at] as Receiver).url, secretFile: join(base, `${name}.secret`)},
  }))
  serves = true
  broker = await startBroker({
    development: true,
    dir: join(base, 'broker'),
    port,
    alarm: line => alarms.push(JSON.parse(line)),
    settings: {channels, alertChannels: ['a', 'b'], breakGlass: {...defaults.breakGlass, alertSeconds: 8, ...breakGlass}},
  })
}

async function stop(): Promise<void> {
  if (serves) await broker?.stop()
  serves = false
}

const stateOf = (person: RealPerson) => join(person.home, '.local/state/prod/break-glass')
const spools = () => readdirSync(stateOf(alice)).sort()
const got = (type: string) => receivers.map(one => one.got.filter(notice => notice.type === type))
const asked = ['--reason', 'the site is down and nobody answers', '--incident', 'INC-7']
const offline = ['shell', 'web-1', '--offline', ...asked]

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'prod-offline-'))
  ends.push(() => rmSync(base, {recursive: true, force: true}))
  aws = await startStandIn({
    region: 'us-east-1',
    agent: {outputDelayMs: 0, pieceDelayMs: 0},
    roles: {'break-glass': {allows: {Statement: {Effect: 'Allow', Action: '*', Resource: '*'}}}},
  })
  ends.push(() => aws.close())
  for (const name of ['a', 'b']) writeFileSync(join(base, `${name}.secret`), (await startReceiver()).secret, {mode: 0o600})
  await prepareFolder(join(base, 'broker'), {'catalog/targets/web-1.yaml': web1})
  await start()
  ends.push(stop)
  const url = broker?.ready.url as string
  ;[alice, carol] = [openPerson('alice', join(base, 'alice'), url), openPerson('carol', join(base, 'carol'), url)]
  // what a person has of AWS: keys of their own, and the role that the company keeps for such a night
  Object.assign(alice.env, {AWS_ENDPOINT_URL: aws.url, AWS_EC2_METADATA_DISABLED: 'true'})
  mkdirSync(join(alice.home, '.aws'))
  writeFileSync(
    join(alice.home, '.aws/config'),
    `[profile base]
aws_access_key_id = ${aws.env.AWS_ACCESS_KEY_ID}
aws_secret_access_key = ${aws.env.AWS_SECRET_ACCESS_KEY}
aws_session_token = ${aws.env.AWS_SESSION_TOKEN}
[profile break-glass]
role_arn = arn:aws:iam::111122223333:role/break-glass
source_profile = base
role_session_name = alice
region = us-east-1
`,
    {mode: 0o600},
  )
  await Promise.all([alice.login(), carol.login()])
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

test('TM-O6: with a login comes a kit, and nothing of it can be read but where, until when and whom it alerts', async () => {
  const {status, stdout} = await alice.run(['break-glass', 'status', '--json'])
  expect(status).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({
    kit: expect.stringMatching(/^kit_/),
    targets: [{name: 'web-1', role: 'break-glass'}],
    channels: ['a', 'b'],
    spools: [],
  })
  expect(stdout).not.toContain('whsec_')
  expect((await carol.run(['break-glass', 'status'])).stdout).toMatch(/gave no break-glass kit: no target/)
})

test('TM-O8: a drill goes the whole way, to the shell and back, and is handed in', async ({onTestFinished}) => {
  const screen = await openScreen(onTestFinished, alice, ['break-glass', 'drill', 'web-1'])
  await screen.until(/type web-1 to go on/)
  screen.type('web-1\r')
  expect(await screen.ended, screen.text()).toBe(0)
  for (const step of ['kit', 'credential', 'alerts', 'shell', 'recording', 'handed in']) expect(screen.text()).toContain(`ok  ${step}`)
  expect(got('break-glass.drill')).toEqual(
    [0, 1].map(() => [expect.objectContaining({holder: 'alice', title: expect.stringContaining('DRILL')})]),
  )
  expect(spools()).toEqual([])
  expect((await alice.run(['doctor'])).stdout).toMatch(/ok +broker: break-glass drill +0 days ago/)
  expect(JSON.parse((await carol.run(['sessions', 'ls', '--json'])).stdout)).toEqual([])
})

test('TM-O6: while the broker answers nobody goes around it', async ({onTestFinished}) => {
  const screen = await openScreen(onTestFinished, alice, offline)
  expect(await screen.ended).toBe(241)
  expect(screen.text()).toMatch(/answers, so break-glass goes through it/)
})

test('TM-O6: with the broker gone, prod shell ends with 246 and says what is possible', async ({onTestFinished}) => {
  await stop()
  const screen = await openScreen(onTestFinished, alice, ['shell', 'web-1', ...asked])
  expect(await screen.ended).toBe(246)
  // a long line is broken between words
  expect(
    screen
      .text()
      .replace(/\n {6}/g, ' ')
      .replaceAll('\n', ''),
  ).toMatch(/your break-glass kit reaches web-1 without it.*prod shell web-1 --offline/)
  const none = await openScreen(onTestFinished, carol, ['shell', 'web-1', ...asked])
  expect(await none.ended).toBe(246)
  expect(none.text()).toMatch(/gave no break-glass kit/)
})

test('TM-O1: another name typed, no terminal, CI, a wrong incident or another target opens nothing and alerts nobody', async ({
  onTestFinished,
}) => {
  const wrong = await openScreen(onTestFinished, alice, offline)
  await wrong.until(/BREAK-GLASS WITHOUT THE BROKER on web-1 \(production\)/)
  await wrong.until(/type web-1 to go on/)
  wrong.type('web-2\r')
  expect(await wrong.ended).toBe(241)
  expect(await alice.run(offline, {stdin: 'web-1\ny\n'})).toMatchObject({status: 241, stdout: ''})
  const refused = async (args: string[], status: number, text: RegExp, env: Record<string, string> = {}) => {
    const screen = await openScreen(onTestFinished, alice, args, {env})
    expect(await screen.ended).toBe(status)
    expect(screen.text()).toMatch(text)
  }
  await refused(offline, 241, /CI is set/, {CI: 'true'})
  await refused([...offline.slice(0, -1), 'whatever'], 241, /the incident must look like/)
  await refused(['shell', 'ledger', ...offline.slice(2)], 243, /does not name ledger; it names web-1/)
  expect(got('break-glass.started')).toEqual([[], []])
  expect(spools()).toEqual([])
})

test('TM-O6: a kit on another machine, with another login, is worth nothing', async ({onTestFinished}) => {
  const kits = '.local/state/prod/kits'
  cpSync(join(carol.home, kits), join(base, 'carols-kit'), {recursive: true})
  cpSync(join(alice.home, kits), join(carol.home, kits), {recursive: true, force: true})
  const screen = await openScreen(onTestFinished, carol, offline)
  expect(await screen.ended).toBe(243)
  expect(screen.text()).toMatch(/the break-glass kit is that of another login/)
  cpSync(join(base, 'carols-kit'), join(carol.home, kits), {recursive: true, force: true})
})

test('TM-O2: while one channel does not accept the alert nothing opens', async ({onTestFinished}) => {
  ;(receivers[1] as Receiver).deaf = true
  const sessions = aws.calls.filter(({action}) => action === 'StartSession').length
  const screen = await openScreen(onTestFinished, alice, offline)
  await screen.until(/type web-1 to go on/)
  screen.type('web-1\r')
  expect(await screen.ended).toBe(247)
  expect(screen.text()).toMatch(/the alert was not accepted by b, so nothing was opened/)
  expect(aws.calls.filter(({action}) => action === 'StartSession')).toHaveLength(sessions)
  ;(receivers[1] as Receiver).deaf = false
})

test('TM-O2, TM-O6: after both have accepted the shell opens by the person\u2019s own role, under its banner, and is told at its end', async ({
  onTestFinished,
}) => {
  const screen = await openScreen(onTestFinished, alice, offline, {columns: 90, rows: 24})
  await screen.until(/type web-1 to go on/)
  screen.type('web-1\r')
  await screen.until(/ses_\w+ on web-1 \(production\); it ends at/)
  await screen.until(/bash.*[#$] ?$/m)
  screen.type('echo found-$((40+2)); stty size\r')
  await screen.until(/^found-42$/m)
  await screen.until(/^24 90$/m)
  screen.type('exit\r')
  expect(await screen.ended).toBe(0)
  expect(screen.text()).toMatch(/is closed; it is handed in as soon as the broker answers/)
  expect(screen.titles.some(title => title.startsWith('BREAK-GLASS WITHOUT THE BROKER web-1'))).toBe(true)
  const started = aws.calls.findLast(({action}) => action === 'StartSession')
  const by = [...aws.world.identities.values()].find(({accessKeyId}) => accessKeyId === started?.accessKeyId)
  expect(by?.arn).toBe('arn:aws:sts::111122223333:assumed-role/break-glass/alice')
  for (const type of ['break-glass.started', 'break-glass.ended'])
    for (const notices of got(type))
      expect(notices.at(-1)).toMatchObject({holder: 'alice', digest: expect.stringMatching(/^[0-9a-f]{64}$/)})
  // nothing of the credential, the session's token or its bytes lies here in clear
  const id = spools().at(-1) as string
  const folder = join(stateOf(alice), id)
  const files = readdirSync(folder)
    .map(name => readFileSync(join(folder, name), 'latin1'))
    .join()
  for (const secret of ['found-42', by?.secretAccessKey, by?.sessionToken]) expect(files).not.toContain(secret)
})

test('TM-O6: a CLI that is killed in the middle leaves a spool that ends where it ended', async ({onTestFinished}) => {
  const screen = await openScreen(onTestFinished, alice, offline)
  await screen.until(/type web-1 to go on/)
  screen.type('web-1\r')
  await screen.until(/bash.*[#$] ?$/m)
  screen.type('echo pid-$((6*7))\r')
  await screen.until(/^pid-42$/m)
  const entries = () => readFileSync(join(stateOf(alice), spools().at(-1) as string, 'entries.jws'), 'utf8').split('\n')
  const shown = entries().length
  screen.type('#') // what comes after it is sealed after it
  await expect.poll(() => entries().length, {timeout: 60_000}).toBeGreaterThan(shown)
  await screen.kill()
  expect(spools()).toHaveLength(3)
  expect((await alice.run(['break-glass', 'hand-in'])).status).toBe(246)
})

test('TM-O4: a shell whose recording is lost is ended', async ({onTestFinished}) => {
  const screen = await openScreen(onTestFinished, alice, offline)
  await screen.until(/type web-1 to go on/)
  screen.type('web-1\r')
  await screen.until(/bash.*[#$] ?$/m)
  rmSync(join(stateOf(alice), spools().at(-1) as string), {recursive: true})
  screen.type('echo unseen\r')
  expect(await screen.ended).toBe(249)
  expect(screen.text()).toMatch(/was ended: recording lost/)
  expect(got('break-glass.ended').map(notices => notices.length)).toEqual([2, 2])
})

test('TM-O6: what was altered on the machine is refused and is an alarm; as it was, it goes home', async () => {
  await start()
  const entries = join(stateOf(alice), spools().at(-1) as string, 'entries.jws')
  const written = readFileSync(entries, 'utf8')
  writeFileSync(entries, written.split('\n').toSpliced(2, 1).join('\n'))
  const refused = await alice.run(['break-glass', 'hand-in'])
  expect(refused).toMatchObject({status: 241, stderr: expect.stringContaining('is not the one that was written there')})
  expect(alarms.map(({what}) => what)).toContain('the spool of a break-glass without the broker was altered')
  expect(spools()).toHaveLength(1)
  expect((await alice.run(['doctor'])).stdout).toMatch(/FAIL +break-glass spool +ses_/)
  writeFileSync(entries, written)
})

test('TM-O6: when the broker is back all of it goes home with the next command; the review follows, and the recording is whole', async () => {
  const back = await alice.run(['exec', '--reason', 'is it back again', '--on', 'local', 'job', 'say', 'hello'])
  expect(back.status, back.stderr).toBe(0)
  // what did not get through beside it goes along now
  expect((await alice.run(['break-glass', 'hand-in'])).status).toBe(0)
  expect(spools()).toEqual([])
  const sessions = JSON.parse((await carol.run(['sessions', 'ls', '--json'])).stdout) as Session[]
  expect(sessions).toMatchObject([
    {principal: {name: 'alice'}, breakGlass: true, endedBy: 'cut short', offline: {}},
    {principal: {name: 'alice'}, breakGlass: true, endedBy: null, exit: {status: 0}, offline: {}},
  ])
  expect(alarms.map(({what, faults}) => [what, faults])).toContainEqual([
    'a break-glass without the broker is not as its kit allows',
    ['it is cut short'],
  ])
  const [cut, whole] = sessions as [Session, Session]
  const identity = join(base, 'broker/recording-key.txt')
  for (const [{id}, text] of [
    [whole, 'found-42'],
    [cut, 'pid-42'],
  ] as const)
    expect((await carol.run(['sessions', 'play', id, '--identity', identity, '--speed', '0'])).stdout).toContain(text)
  const reviews = JSON.parse((await carol.run(['review', 'ls', '--json'])).stdout) as Review[]
  expect(reviews.map(({session}) => session).sort()).toEqual([cut.id, whole.id].sort())
  const done = ['review', 'done', whole.review as string, '--verdict', 'ok', '--note', 'the site was down, as the incident says']
  expect((await alice.run(done)).status).toBe(243)
  expect((await carol.run(done)).status).toBe(0)
  expect((await carol.run(['audit', 'search', 'break-glass.unalerted'])).stdout).toContain('break-glass.unalerted')
})

test('TM-O7: it is told again while it is open, and ends after its time, which nothing extends', async ({onTestFinished}) => {
  await stop()
  await start({maxSeconds: 4, remindSeconds: 1})
  expect((await alice.run(['login', '--broker', broker?.ready.url as string, '--as', 'alice'])).status).toBe(0)
  await stop()
  const screen = await openScreen(onTestFinished, alice, offline)
  await screen.until(/type web-1 to go on/)
  screen.type('web-1\r')
  expect(await screen.ended).toBe(249)
  expect(screen.text()).toMatch(/was ended: limit: time/)
  for (const notices of got('break-glass.goes-on')) expect(notices.length).toBeGreaterThan(0)
})
