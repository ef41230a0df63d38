import {api} from '@prod/sdk/api'
import {expect, test} from 'vitest'
import {countMint} from '../src/runs/limits.ts'
import {codeOf, startCore} from './core.ts'
import {makeFolder, openFolder} from './store-folder.ts'

const alice = {iss: 'https://idp.example', sub: 'a-1', person: 'alice'}
const again = {iss: 'https://other.example', sub: 'a-2', person: 'ALICE'}
const erin = {...alice, sub: 'e-1', person: 'erin'}

test('TM-F1: one person gets so many credentials in ten minutes, by all their accounts, and somebody else as many', async () => {
  let ahead = 0
  const {dir, remove} = makeFolder()
  const store = await openFolder(dir, () => new Date(Date.now() + ahead))
  try {
    const codes = await Promise.all(Array.from({length: 130}, (_, at) => codeOf(countMint({store}, at % 2 === 0 ? alice : again))))
    expect(codes.filter(code => code === 'none')).toHaveLength(120)
    expect(new Set(codes)).toEqual(new Set(['none', 'LIMIT_REACHED']))
    expect(await codeOf(countMint({store}, erin))).toBe('none')
    ahead = 610_000
    expect(await codeOf(countMint({store}, again))).toBe('none')
  } finally {
    await store.close()
    remove()
  }
})

test('TM-E13, TM-F1: one person’s CLI fills no log with what it tells of itself', async ({onTestFinished}) => {
  const core = await startCore(onTestFinished)
  const [alice, bob] = await Promise.all([core.as('alice'), core.as('bob')])
  const events = [{command: 'whoami', durationMs: 1, exit: 0, at: new Date().toISOString()}]
  const codes = await Promise.all(Array.from({length: 130}, () => codeOf(alice.client.call(api.usage, {events}))))
  expect(codes.filter(code => code === 'none')).toHaveLength(120)
  expect(new Set(codes)).toEqual(new Set(['none', 'LIMIT_REACHED']))
  expect(await codeOf(bob.client.call(api.usage, {events}))).toBe('none')
  expect(await core.events('usage.reported')).toHaveLength(121)
})
