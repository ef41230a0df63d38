import {execFile, spawnSync} from 'node:child_process'
import {promisify} from 'node:util'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {type StandIn, startStandIn} from './stand-in.ts'
import {call, start} from './test-client.ts'
import {account, type Document} from './world.ts'

const [one, two, three] = ['i-0a1b2c3d4e5f60001', 'i-0a1b2c3d4e5f60002', 'i-0a1b2c3d4e5f60003'] as const
const documents: Document[] = [
  {
    name: 'Deploy',
    type: 'Automation',
    owner: 'self',
    version: '1',
    content: {
      schemaVersion: '0.3',
      parameters: {word: {type: 'String'}, ids: {type: 'StringList'}},
      outputs: ['say.Output'],
      mainSteps: [
        {name: 'ask', action: 'aws:approve', inputs: {Approvers: ['*']}},
        {
          name: 'say',
          action: 'aws:runCommand',
          inputs: {DocumentName: 'AWS-RunShellScript', InstanceIds: '{{ ids }}', Parameters: {commands: ['echo {{ word }}']}},
        },
      ],
    },
  },
  {
    name: 'Two-Steps',
    type: 'Command',
    owner: 'self',
    version: '1',
    content: {
      schemaVersion: '2.2',
      parameters: {word: {type: 'String', allowedPattern: '^[a-z]+$'}},
      mainSteps: [
        {name: 'first', action: 'aws:runShellScript', inputs: {runCommand: ['echo {{ word }}']}},
        {name: 'second', action: 'aws:runShellScript', inputs: {runCommand: ['exit 4']}},
      ],
    },
  },
]

let standIn: StandIn
beforeAll(async () => {
  standIn = await startStandIn({
    documents,
    roles: {web: {allows: {Statement: {Effect: 'Allow', Action: ['ssm:*', 'ssmmessages:*'], Resource: '*'}}}},
  })
})
afterAll(() => standIn.close())

const ssm = (action: string, input: object, caller?: Parameters<typeof call>[4]): ReturnType<typeof call> =>
  call(standIn, 'ssm', action, input, caller)

/** Asks until the answer is as it should be. */
async function until<T>(ask: () => Promise<T>, holds: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask()
    if (holds(answer)) return answer
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

test('a session policy lets its holder start one document on one instance, and touch its own sessions alone', async () => {
  const arn = (rest: string): string => `arn:aws:${rest}`
  const bounded = standIn.register({
    name: 'bob',
    userId: 'AROA00000000000000B0:bob',
    sessionToken: 'token of bob',
    policy: {
      Statement: [
        {
          Effect: 'Allow',
          Action: 'ssm:StartSession',
          Resource: arn(`ec2:us-east-1:${account}:instance/${one}`),
          Condition: {BoolIfExists: {'ssm:SessionDocumentAccessCheck': 'true'}},
        },
        {Effect: 'Allow', Action: 'ssm:StartSession', Resource: arn(`ssm:us-east-1:${account}:document/Prod-RunCommand`)},
        {
          Effect: 'Allow',
          Action: ['ssm:ResumeSession', 'ssm:TerminateSession', 'ssmmessages:OpenDataChannel'],
          Resource: arn(`ssm:us-east-1:${account}:session/\${aws:userid}-*`),
        },
      ],
    },
  })
  const run = {Target: one, DocumentName: 'Prod-RunCommand', Parameters: {command: ['true']}}
  const mine = await start(standIn, run, {caller: bounded})
  await mine.closed
  const refused = async (action: string, input: object): Promise<string> => (await ssm(action, input, bounded)).__type ?? 'let in'
  expect(await refused('StartSession', {...run, Target: two})).toBe('AccessDeniedException')
  expect(await refused('StartSession', {Target: one})).toBe('AccessDeniedException')
  expect(await refused('StartSession', {Target: one, DocumentName: 'AWS-StartSSHSession'})).toBe('AccessDeniedException')
  const other = await start(standIn, {Target: one})
  expect(await refused('ResumeSession', {SessionId: other.id})).toBe('AccessDeniedException')
  expect(await refused('TerminateSession', {SessionId: other.id})).toBe('AccessDeniedException')
  expect(await refused('TerminateSession', {SessionId: mine.id})).toBe('let in')
  expect(await refused('SendCommand', {DocumentName: 'AWS-RunShellScript', InstanceIds: [one], Parameters: {commands: ['id']}})).toBe(
    'AccessDeniedException',
  )
  other.close()
})

test('a call with a wrong signature, an unknown key, or a credential that has ended is refused', async () => {
  const known = standIn.register({})
  const type = async (caller: Parameters<typeof call>[4]): Promise<unknown> =>
    (await ssm('GetConnectionStatus', {Target: one}, caller)).__type
  expect(await type(known)).toBeUndefined()
  expect(await type({...known, secretAccessKey: 'x'})).toBe('InvalidSignatureException')
  expect(await type({...known, accessKeyId: 'AKIANOBODY'})).toBe('UnrecognizedClientException')
  expect(await type(standIn.register({sessionToken: 'x', endsAt: 1}))).toBe('ExpiredTokenException')
})

test('an action fails, or is throttled, as often as it was told to, and calls are on record', async () => {
  standIn.fail('GetConnectionStatus', 'ThrottlingException', 2)
  const types = []
  for (let at = 0; at < 3; at++) types.push((await ssm('GetConnectionStatus', {Target: one})).__type)
  expect(types).toEqual(['ThrottlingException', 'ThrottlingException', undefined])
  expect(standIn.calls.slice(-3).map(it => `${it.service} ${it.action} ${it.outcome}`)).toEqual([
    'ssm GetConnectionStatus ThrottlingException',
    'ssm GetConnectionStatus ThrottlingException',
    'ssm GetConnectionStatus ok',
  ])
})

test('a command runs on an instance, and its outcome is not known at once', async () => {
  const sent = await ssm('SendCommand', {
    DocumentName: 'AWS-RunShellScript',
    InstanceIds: [one],
    Parameters: {commands: ['echo out', 'echo err >&2', 'pwd', 'exit 3']},
  })
  const {CommandId} = sent.Command as unknown as {CommandId: string}
  const ask = {CommandId, InstanceId: one}
  expect((await ssm('GetCommandInvocation', ask)).__type).toBe('InvocationDoesNotExist')
  const done = await until(
    () => ssm('GetCommandInvocation', ask),
    it => it.Status === 'Failed',
  )
  expect(done).toMatchObject({ResponseCode: 3, StandardErrorContent: 'err\nfailed to run commands: exit status 3'})
  expect(done.StandardOutputContent).toMatch(new RegExp(`^out\n.*${one}\n$`))
})

test('a document of two steps needs the name of one, and its parameters are checked', async () => {
  const bad = await ssm('SendCommand', {DocumentName: 'Two-Steps', InstanceIds: [one], Parameters: {word: ['A;b']}})
  expect(bad.__type).toBe('InvalidParameters')
  const sent = await ssm('SendCommand', {DocumentName: 'Two-Steps', InstanceIds: [one], Parameters: {word: ['hello']}})
  const {CommandId = ''} = sent.Command as unknown as Record<string, string>
  await standIn.world.commands.get(CommandId)?.ended
  const ask = (PluginName?: string): ReturnType<typeof call> => ssm('GetCommandInvocation', {CommandId, InstanceId: one, PluginName})
  await ask()
  expect((await ask()).__type).toBe('InvalidPluginName')
  expect(await ask('first')).toMatchObject({StandardOutputContent: 'hello\n', ResponseCode: 0, Status: 'Success'})
  expect(await ask('second')).toMatchObject({ResponseCode: 4, Status: 'Failed'})
})

test('of many instances so many run at once, and after too many failures no more begin', async () => {
  const many = Array.from({length: 12}, (_, at) => ({id: `i-000000000000001${at.toString(16).padStart(2, '0')}`, tags: {Fleet: 'many'}}))
  const fleet = await startStandIn({instances: many})
  try {
    const sent = await call(fleet, 'ssm', 'SendCommand', {
      DocumentName: 'AWS-RunShellScript',
      Targets: [{Key: 'tag:Fleet', Values: ['many']}],
      MaxConcurrency: '25%',
      MaxErrors: '1',
      Parameters: {commands: ['case $PWD in *0) exit 0;; *) exit 1;; esac']},
    })
    const command = fleet.world.commands.get((sent.Command as unknown as {CommandId: string}).CommandId)
    let most = 0
    const timer = setInterval(() => {
      most = Math.max(most, command?.invocations.filter(it => it.status === 'InProgress').length ?? 0)
    }, 1)
    await command?.ended
    clearInterval(timer)
    expect(most).toBeLessThanOrEqual(3)
    const details = command?.invocations.map(it => it.details) ?? []
    expect(details.slice(0, 3)).toEqual(['Success', 'Failed', 'Failed'])
    // what ran beside the one that was too many still ends
    expect(details.filter(it => it === 'Terminated').length).toBeGreaterThanOrEqual(7)
    expect(command?.status).toBe('Failed')
  } finally {
    await fleet.close()
  }
})

test('a command that is cancelled ends what runs, and never begins the rest', async () => {
  const sent = await ssm('SendCommand', {
    DocumentName: 'AWS-RunShellScript',
    InstanceIds: [one, two, three],
    MaxConcurrency: '1',
    Parameters: {commands: ['exec sleep 600']},
  })
  const {CommandId = ''} = sent.Command as unknown as Record<string, string>
  const statuses = async (): Promise<string[]> =>
    ((await ssm('ListCommandInvocations', {CommandId})).CommandInvocations as unknown as {Status: string}[]).map(it => it.Status)
  await until(statuses, it => it[0] === 'InProgress')
  await ssm('CancelCommand', {CommandId})
  expect(await until(statuses, it => it[0] === 'Cancelled')).toEqual(['Cancelled', 'Cancelled', 'Cancelled'])
})

test('an automation waits for its approval, and gives what its steps put out', async () => {
  const input = {
    DocumentName: 'Deploy',
    Parameters: {word: ['shipped'], ids: [one, two]},
    ClientToken: 'f81d4fae-7dec-11d0-a765-00a0c91e6bf6',
  }
  const {AutomationExecutionId} = await ssm('StartAutomationExecution', input)
  expect((await ssm('StartAutomationExecution', input)).AutomationExecutionId).toBe(AutomationExecutionId)
  const status = async (): Promise<Record<string, never>> =>
    (await ssm('GetAutomationExecution', {AutomationExecutionId})).AutomationExecution as unknown as Record<string, never>
  await until(status, it => it.AutomationExecutionStatus === 'Waiting')
  await ssm('SendAutomationSignal', {AutomationExecutionId, SignalType: 'Approve', Payload: {Comment: ['yes']}})
  const done = await until(status, it => it.AutomationExecutionStatus === 'Success')
  expect(done.Outputs).toEqual({'say.Output': ['shipped\nshipped\n']})
  const {AutomationExecutionId: second} = await ssm('StartAutomationExecution', {...input, ClientToken: undefined})
  await until(
    async () =>
      (await ssm('DescribeAutomationStepExecutions', {AutomationExecutionId: second})).StepExecutions as unknown as {StepStatus: string}[],
    it => it[0]?.StepStatus === 'Waiting',
  )
  await ssm('StopAutomationExecution', {AutomationExecutionId: second})
  const stopped = await ssm('GetAutomationExecution', {AutomationExecutionId: second})
  expect(stopped.AutomationExecution).toMatchObject({AutomationExecutionStatus: expect.stringMatching(/^Cancel/) as string})
})

test("ECS Exec is refused with the service's own words for each thing that is missing", async () => {
  const exec = async (changes: object): Promise<unknown> =>
    (
      await call(standIn, 'ecs', 'ExecuteCommand', {
        cluster: 'prod',
        task: '0123456789abcdef0123456789abcde0',
        container: 'app',
        command: 'true',
        interactive: true,
        ...changes,
      })
    ).__type
  expect(await exec({cluster: 'none'})).toBe('ClusterNotFoundException')
  expect(await exec({container: undefined})).toBe('InvalidParameterException')
  expect(await exec({task: '0123456789abcdef0123456789abcde2', container: 'job'})).toBe('InvalidParameterException')
  const [task] = standIn.world.clusters[0]?.tasks ?? []
  const [container] = task?.containers ?? []
  if (container) container.execAgent = 'PENDING'
  expect(await exec({})).toBe('TargetNotConnectedException')
  if (container) container.execAgent = 'RUNNING'
})

const cli = spawnSync('aws', ['--version']).status === 0

test.skipIf(!cli)("AWS's own command-line tool understands the answers, those of forms and those of JSON", async () => {
  const aws = async (...argv: string[]): Promise<Record<string, never>> => {
    const {stdout} = await promisify(execFile)('aws', [...argv, '--output', 'json'], {
      env: {...process.env, ...standIn.env, AWS_CONFIG_FILE: '/dev/null'},
    })
    return JSON.parse(stdout) as Record<string, never>
  }
  const role = ['--role-arn', `arn:aws:iam::${account}:role/web`, '--role-session-name', 'carol']
  const assumed = (await aws('sts', 'assume-role', ...role)).Credentials as unknown as Record<string, string>
  expect(standIn.world.identities.get(assumed.AccessKeyId ?? '')?.userId).toMatch(/:carol$/)
  const web = ['--filters', 'Name=tag:Service,Values=web', 'Name=private-ip-address,Values=10.0.1.12']
  const [instances, information] = await Promise.all([
    aws('ec2', 'describe-instances', ...web),
    aws('ssm', 'describe-instance-information'),
  ])
  expect(instances).toMatchObject({Reservations: [{OwnerId: account, Instances: [{InstanceId: two, State: {Name: 'running'}}]}]})
  expect(information).toMatchObject({InstanceInformationList: [{InstanceId: one}, {InstanceId: two}, {InstanceId: three}]})
})

test('a role may do what it allows now, within the policy of the session: a deny that is put on it later counts at once', async () => {
  const carol =
    [...standIn.world.identities.values()].find(it => it.name === 'carol') ??
    standIn.register({name: 'carol', role: standIn.world.roles.get(`arn:aws:iam::${account}:role/web`)})
  const status = async (): Promise<unknown> => (await ssm('GetConnectionStatus', {Target: one}, carol)).__type
  expect(await status()).toBeUndefined()
  expect((await call(standIn, 'ecs', 'ListClusters', {}, carol)).__type).toBe('AccessDeniedException')
  const deny = {
    Statement: [{Effect: 'Deny', Action: '*', Resource: '*', Condition: {DateLessThan: {'aws:TokenIssueTime': '2999-01-01T00:00:00Z'}}}],
  }
  standIn.world.roles.get(`arn:aws:iam::${account}:role/web`)?.inline.set('stop', JSON.stringify(deny))
  expect(await status()).toBe('AccessDeniedException')
})
