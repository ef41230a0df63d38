import {ProdError} from '@prod/sdk/errors'
import {openStream} from '@prod/sdk/stream-client'
import {expect, onTestFinished, test} from 'vitest'
import {type Core, codeOf, newKey, notes, type Person, startCore, until} from './core.ts'

/** Commands with limits, and what they write down; `few` and `fast` are allowed at once. */
const tool = (dir: string) => `kind: Tool
name: few
summary: a command with limits
service: jobs
program: ${dir}/bin/job
run: { primitive: host, targets: [local, other, third] }
env: { JOB_DIR: ${dir}/jobs }
commands:
  - { path: [note], class: change, operands: [{ name: word, lock: true, type: { type: string } }, { name: delay, type: { type: string }, min: 0 }], limit: { perTarget: 2, per: 10m } }
  - { path: [fail], class: change, operands: [{ name: status, type: { type: string } }], limit: { perPerson: 3, per: 1h } }
  - { path: [say], class: read, operands: [{ name: words, type: { type: string }, min: 1, max: 9 }], limit: { perPerson: 40, total: 45, per: 1h } }
  - { path: [flood], class: read, operands: [{ name: bytes, type: { type: string } }], limit: { outputBytesPerDay: 10000 } }
`
const third = 'kind: Target\nname: third\naddress: host:third\nenvironment: staging\n'
const policy = 'permit (principal in Group::"engineers", action == Action::"run", resource in Tool::"few");\n'

async function start(settings: Parameters<typeof startCore>[1] = {}): Promise<Core> {
  const core = await startCore(end => onTestFinished(end), settings)
  await core.change('catalog/targets/third.yaml', third)
  await core.change('catalog/tools/few.yaml', tool(core.dir))
  await core.change('policy/global/few.cedar', policy)
  return core
}
const run = (who: Person, argv: string[], target = 'local') => who.exec(argv, {targets: [target]})
const code = (who: Person, argv: string[], target?: string) => codeOf(run(who, argv, target).done)
async function refusalOf(who: Person, argv: string[], target?: string): Promise<ProdError> {
  const error = await run(who, argv, target).done.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof ProdError)) throw new Error('it was not refused')
  return error
}

test('TM-F1: many starts at once by several clients of one person and of another: the limits are met, never passed', async () => {
  const core = await start({settings: {limits: [{per: '1h', perPerson: 9, total: 14}]}})
  const people = await Promise.all([core.as('alice'), core.as('alice', true), core.as('alice', true), core.as('erin')])
  const codes = await Promise.all(people.flatMap(who => Array.from({length: 12}, (_, at) => code(who, ['now', 'note', `n${at}`, '0']))))
  const of = (who: number) => codes.slice(who * 12, who * 12 + 12).filter(one => one === 'none').length
  expect(new Set(codes)).toEqual(new Set(['none', 'LIMIT_REACHED']))
  expect(of(0) + of(1) + of(2)).toBeLessThanOrEqual(9)
  expect(of(3)).toBeLessThanOrEqual(9)
  expect(codes.filter(one => one === 'none')).toHaveLength(14)
  expect(notes(core.dir).filter(line => line.startsWith('begin'))).toHaveLength(14)
  // what only reads is not counted with it
  expect(await code(people[0] as Person, ['few', 'say', 'x'])).toBe('none')
}, 240_000)

test('TM-F3: failing, cancelling, another spelling of the target or of what is locked, and a second account give no new budget', async () => {
  const core = await start()
  const alice = await core.as('alice')
  const admin = await core.as('alice.admin')
  expect(await code(alice, ['few', 'fail', '1'])).toBe('none')
  expect(await code(alice, ['few', 'fail', '7'], 'third')).toBe('none')
  expect(await code(admin, ['few', 'fail', '0'])).toBe('none')
  expect(await code(alice, ['few', 'fail', '0'])).toBe('LIMIT_REACHED')
  expect(await code(admin, ['few', 'fail', '0'])).toBe('LIMIT_REACHED')
  const refused = await refusalOf(alice, ['few', 'fail', '0'], 'other')
  expect(refused.message).toMatch(/^few fail by one person at most 3 times in 1h; free again at \d{4}-.*Z$/)
  expect(refused.hint).toMatch(/^try again in (1h|59m\d+s)$/)
  expect(refused.retryAfterSeconds).toBeGreaterThan(3500)

  // `other` is another name of the same machine
  expect(await code(alice, ['few', 'note', 'web-1', '0'])).toBe('none')
  const cut = run(alice, ['few', 'note', 'Web-1.service', '5'], 'other')
  await cut.message('started')
  ;(await cut.connection).send({type: 'cancel'})
  expect((await cut.done).end?.endedBy).toBe('cancelled')
  for (const name of ['web-1', 'WEB-1', 'web-1.', 'web-1.service']) {
    expect(await code(alice, ['few', 'note', name, '0'])).toBe('LIMIT_REACHED')
    expect(await code(await core.as('erin'), ['few', 'note', name, '0'], 'other')).toBe('LIMIT_REACHED')
  }
  expect(await code(alice, ['few', 'note', 'web-2', '0'])).toBe('none')
  expect(await code(alice, ['few', 'note', 'web-1', '0'], 'third')).toBe('none')
  core.forward(601_000)
  expect(await code(alice, ['few', 'note', 'web-1', '0'])).toBe('none')
}, 240_000)

test('a service narrows all that changes what belongs to it, an environment all that changes there', async () => {
  const core = await start({settings: {limits: [{per: '1h', perEnvironment: 5, class: ['change', 'admin']}]}})
  await core.change(
    'catalog/services/jobs.yaml',
    'kind: Service\nname: jobs\nowner: sre-leads\nlimits: { runs: { per: 1h, total: 3, perPerson: 2 } }\n',
  )
  const [alice, erin] = [await core.as('alice'), await core.as('erin')]
  const seen: string[] = []
  for (const [who, at] of [alice, alice, alice, erin, erin].entries()) seen.push(await code(at, ['few', 'note', `s${who}`, '0']))
  expect(seen).toEqual(['none', 'none', 'LIMIT_REACHED', 'none', 'LIMIT_REACHED'])
  // `now` belongs to nobody's service; the environment has counted it all
  expect(await code(alice, ['now', 'note', 'x', '0'], 'local')).toBe('none')
  expect(await code(alice, ['now', 'note', 'x', '0'], 'local')).toBe('none')
  expect((await refusalOf(alice, ['now', 'note', 'x', '0'], 'local')).message).toContain('in production at most 5 times in 1h')
}, 240_000)

test('TM-F3: a break-glass of the same person is counted and told, and what it used is gone', async () => {
  const core = await start({settings: {limits: [{per: '1h', perPerson: 2}]}})
  const alice = await core.as('alice')
  expect(await code(alice, ['now', 'note', 'a', '0'])).toBe('none')
  const breakGlass = async () => {
    const stream = await openStream({
      broker: alice.session.broker,
      session: alice.session,
      first: {
        type: 'shell',
        key: newKey(),
        target: 'local',
        reason: 'the budget is used up',
        incident: 'INC-9',
        size: {columns: 80, rows: 24},
        term: 'xterm',
        confirmed: 'local',
        wait: true,
        client: {version: 'test', platform: 'test'},
      },
    })
    const told: string[] = []
    for await (const event of stream) {
      if (event.type === 'message' && event.message.type === 'notice') told.push(event.message.text)
      if (event.type === 'message' && event.message.type === 'started') stream.send({type: 'cancel'})
      if (event.type === 'output') stream.wrote(event.stream as 'stdout', event.bytes.byteLength)
      if (event.type === 'end') break
    }
    stream.close()
    return told.filter(text => text.includes('beyond a limit'))
  }
  expect(await breakGlass()).toEqual([])
  expect(await code(alice, ['now', 'note', 'b', '0'])).toBe('LIMIT_REACHED')
  expect(await breakGlass()).toEqual([
    'you break glass beyond a limit: what is of class change, admin, shell starts by one person at most 2 times in 1h: this is number 3',
  ])
  expect((await core.events('session.opened')).map(({data}) => (data.beyondLimits as string[]).length)).toEqual([0, 1])
}, 240_000)

test('TM-J1: many small reads end at the day’s budget of output, side by side too; four fifths of it are an alarm', async () => {
  const core = await start()
  const [alice, erin] = [await core.as('alice'), await core.as('erin')]
  expect(await code(alice, ['few', 'flood', '4000'])).toBe('none')
  expect(core.alarms.map(({what}) => what)).not.toContain('four fifths of a daily limit on output are used')
  expect(await code(alice, ['few', 'flood', '4500'])).toBe('none')
  await until(() => core.alarms.some(({what}) => what === 'four fifths of a daily limit on output are used'))
  expect((await core.events('limit.nearly-used')).map(({data}) => data)).toEqual([{tool: 'few', used: 8500, most: 10_000}])
  // what is left is less than it puts out
  const {end} = await run(alice, ['few', 'flood', '4000']).done
  expect(end?.endedBy).toBe('limit: output')
  const refused = await refusalOf(alice, ['few', 'flood', '1'])
  expect(refused).toMatchObject({code: 'LIMIT_REACHED'})
  expect(refused.message).toContain('few gives one person at most 10000 bytes in a day')

  const codes = await Promise.all(Array.from({length: 20}, () => code(erin, ['few', 'flood', '900'])))
  for (let at = 0; at < 20; at++) codes.push(await code(erin, ['few', 'flood', '900']))
  const bytes = (await core.events('run.ended'))
    .filter(({personal}) => personal.person === 'erin')
    .reduce((sum, {data}) => sum + (data.stdout as {bytes: number}).bytes, 0)
  expect(bytes).toBeGreaterThanOrEqual(9900)
  expect(bytes).toBeLessThanOrEqual(10_800)
  expect(codes.at(-1)).toBe('LIMIT_REACHED')
  core.forward(86_400_000 + 1000)
  expect(await code(await core.as('erin', true), ['few', 'flood', '900'])).toBe('none')
}, 240_000)
