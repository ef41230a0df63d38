import {afterAll, beforeAll, expect, test} from 'vitest'
import {type Core, startCore} from './core.ts'

const ends: (() => Promise<void> | void)[] = []
let core: Core
beforeAll(async () => {
  core = await startCore(end => ends.push(end))
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

test('a changing command waits, is approved by somebody else and runs once', async () => {
  const [alice, bob] = await Promise.all([core.as('alice'), core.as('bob')])
  const run = alice.exec(['job', 'note', 'first'])
  const {request, approvers} = await run.message('waiting')
  expect(approvers).toContain('bob')
  await bob.approve(request)
  const {stdout, end, receipt} = await run.done
  expect(stdout.toString()).toBe('noted first\n')
  expect(end).toMatchObject({exit: {status: 0}, endedBy: null})
  expect(receipt).toMatchObject({tool: 'job', argv: ['job', 'note', 'first'], approvals: [{by: 'bob'}]})
})
