import {api} from '@prod/sdk/api'
import {expect, test} from 'vitest'
import {startCore} from './core.ts'
import {openCuttable} from './sessions-shell.ts'

// in a file of its own: for 15 seconds nothing else may touch this broker
test('a shell whose link stays cut is ended after 15 seconds', {timeout: 120_000}, async ({onTestFinished}) => {
  const core = await startCore(onTestFinished)
  const alice = await core.as('alice')
  const link = await openCuttable(alice)
  link.cut()
  const state = async () => alice.client.call(api.showSession, {id: link.id})
  await expect.poll(async () => (await state()).state, {timeout: 120_000, interval: 200}).toBe('closed')
  const {openedAt, closedAt, endedBy} = await state()
  expect(endedBy).toBe('detached')
  const seconds = (Date.parse(closedAt as string) - Date.parse(openedAt)) / 1000
  expect(seconds).toBeGreaterThanOrEqual(15)
  expect(seconds).toBeLessThan(25)
})
