import type {Use} from '@prod/sdk'
import fc from 'fast-check'
import {describe, expect, test} from 'vitest'
import {primitives} from '../src/index.ts'
import {documentOf, permissions} from '../src/permissions.ts'
import {parse} from '../src/target.ts'

const limits = {wallSeconds: 60, cpuSeconds: 60, memoryBytes: 1, processes: 1, fileBytes: 1, outputBytes: 1}
const exec: Use = {kind: 'exec', program: {path: '/bin/true'}, argv: ['true'], env: {}, limits, stdin: false}
const shell: Use = {kind: 'shell', size: {columns: 80, rows: 24}, env: {}, limits}
const forward = (host: string): Use => ({kind: 'forward', to: {host, port: 5432}})
const hex = 'ab'.repeat(32)

describe('what names an instance', () => {
  test('is its region and its id', () => {
    expect(parse('eu-west-1/i-0a1b2c3d4e5f67890')).toEqual({region: 'eu-west-1', instanceId: 'i-0a1b2c3d4e5f67890', tags: {}})
    expect(parse('us-gov-west-1/mi-0a1b2c3d4e5f67890')).toMatchObject({region: 'us-gov-west-1', instanceId: 'mi-0a1b2c3d4e5f67890'})
  })

  test('TM-X2: says what must be so when it is used, whatever signs a tag has', () => {
    const text = `eu-west-1/i-0a1b2c3d?account=111122223333&tag:Name=web%20%261&tag:a%3Db=%C3%BC&exec=Prod-Exec@${hex}&shell=Prod-Shell&logging=broker`
    expect(parse(text)).toEqual({
      region: 'eu-west-1',
      instanceId: 'i-0a1b2c3d',
      account: '111122223333',
      tags: {Name: 'web &1', 'a=b': 'ü'},
      exec: {name: 'Prod-Exec', sha256: hex},
      shell: {name: 'Prod-Shell'},
      logging: 'broker',
    })
  })

  test.each([
    '',
    'eu-west-1',
    'i-0a1b2c3d',
    'eu-west-1/i-xyz',
    'eu-west-1/web-1',
    'EU-WEST-1/i-0a1b2c3d',
    'eu-west-1/i-0a1b2c3d\n',
    'eu-west-1/i-0a1b2c3d?',
    'eu-west-1/i-0a1b2c3d?account=12',
    'eu-west-1/i-0a1b2c3d?account=111122223333&account=111122223333',
    'eu-west-1/i-0a1b2c3d?tag:=x',
    'eu-west-1/i-0a1b2c3d?tag:Name=%0a',
    'eu-west-1/i-0a1b2c3d?tag:Name=%zz',
    'eu-west-1/i-0a1b2c3d?exec=a b',
    'eu-west-1/i-0a1b2c3d?exec=Doc@12',
    'eu-west-1/i-0a1b2c3d?logging=off',
    'eu-west-1/i-0a1b2c3d?anything=else',
    'eu-west-1/../i-0a1b2c3d',
  ])('is not %j', text => {
    expect(() => parse(text)).toThrow(expect.objectContaining({code: 'TARGET_INVALID'}))
  })

  test('never throws anything but TARGET_INVALID', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.string().map(text => `eu-west-1/i-0a1b2c3d?${text}`),
        ),
        text => {
          try {
            parse(text)
          } catch (error) {
            expect(error).toMatchObject({code: 'TARGET_INVALID'})
          }
        },
      ),
    )
  })
})

describe('what a use needs', () => {
  const target = parse('eu-west-1/i-0a1b2c3d4e5f67890')

  test('TM-X1: a session on this instance, with this document alone, whose own permission is asked for', () => {
    expect(permissions(target, exec).filter(({actions}) => actions.includes('ssm:StartSession'))).toEqual([
      {
        kind: 'aws',
        actions: ['ssm:StartSession'],
        resources: ['arn:aws:ec2:eu-west-1:*:instance/i-0a1b2c3d4e5f67890'],
        conditions: {BoolIfExists: {'ssm:SessionDocumentAccessCheck': 'true'}},
      },
      {
        kind: 'aws',
        actions: ['ssm:StartSession'],
        resources: ['arn:aws:ssm:eu-west-1:*:document/AWS-StartNonInteractiveCommand'],
      },
    ])
  })

  test.each([
    [exec, 'AWS-StartNonInteractiveCommand'],
    [shell, 'SSM-SessionManagerRunShell'],
    [{...shell, runAs: 'ops'}, 'AWS-StartInteractiveCommand'],
    [forward('localhost'), 'AWS-StartPortForwardingSession'],
    [forward('db.internal'), 'AWS-StartPortForwardingSessionToRemoteHost'],
  ])('TM-X1: no use reaches the document of another (%#)', (use, document) => {
    const named = permissions(target, use)
      .filter(({actions}) => actions.includes('ssm:StartSession'))
      .flatMap(({resources}) => resources)
      .filter(arn => arn.includes(':document/'))
    expect(named).toEqual([`arn:aws:ssm:eu-west-1:*:document/${document}`])
  })

  test('TM-X1: sessions of others are neither resumed nor ended, nor their channels opened', () => {
    const own = permissions(target, shell).find(({actions}) => actions.includes('ssm:TerminateSession'))
    expect(own).toEqual({
      kind: 'aws',
      actions: ['ssmmessages:OpenDataChannel', 'ssm:ResumeSession', 'ssm:TerminateSession'],
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of IAM
      resources: ['arn:aws:ssm:eu-west-1:*:session/${aws:userid}-*'],
    })
  })

  test('TM-X2: an account and tags that were approved bound the permission too', () => {
    const [start] = permissions(parse('eu-west-1/i-0a1b2c3d?account=111122223333&tag:Role=web'), shell)
    expect(start).toMatchObject({
      resources: ['arn:aws:ec2:eu-west-1:111122223333:instance/i-0a1b2c3d'],
      conditions: {StringEquals: {'ssm:resourceTag/Role': 'web'}},
    })
  })

  test('a data key is for this instance alone, and no forward gets one', () => {
    const keys = (use: Use) => permissions(target, use).filter(({actions}) => actions.includes('kms:GenerateDataKey'))
    expect(keys(shell)).toMatchObject([{conditions: {StringEquals: {'kms:EncryptionContext:aws:ssm:TargetId': 'i-0a1b2c3d4e5f67890'}}}])
    expect(keys(forward('localhost'))).toEqual([])
  })

  test('fits into a session policy of STS with room for what a role adds', () => {
    const long = parse(`ap-southeast-1/mi-0a1b2c3d4e5f67890?account=111122223333&tag:Service=payments&exec=Prod-RunOneCommand@${hex}`)
    expect(JSON.stringify(permissions(long, exec).map(({kind, ...rest}) => rest)).length).toBeLessThan(1500)
  })

  test('machines outside of EC2 and other partitions have their own names', () => {
    const {resources} = permissions(parse('cn-north-1/mi-0a1b2c3d4e5f67890'), shell)[0] ?? {}
    expect(resources).toEqual(['arn:aws-cn:ssm:cn-north-1:*:managed-instance/mi-0a1b2c3d4e5f67890'])
  })

  test('a document of the catalog goes before AWS’s own', () => {
    const named = parse(`eu-west-1/i-0a1b2c3d?exec=Prod-Exec@${hex}&shell=Prod-Shell@${hex}`)
    expect([documentOf(named, exec), documentOf(named, shell), documentOf(target, shell)]).toEqual(['Prod-Exec', 'Prod-Shell', undefined])
  })
})

test('TM-N1: an instance is one machine by whichever way, and with whichever pins', () => {
  const machineOf = (id: string, where: string) => {
    const primitive = primitives.find(one => one.id === id)
    return primitive?.machine?.(primitive.parse(where))
  }
  const [one, other] = ['i-0a1b2c3d4e5f60001', 'i-0a1b2c3d4e5f60002']
  expect(machineOf('ssm', `eu-west-1/${one}?account=111122223333`)).toBe(`aws:eu-west-1/${one}`)
  expect(machineOf('ssm-command', `eu-west-1/${one}?most=1`)).toBe(`aws:eu-west-1/${one}`)
  expect(machineOf('ssm', `eu-west-2/${one}`)).toBe(`aws:eu-west-2/${one}`)
  // each of several, in one order
  for (const both of [`${other},${one}`, `${one},${other}`])
    expect(machineOf('ssm-command', `eu-west-1/${both}`)).toEqual([one, other].map(id => `aws:eu-west-1/${id}`))
  for (const id of ['ssm', 'ssm-command']) expect(machineOf(id, 'eu-west-1/*?tag:Role=web')).toBeUndefined()
})
