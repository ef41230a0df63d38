import {allowPattern, allowsNeed, breadthOf, leastRoles, onlyOn, parseAllow, parseNeed, readAllows} from '@prod/sdk/least-role'
import fc from 'fast-check'
import {expect, test} from 'vitest'

const allows = (patterns: string[], action: string, resource: string | null = null) => allowsNeed({allows: patterns}, {action, resource})

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
  expect(allows([pattern], action)).toBe(allowed)
})

test('a pattern says the same as the regular expression it stands for, and takes no longer for being odd', () => {
  const letters = fc.stringMatching(/^[ab*?]{0,12}$/)
  fc.assert(
    fc.property(letters, fc.stringMatching(/^[ab]{0,12}$/), (pattern, text) => {
      const same = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`).test(text)
      expect(allows([pattern], text)).toBe(same)
    }),
  )
  expect(allows([`${'a*'.repeat(60)}b`], 'a'.repeat(5000))).toBe(false)
})

test('one pattern that is wide is more than several that are narrow', () => {
  expect(breadthOf(['s3:GetObject', 's3:PutObject', 's3:DeleteObject'])).toBeLessThan(breadthOf(['s3:*']))
  expect(breadthOf(['s3:GetObject*'])).toBeLessThan(breadthOf(['s3:Get*']))
  expect(breadthOf(['s3:*', 'ec2:*', 'rds:*'])).toBeLessThan(breadthOf(['*']))
})

test('of two alike, the one that is held comes first', () => {
  const candidate = (name: string, held: boolean) => ({name, allows: ['s3:Get*'], class: 'read' as const, held})
  expect(
    leastRoles([candidate('asked', false), candidate('held', true)], [{action: 's3:GetObject', resource: null}]).map(({name}) => name),
  ).toEqual(['held', 'asked'])
})

test('an action, with or without what it is on', () => {
  expect(parseNeed('dynamodb:DeleteItem on arn:aws:dynamodb:eu-west-1:1:table/t')).toEqual({
    action: 'dynamodb:DeleteItem',
    resource: 'arn:aws:dynamodb:eu-west-1:1:table/t',
  })
  expect(parseNeed(' s3:GetObject ')).toEqual({action: 's3:GetObject', resource: null})
  for (const text of ['s3', 's3:Get*', 'get object', 's3:GetObject on', '']) expect(parseNeed(text)).toBeUndefined()
})

const table = 'arn:aws:dynamodb:eu-west-1:111122223333:table/orders'

test.for([
  ['dynamodb:DeleteItem', table, true],
  [`dynamodb:DeleteItem on ${table}`, table, true],
  ['dynamodb:Delete* on arn:aws:dynamodb:*:111122223333:table/ord*', table, true],
  [`dynamodb:DeleteItem on ${table}`, `${table}-old`, false],
  [`dynamodb:GetItem on ${table}`, table, false],
  // ARNs have letter case, and a role on some tables does not have what goes to all of them
  [`dynamodb:DeleteItem on ${table.toUpperCase().replace('ARN', 'arn')}`, table, false],
  [`dynamodb:DeleteItem on ${table}`, '*', false],
  ['dynamodb:DeleteItem', '*', true],
  // a name that is no ARN cannot be compared, and neither can nothing
  [`dynamodb:DeleteItem on ${table}`, 'orders', true],
  [`dynamodb:DeleteItem on ${table}`, null, true],
  // whoever means all that begins so needs it allowed for all that begins so
  ['s3:GetObject on arn:aws:s3:::reports/*', 'arn:aws:s3:::reports/*', true],
  ['s3:GetObject on arn:aws:s3:::reports/?', 'arn:aws:s3:::reports/*', false],
  ['s3:GetObject on arn:aws:s3:::reports/2026*', 'arn:aws:s3:::reports/*', false],
] as const)('%s and a resource %s: %s', ([allow, resource, allowed]) => {
  expect(allows([allow], allow.startsWith('s3') ? 's3:GetObject' : 'dynamodb:DeleteItem', resource)).toBe(allowed)
})

test('a role keeps to its account, its resources and its regions; an entry that names a resource says itself where that is', () => {
  const need = {action: 'dynamodb:DeleteItem', resource: table}
  const role = (more: object, ...entries: string[]) => ({allows: entries, ...more})
  expect(allowsNeed(role({account: '111122223333'}, 'dynamodb:*'), need)).toBe(true)
  expect(allowsNeed(role({account: '999988887777'}, 'dynamodb:*'), need)).toBe(false)
  expect(allowsNeed(role({account: '999988887777'}, `dynamodb:* on ${table}`), need)).toBe(true)
  expect(allowsNeed(role({resources: ['arn:aws:dynamodb:*:*:table/orders']}, 'dynamodb:*'), need)).toBe(true)
  expect(allowsNeed(role({resources: ['arn:aws:s3:::*']}, 'dynamodb:*'), need)).toBe(false)
  expect(allowsNeed(role({regions: ['eu-west-1']}, 'dynamodb:*'), need)).toBe(true)
  expect(allowsNeed(role({regions: ['us-east-1']}, 'dynamodb:*'), need)).toBe(false)
  // a bucket is in no account and no region, by its name
  expect(
    allowsNeed(role({account: '999988887777', regions: ['us-east-1']}, 's3:*'), {action: 's3:GetObject', resource: 'arn:aws:s3:::b/k'}),
  ).toBe(true)
})

test('of two alike the one that is bound to the resource is the less; where the resource is not known, the one that is bound to none is the surer', () => {
  const candidate = (name: string, ...entries: string[]) => ({name, allows: entries, class: 'change' as const, held: false})
  const roles = [candidate('any', 'dynamodb:DeleteItem'), candidate('bound', `dynamodb:DeleteItem on ${table}`)]
  const names = (resource: string | null) => leastRoles(roles, [{action: 'dynamodb:DeleteItem', resource}]).map(({name}) => name)
  expect(names(table)).toEqual(['bound', 'any'])
  expect(names(null)).toEqual(['any', 'bound'])
  expect(names(`${table}-old`)).toEqual(['any'])
  expect(onlyOn(roles[1] as (typeof roles)[1], 'dynamodb:DeleteItem')).toEqual([table])
  expect(onlyOn(roles[0] as (typeof roles)[0], 'dynamodb:DeleteItem')).toBeUndefined()
})

test('entries are read as they are written: in a catalog, and in a line beside a profile', () => {
  expect(parseAllow('s3:Get* on arn:aws:s3:::reports/*')).toEqual({actions: 's3:Get*', on: 'arn:aws:s3:::reports/*'})
  expect(readAllows('s3:Get*, s3:List* on arn:aws:s3:::reports  ec2:*')).toEqual(['s3:Get*', 's3:List* on arn:aws:s3:::reports', 'ec2:*'])
  const form = new RegExp(allowPattern)
  for (const good of ['s3:Get*', 's3:GetObject on arn:aws:s3:::a/x*', 'a:b on arn:aws:iam::111122223333:role/p@q.r'])
    expect(form.test(good), good).toBe(true)
  for (const bad of [
    's3',
    's3:Get on',
    's3:Get on reports',
    's3:Get  on arn:aws:s3:::b',
    's3:Get on arn:a b',
    's3:Get on *',
    's3:Get on arn:x\n',
  ])
    expect(form.test(bad), bad).toBe(false)
})
