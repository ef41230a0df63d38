import {ProdError} from '@prod/sdk/errors'
import {describe, expect, test} from 'vitest'
import {failureOf, findCauses} from '../src/preflight.ts'
import {programText, shellText} from '../src/script.ts'
import {findTail} from '../src/shell.ts'
import {isMany, machine, parse, permissions} from '../src/target.ts'
import {limits} from './here.ts'

test('an address names region, cluster, service and container; the first and the last may be left out', () => {
  expect(parse('prod/web')).toEqual({cluster: 'prod', service: 'web'})
  expect(parse('prod/web/app')).toEqual({cluster: 'prod', service: 'web', container: 'app'})
  expect(parse('eu-west-1/prod/web')).toEqual({region: 'eu-west-1', cluster: 'prod', service: 'web'})
  const pins = `?definition=web:42&account=111122223333&logging=broker&exec=Run@${'a'.repeat(64)}`
  expect(parse(`us-gov-west-1/prod/web/app${pins}`)).toEqual({
    region: 'us-gov-west-1',
    cluster: 'prod',
    service: 'web',
    container: 'app',
    pins,
    definition: 'web:42',
    account: '111122223333',
    logging: 'broker',
    exec: {name: 'Run', sha256: 'a'.repeat(64)},
  })
  expect(parse(`prod/-/job?task=${'0'.repeat(32)}`)).toMatchObject({service: '-', task: '0'.repeat(32)})
  expect(parse(`prod/web/app/${'0'.repeat(32)}`)).toEqual({cluster: 'prod', service: 'web', container: 'app', task: '0'.repeat(32)})
})

test('a star as the last name stands for many, and anywhere else for nothing', () => {
  for (const many of ['eu-west-1/*', 'prod/*', 'prod/web/*', 'eu-west-1/prod/web/app/*']) expect(isMany(parse(many))).toBe(true)
  const none = ['*', '*/web', 'prod/*/app', 'prod/web/*/x', 'prod', 'eu-west-1/prod', 'prod/web/app/x', `prod/web/app/${'0'.repeat(32)}/*`]
  const twice = `prod/web/app/${'0'.repeat(32)}?task=${'1'.repeat(32)}`
  for (const text of [...none, twice]) expect(() => parse(text), text).toThrow(expect.objectContaining({code: 'TARGET_INVALID'}))
})

test('TM-X1: a use may do no more than it needs, with the container, the cluster and the document that it names', () => {
  const target = parse('eu-west-1/prod/web/app?account=111122223333')
  const shell = permissions(target, {kind: 'shell', size: {columns: 1, rows: 1}, env: {}, limits})
  expect(shell.find(({actions}) => actions.includes('ecs:ExecuteCommand'))).toEqual({
    kind: 'aws',
    actions: ['ecs:ExecuteCommand'],
    resources: ['arn:aws:ecs:eu-west-1:111122223333:cluster/prod', 'arn:aws:ecs:eu-west-1:111122223333:task/prod/*'],
    conditions: {StringEquals: {'ecs:container-name': 'app'}},
  })
  expect(shell.flatMap(({actions}) => actions)).not.toContain('ssm:StartSession')
  const remote = permissions(target, {kind: 'forward', to: {host: 'db.internal', port: 5432}})
  expect(remote.flatMap(({resources}) => resources)).toContain(
    'arn:aws:ssm:eu-west-1:*:document/AWS-StartPortForwardingSessionToRemoteHost',
  )
  expect(remote.flatMap(({actions}) => actions)).not.toContain('ecs:ExecuteCommand')
  for (const each of [shell, remote]) expect(JSON.stringify(each).length).toBeLessThan(1600)
})

const mark = {left: 'a'.repeat(32), right: 'b'.repeat(32)}
const program = {path: '/usr/bin/app', argv: ['app', 'status'], env: {}, cpuSeconds: 60}

describe('TM-X5: one text goes to a container, and nothing of it is read by a shell but what is written here', () => {
  const hostile = [
    'a;b',
    '$(id)',
    '`id`',
    'a\nb',
    'a b',
    '',
    "it's",
    '"',
    'a|b',
    'a&b',
    '>x',
    '*',
    '~',
    '#',
    '\\',
    '{{x}}',
    '$x',
    '\u00e9',
    '\0',
    '!!',
  ]
  test.each(hostile)('the argument %j is refused, with its position', word => {
    expect(() => programText(mark, {...program, argv: ['app', 'ok', word]})).toThrow(
      expect.objectContaining({code: 'ARGV_REFUSED', position: 2}),
    )
  })
  test.each(hostile.filter(Boolean))('so are a path and a value of the catalog that hold %j', word => {
    expect(() => programText(mark, {...program, path: `/usr/bin/${word}`})).toThrow(ProdError)
    expect(() => programText(mark, {...program, env: {NAME: word}})).toThrow(ProdError)
    expect(() => shellText(mark, {TERM: word})).toThrow(ProdError)
  })
  test('two uses differ in plain words alone', () => {
    const fixed = (text: string): string => text.slice(0, text.lastIndexOf("'"))
    const one = programText(mark, program)
    const other = programText({left: 'c', right: 'd'}, {...program, argv: ['app', '--format=json', 'a@b:/c,d+e%f'], env: {A: '1'}})
    expect(fixed(one)).toBe(fixed(other))
    expect(other.slice(fixed(other).length)).toBe("' prod c d 60 A=1 /usr/bin/app --format=json a@b:/c,d+e%f")
    expect(fixed(one)).not.toContain('{{')
  })
  test('no text holds the mark as a whole', () => {
    for (const text of [programText(mark, program), shellText(mark, {})]) expect(text).not.toContain(`${mark.left}${mark.right}`)
  })
})

describe('the status of a shell is taken off the end of its output', () => {
  const whole = `${mark.left}${mark.right}`
  const read = (chunks: string[]): [string, number | undefined] => {
    const tail = findTail(mark)
    const out = chunks.map(chunk => tail.take(Buffer.from(chunk)).toString())
    const {rest, status} = tail.end()
    return [out.join('') + rest.toString(), status]
  }
  test('however it is cut', () => {
    const all = `$ exit 6\r\n${whole} 6\r\n`
    for (let at = 0; at <= all.length; at++) expect(read([all.slice(0, at), all.slice(at)])).toEqual(['$ exit 6\r\n', 6])
    expect(read([...all])).toEqual(['$ exit 6\r\n', 6])
  })
  test('in the midst of it, it is output', () => {
    for (const text of [`${whole} 0\r\nmore`, `${whole} 0`, whole, `${whole} 0\n${whole}`, mark.left, `${mark.left} ${mark.right} 0\r\n`])
      expect(read([...text])).toEqual([text, undefined])
    expect(read([`${whole} 1\r\n${whole} 2\r\n`])).toEqual([`${whole} 1\r\n`, 2])
  })
})

describe('the preflight names all that is missing, with the mend', () => {
  const facts = {
    region: 'eu-west-1',
    cluster: 'prod',
    service: {name: 'web', enableExecuteCommand: true},
    task: {id: 't1', enableExecuteCommand: true, launchType: 'FARGATE', platformVersion: '1.4.0'},
    container: {name: 'app', lastStatus: 'RUNNING', runtimeId: 'r', agent: {lastStatus: 'RUNNING'}},
    definition: {name: 'web:7', taskRoleArn: 'arn:aws:iam::111122223333:role/web', variables: ['PORT']},
  }
  const causes = (changes: object): string[] => findCauses({...facts, ...changes}).map(({cause}) => cause)
  test('nothing where all is well', () => expect(causes({})).toEqual([]))
  test.each([
    [{service: {name: 'web'}, task: {...facts.task, enableExecuteCommand: false}}, ['disabled']],
    [{task: {...facts.task, enableExecuteCommand: false}}, ['older']],
    [{service: undefined, task: {...facts.task, enableExecuteCommand: false}}, ['taskDisabled']],
    [{task: {...facts.task, platformVersion: '1.3.0'}}, ['platform']],
    [{task: {...facts.task, platformVersion: '1.0.0', platformFamily: 'Windows_Server_2019_Core'}}, []],
    [{task: {...facts.task, launchType: 'EC2', platformVersion: '1.3.0'}}, []],
    [{definition: {name: 'web:7', variables: ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']}}, ['role', 'keys']],
    [
      {definition: {...facts.definition, readonlyRootFilesystem: true}, container: {...facts.container, agent: {lastStatus: 'STOPPED'}}},
      ['readonly', 'agent'],
    ],
    [{container: {name: 'app', lastStatus: 'PENDING'}}, ['starting']],
    [{container: {name: 'app', lastStatus: 'RUNNING'}}, ['starting']],
    [{container: {name: 'app', lastStatus: 'RUNNING', runtimeId: 'r'}}, ['noAgent']],
  ])('%j is told as %j', (changes, expected) => expect(causes(changes)).toEqual(expected))
  test('several at once are one failure', () => {
    const found = findCauses({
      ...facts,
      service: {name: 'web'},
      task: {...facts.task, enableExecuteCommand: false, platformVersion: '1.3.0'},
    })
    const {message, hint} = failureOf(found)
    expect(message).toBe(
      'the service web has execute-command not enabled; the platform version 1.3.0 of Fargate has no ECS Exec, which needs 1.4.0',
    )
    expect(hint).toContain('aws ecs update-service --cluster prod --service web --enable-execute-command --force-new-deployment')
  })
})

test('TM-N1: a container is one machine with and without its region, and with whichever pins', () => {
  const task = '0'.repeat(32)
  const machineOf = (text: string) => machine(parse(text))
  for (const text of ['prod/web/app', 'eu-west-1/prod/web/app', `eu-west-1/prod/web/app?task=${task}&account=111122223333`])
    expect(machineOf(text), text).toBe('aws:ecs/prod/web/app')
  expect(machineOf(`eu-west-1/prod/web/app/${task}`)).toBe(`aws:ecs/prod/web/app/${task}`)
  expect(machineOf(`prod/-/job?task=${task}`)).toBe(`aws:ecs/prod/-/job/${task}`)
  expect(machineOf('prod/web')).toBe('aws:ecs/prod/web')
  for (const many of ['eu-west-1/*', 'prod/*', 'prod/web/*']) expect(machineOf(many)).toBeUndefined()
})
