import {allowsAll, breadthOf, leastRoles, parseNeed} from '@prod/sdk/least-role'
import fc from 'fast-check'
import {expect, test} from 'vitest'

test.for([
  ['s3:Get*', 's3:GetObject', true],
  ['s3:get*', 's3:GetObject', true],
  ['s3:Get?bject', 's3:GetObject', true],
  ['s3:Get', 's3:GetObject', false],
  ['*', 's3:GetObject', true],
  ['*:*', 's3:GetObject', true],
  ['s3:*Object', 's3:GetObject', true],
  ['s3:*Object', 's3:GetObjectAcl', false],
  ['s3*', 's3-outposts:GetObject', true],
  ['s3:*', 's3-outposts:GetObject', false],
  ['', 's3:GetObject', false],
] as const)('%s and %s', ([pattern, action, allowed]) => {
  expect(allowsAll([pattern], [action])).toBe(allowed)
})

test('a pattern says the same as the regular expression it stands for, and takes no longer for being odd', () => {
  const letters = fc.stringMatching(/^[ab*?]{0,12}$/)
  fc.assert(
    fc.property(letters, fc.stringMatching(/^[ab]{0,12}$/), (pattern, text) => {
      const same = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`).test(text)
      expect(allowsAll([pattern], [text])).toBe(same)
    }),
  )
  expect(allowsAll([`${'a*'.repeat(60)}b`], ['a'.repeat(5000)])).toBe(false)
})

test('one pattern that is wide is more than several that are narrow', () => {
  expect(breadthOf(['s3:GetObject', 's3:PutObject', 's3:DeleteObject'])).toBeLessThan(breadthOf(['s3:*']))
  expect(breadthOf(['s3:GetObject*'])).toBeLessThan(breadthOf(['s3:Get*']))
  expect(breadthOf(['s3:*', 'ec2:*', 'rds:*'])).toBeLessThan(breadthOf(['*']))
})

test('of two alike, the one that is held comes first', () => {
  const candidate = (name: string, held: boolean) => ({name, allows: ['s3:Get*'], class: 'read' as const, held})
  expect(leastRoles([candidate('asked', false), candidate('held', true)], ['s3:GetObject']).map(({name}) => name)).toEqual([
    'held',
    'asked',
  ])
})

test('an action, with or without what it is on', () => {
  expect(parseNeed('dynamodb:DeleteItem on arn:aws:dynamodb:eu-west-1:1:table/t')).toEqual({
    action: 'dynamodb:DeleteItem',
    resource: 'arn:aws:dynamodb:eu-west-1:1:table/t',
  })
  expect(parseNeed(' s3:GetObject ')).toEqual({action: 's3:GetObject', resource: null})
  for (const text of ['s3', 's3:Get*', 'get object', 's3:GetObject on', '']) expect(parseNeed(text)).toBeUndefined()
})
