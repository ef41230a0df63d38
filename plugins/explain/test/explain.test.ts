import {explain} from '@prod/sdk/explain/explain'
import {expect, test} from 'vitest'
import {explainers} from '../src/index.ts'
import {messages} from './messages.ts'

test('the table has 150 messages and more', () => {
  expect(new Set(messages.map(([text]) => text)).size).toBeGreaterThanOrEqual(150)
})

test.for(messages)('%s', ([text, category, fields]) => {
  const found = explain(text, explainers)
  expect(found.category).toBe(category)
  if (!fields) return
  const {principal = null, action = null, resource = null, role = null, encoded = false} = fields
  expect({principal: found.principal, action: found.action, resource: found.resource, role: found.role, encoded: found.encoded}).toEqual({
    principal,
    action,
    resource,
    role,
    encoded,
  })
})
