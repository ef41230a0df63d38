/** The story: who types what, what must come of it. */
import {readFileSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import type {Grant, Receipt, Review, Session} from '@prod/sdk'
import type {RealBroker, RealPerson} from '../e2e/broker.ts'
import {awsPart} from './aws-story.ts'
import {checkReceiptInLog, digest, find, must, mustBe} from './check.ts'
import {askJson, begin, beginAtTerminal, finish, part, run, showCommand, tell, until} from './stage.ts'

const slow = ['--reason', 'the site answers slowly']
const runsAs = /^web runs as process (\d+) /m

/** Plays all parts, one after another. Throws StoryBroke at the first that is not as it must be. */
export async function tellStory(broker: RealBroker): Promise<void> {
  const [alice, bob, carol] = ['alice', 'bob', 'carol'].map(name => broker.as(name, {login: false})) as [RealPerson, RealPerson, RealPerson]
  const cast = {broker, alice, bob, carol}
  await loginPart(cast)
  const pid = await lookPart(cast)
  const receipt = await changePart(cast, pid)
  await deniedPart(cast)
  await rolePart(cast)
  await awsPart(cast)
  await breakGlassPart(cast)
  await recordPart(cast, receipt)
}

interface Cast {
  broker: RealBroker
  /** an engineer */
  alice: RealPerson
  /** a lead */
  bob: RealPerson
  /** security */
  carol: RealPerson
}

async function loginPart({broker, alice, bob, carol}: Cast): Promise<void> {
  await part('1. A broker, and people who log in')
  await showCommand('broker', ['broker', 'start', '--dev', '--dir', broker.dir, '--json'])
  process.stdout.write(`${broker.readyLine}\n`)
  await tell('alice is an engineer, bob a lead, carol is from security. Each has a HOME of their own.')
  for (const person of [alice, bob, carol]) {
    must(await run(person, ['login', '--broker', broker.url, '--as', person.name]), {
      status: 0,
      stderr: new RegExp(`logged in to \\S+ as ${person.name} `),
    })
  }
}

/** Gives the process that the service is. */
async function lookPart({alice}: Cast): Promise<number> {
  await part('2. Looking changes nothing, so it runs at once')
  must(await run(alice, ['tools']), {status: 0, stdout: /^web restart +after approval +change/m})
  const {stdout} = must(await run(alice, ['exec', '--reason', 'looking around', 'web', 'status']), {status: 0, stdout: runsAs})
  await tell('Without a reason nothing runs. At a terminal prod asks for one; here there is none.')
  must(await run(alice, ['exec', 'web', 'status']), {status: 241, stdout: /^$/, stderr: /reason is missing/})
  return Number(find(runsAs, stdout))
}

/** Gives alice's receipt. */
async function changePart({alice, bob}: Cast, before: number): Promise<Receipt> {
  await part('3. A change waits for somebody else')
  const receiptFile = join(alice.home, 'receipt.json')
  const restart = await begin(alice, ['exec', ...slow, '--receipt', receiptFile, 'web', 'restart'])
  await restart.until(/waiting since \S+ for one of: bob\n/)
  const request = find(/prod request approve (req_\w+)/, restart.text())

  await tell('alice waits. She cannot approve it herself.')
  must(await run(alice, ['request', 'approve', request, '--yes']), {status: 243, stderr: /nobody approves their own request/})
  await tell('bob, in another terminal, sees exactly what will run, and signs those bytes.')
  must(await run(bob, ['request', 'ls']), {status: 0, stdout: new RegExp(`^${request} +pending +alice `, 'm')})
  must(await run(bob, ['request', 'approve', request, '--yes']), {
    status: 0,
    stdout: /argument 1: restart\n[\s\S]*the site answers slowly\n[\s\S]*^approved req_\w+ of alice$/m,
  })

  await tell('alice’s command goes on by itself: it prints what the tool printed, and ends as the tool ended.')
  const {stdout} = must(await finish(restart), {status: 0, stdout: runsAs})
  const after = Number(find(runsAs, stdout))
  mustBe('the service is another process now', after !== before && isGone(before) && !isGone(after))
  const receipt = JSON.parse(readFileSync(receiptFile, 'utf8')) as Receipt
  const {argv, exit, approvals, log} = receipt
  mustBe(
    'the receipt is of this output',
    receipt.request === request && receipt.stdout.sha256 === digest(stdout) && 'status' in exit && exit.status === 0,
  )
  const {document} = await askJson<{document: string}>(bob, ['request', 'show', request])
  mustBe('the receipt is of what bob approved', approvals[0]?.digest === digest(document))
  await tell(
    `The service was process ${before} and is ${after} now. alice has a receipt, signed by the broker: ${argv.join(' ')}, status 0, approved by ${approvals[0]?.by}, entry ${log.index} of the log.`,
  )
  return receipt
}

async function deniedPart({alice}: Cast): Promise<void> {
  await part('4. A refusal says why, and what to type instead')
  must(await run(alice, ['exec', ...slow, 'web', 'stop']), {
    status: 243,
    stdout: /^$/,
    stderr: /rule services\/web\/stop\.cedar#web-stop forbids it[\s\S]*prod request create web-operator/,
  })
  await tell('What the tool’s grammar does not have never reaches the tool.')
  must(await run(alice, ['exec', ...slow, 'web', 'logs', '--lines', '10; reboot']), {
    status: 243,
    stderr: /argument 3 of web: "10; reboot" is not a value of --lines/,
  })
}

async function rolePart({alice, bob}: Cast): Promise<void> {
  await part('5. A role for some seconds')
  const stop = ['exec', '--reason', 'stop it for maintenance', 'web', 'stop']
  const asking = await begin(alice, ['request', 'create', 'web-operator', '--duration', '8s', '--reason', 'stop it for maintenance'])
  const request = find(/(req_\w+)/, (await asking.until(/req_\w+ waits since \S+ for one of: bob/))[0])
  must(await run(bob, ['request', 'approve', request, '--yes']), {status: 0, stdout: /the role web-operator\n/})
  await tell('alice’s command ends: she holds the role now.')
  const {stdout} = must(await finish(asking), {status: 0, stdout: /^grant_\w+: web-operator for 8s$/m})
  const grant = find(/(grant_\w+)/, stdout)
  await tell('What was denied before is allowed now, and without waiting.')
  must(await run(alice, stop), {status: 0, stdout: /web is stopped/})
  must(await run(alice, ['exec', '--reason', 'stop it for maintenance', 'web', 'start']), {status: 0, stdout: runsAs})
  await tell('The grant ends by itself.')
  await until('the end of the grant', async () => {
    const mine = await askJson<Grant[]>(alice, ['grant', 'ls'])
    return mine.some(({id, state}) => id === grant && state === 'active') ? undefined : true
  })
  must(await run(alice, ['grant', 'ls']), {status: 0, stdout: new RegExp(`${grant} +expired`)})
  must(await run(alice, stop), {status: 243, stderr: /web-stop forbids it/})
}

async function breakGlassPart({broker, alice, carol}: Cast): Promise<void> {
  await part('7. Break-glass: loud, recorded, reviewed')
  await tell('Policy gives a shell to nobody. In an emergency there is this, at a terminal alone.')
  const shell = await beginAtTerminal(alice, ['shell', 'local', '--reason', 'the agent is wedged', '--incident', 'INC-42'])
  await shell.until(/type local to go on/)
  shell.press('local\r')
  const session = find(/(ses_\w+)/, (await shell.until(/ses_\w+ on local \(production\); it ends at /))[0])
  await shell.until(/\[BREAK-GLASS local\].*[#$] $/)
  for (const receiver of ['a', 'b']) {
    const alerts = readFileSync(join(broker.dir, 'alerts', `${receiver}.jsonl`), 'utf8')
    mustBe(
      `receiver ${receiver} has the alert`,
      alerts.split('\n').some(line => line.includes('"break-glass.started"') && line.includes(session)),
    )
  }

  await tell('Both alert receivers have it. carol is told, and watches.')
  const watching = await begin(carol, ['sessions', 'watch', session])
  await watching.until(/watching alice on local/)
  shell.press('echo "the agent answers: $((6 * 7))"\r')
  await watching.until(/^the agent answers: 42$/m)
  await tell('That was alice, typing. She leaves; here is her terminal.')
  await shell.until(/^the agent answers: 42$/m)
  shell.press('exit\r')
  must(await finish(shell), {status: 0, stdout: /its\s+review\s+waits/})
  await watching.ended

  await tell('The recording is sealed to security’s key. carol plays it; alice cannot review her own session, carol files the review.')
  must(await run(carol, ['sessions', 'play', session, '--identity', join(broker.dir, 'recording-key.txt'), '--speed', '0']), {
    status: 0,
    stdout: /the agent answers: 42/,
  })
  const sessions = await askJson<Session[]>(carol, ['sessions', 'ls'])
  mustBe(
    'the session is closed',
    sessions.some(({id, state}) => id === session && state === 'closed'),
  )
  const reviews = await askJson<Review[]>(carol, ['review', 'ls'])
  const review = find(/(rev_\w+)/, reviews.find(one => one.session === session)?.id ?? '')
  const verdict = ['review', 'done', review, '--verdict', 'ok', '--note', 'looked at the agent, as the incident says']
  must(await run(alice, verdict), {status: 243})
  must(await run(carol, verdict), {status: 0, stdout: /is done: ok/})
}

async function recordPart({broker, carol}: Cast, receipt: Receipt): Promise<void> {
  await part('8. The log, which nobody alters unseen')
  must(await run(carol, ['audit', 'tail', '-n', '8']), {status: 0, stdout: /review\.done/})
  must(await run(carol, ['audit', 'verify']), {status: 0, stdout: /^the log is whole: \d+ records$/m})
  const exported = join(carol.home, 'log.jsonl')
  must(await run(carol, ['audit', 'export', '-o', exported]), {status: 0})
  await tell('Without the broker: its folder, and the exported file.')
  const key = join(broker.dir, 'keys', 'log.pub')
  must(await run(carol, ['audit', 'verify', '--dir', broker.dir, '--key', key]), {status: 0, stdout: /^the log is whole/m})
  must(await run(carol, ['audit', 'verify', '--export', exported, '--key', key]), {status: 0, stdout: /^the log is whole/m})

  const lines = readFileSync(exported, 'utf8').split('\n')
  checkReceiptInLog(receipt, (JSON.parse(lines[receipt.log.index] ?? '{}') as {envelope: string}).envelope, broker.dir)
  const at = lines.findIndex(line => line.includes('run.ended'))
  const forged = join(carol.home, 'forged.jsonl')
  writeFileSync(forged, lines.with(at, (lines[at] ?? '').replace('run.ended', 'run.endet')).join('\n'))
  await tell(`One byte of record ${at} is changed in a copy.`)
  must(await run(carol, ['audit', 'verify', '--export', forged, '--key', key]), {
    status: 1,
    stdout: new RegExp(`^THE LOG IS NOT WHOLE: record ${at} is the first bad one$`, 'm'),
  })
  await tell('The first figures.')
  must(await run(carol, ['metrics']), {status: 0, stdout: /shells and commands +2 shells, \d+ commands/})
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}
