/** The policies of docs/aws-sessions.md against what the code calls, and its Terraform against its JSON, by terraform where this machine has it. */
import {spawnSync} from 'node:child_process'
import {globSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect, test} from 'vitest'

const root = join(import.meta.dirname, '..')
const page = readFileSync(join(root, 'docs/aws-sessions.md'), 'utf8')
const blocksOf = (text: string, language: string): string[] =>
  [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, of, block]) => (of === language ? [block as string] : []))

interface Policy {
  Version?: string
  Statement?: {Sid?: string; Action: string | string[]; Resource: string | string[]; Condition?: Record<string, Record<string, string>>}[]
}
const policies = blocksOf(page, 'json').map(text => JSON.parse(text) as Policy)

/** What stands for a call where its action is not a word of the source: two upgrades of a WebSocket, and a role that is handed on. */
const signed: Record<string, string> = {
  'plugins/ssm/src/channel/link.ts': 'ssmmessages:OpenDataChannel',
  'plugins/ec2-instance-connect/src/tunnel.ts': 'ec2-instance-connect:OpenTunnel',
  'plugins/ssm/src/automation/target.ts': 'iam:PassRole',
  'plugins/ssm/src/session.ts': 'kms:GenerateDataKey',
}
/** which service a way of calling is of, where the call does not name it */
const services: Record<string, string> = {listAll: 'ecs', query: 'ec2', ask: 'ec2'}

/** Every call of AWS that the three plugins make, as IAM calls it. */
function callsOf(folder: string): string[] {
  return globSync(`plugins/${folder}/src/**/*.ts`, {cwd: root}).flatMap(file => {
    const source = readFileSync(join(root, file), 'utf8')
    const called = [...source.matchAll(/(\w+)(?:<[^()]*>)?\(\s*(?:'([a-z0-9-]+)',\s*)?way,\s*'([A-Z]\w+)'/g)]
    const all = source.match(/\bway,\s*'[A-Z]\w+'/g) ?? []
    expect(called.length, `each call of ${file} is read`).toBe(all.length)
    const words = called.map(([, how = '', service = services[how], action]) => `${service}:${action}`)
    return signed[file] ? [...words, signed[file]] : words
  })
}

const actions = (policy: Policy | undefined): string[] => (policy?.Statement ?? []).flatMap(({Action}) => Action)
const withSid = (sid: string): Policy => policies.find(({Statement}) => Statement?.some(({Sid}) => Sid === sid)) ?? {}

test('every call that the code makes is in a policy of the page or its table of tools, and no action of a policy is called by nothing', () => {
  const sessions = withSid('SessionsOnTaggedInstances')
  const containers = withSid('CommandsInTheseServices')
  const bastions = withSid('KeysForThisAccountOfTaggedInstances')
  const [, tools = ''] = /^### Tools$(.*?)^## /ms.exec(page) ?? []
  const inTools = [...tools.matchAll(/`((?:ssm|ec2):\w+|iam:PassRole)`/g)].map(([, action]) => action as string)
  const [, more = ''] = /Leave out what you do not use(.*?)^### /ms.exec(page) ?? []
  const added = [...more.matchAll(/`(ssm:\w+)`/g)].map(([, action]) => action as string)

  const ssm = new Set(callsOf('ssm'))
  expect(ssm.size).toBeGreaterThan(15)
  expect([...ssm].filter(action => ![...actions(sessions), ...inTools, ...added].includes(action))).toEqual([])
  expect([...actions(sessions), ...inTools, ...added].filter(action => !ssm.has(action))).toEqual([])
  // by the code of ssm: sessions by a document, their data channel, their key
  const shared = ['ssmmessages:OpenDataChannel', 'ssm:ResumeSession', 'ssm:TerminateSession', 'ssm:StartSession', 'kms:GenerateDataKey']
  const ecs = new Set([...callsOf('ecs'), ...shared])
  expect([...ecs].sort()).toEqual([...new Set(actions(containers))].sort())
  expect([...new Set(callsOf('ec2-instance-connect'))].sort()).toEqual([...new Set(actions(bastions))].sort())
})

test('each policy of the page is one that IAM reads: its version, effects, actions of a service, ARNs, conditions with an operator', () => {
  const written = policies.filter(({Statement}) => Statement)
  expect(written.length).toBeGreaterThan(3)
  const sids = written.flatMap(({Statement = []}) => Statement.flatMap(({Sid}) => Sid ?? []))
  for (const {Version, Statement = []} of written) {
    expect(Version).toBe('2012-10-17')
    expect(Statement.length).toBeGreaterThan(0)
    for (const {Action, Resource, Condition = {}, Sid, ...rest} of Statement) {
      expect(Object.keys(rest)).toEqual(['Effect'])
      if (Sid !== undefined) expect(Sid).toMatch(/^[A-Za-z0-9]+$/)
      for (const action of [Action].flat()) expect(action).toMatch(/^[a-z0-9-]+:[A-Z]\w+$/)
      for (const resource of [Resource].flat()) expect(resource).toMatch(/^(?:\*|arn:aws:[a-z0-9-]+:[a-z0-9-]*:(?:\d{12}|\*|):[^\s]+)$/)
      for (const [operator, keys] of Object.entries(Condition)) {
        expect(operator).toMatch(/^(?:String|Numeric|Bool|Arn)(?:Equals|Like|IfExists)?$/)
        for (const key of Object.keys(keys)) expect(key).toMatch(/^[\w-]+:[\w:/-]+$/)
      }
    }
  }
  for (const policy of written) {
    const own = policy.Statement?.flatMap(({Sid}) => Sid ?? []) ?? []
    expect(new Set(own).size).toBe(own.length)
  }
  expect(sids.length).toBeGreaterThan(10)
})

const env = {PATH: process.env.PATH ?? '', HOME: tmpdir(), CHECKPOINT_DISABLE: '1'}
const terraform = (args: string[], options: {cwd?: string; input?: string} = {}) =>
  spawnSync('terraform', args, {env, encoding: 'utf8', ...options})
const hasTerraform = terraform(['version']).status === 0
if (!hasTerraform) console.warn('terraform is not on this machine: the examples of the documentation were not read by it')

test.skipIf(!hasTerraform)('all Terraform of the documentation is read by terraform, and stands in its own form', () => {
  const blocks = ['aws-sessions', 'aws', 'operating'].flatMap(name => blocksOf(readFileSync(join(root, `docs/${name}.md`), 'utf8'), 'hcl'))
  expect(blocks.length).toBeGreaterThan(5)
  for (const block of blocks) {
    const {status, stdout, stderr} = terraform(['fmt', '-check', '-diff', '-'], {input: block})
    expect([status, stdout, stderr], block).toEqual([0, '', ''])
  }
})

test.skipIf(!hasTerraform)('its policy of instances is, as terraform computes it, the one in JSON', ({onTestFinished}) => {
  const folder = mkdtempSync(join(tmpdir(), 'prod-terraform-'))
  onTestFinished(() => rmSync(folder, {recursive: true}))
  const block = blocksOf(page, 'hcl').find(text => text.includes('"prod_instances"')) ?? ''
  const [, policy = ''] = /^ {2}policy = (jsonencode\(\{.*?^ {2}\}\))$/ms.exec(block) ?? []
  const [, locals = ''] = /^(locals \{.*?^\})$/ms.exec(block) ?? []
  // what AWS would be asked is given: no provider is needed to compute the rest
  const given = (text: string): string =>
    text
      .replaceAll('data.aws_region.this.id', '"eu-west-1"')
      .replaceAll('data.aws_caller_identity.this.account_id', '"111122223333"')
      .replaceAll('var.session_key_arn', '"arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"')
  writeFileSync(join(folder, 'main.tf'), `${given(locals)}\noutput "policy" {\n  value = ${given(policy)}\n}\n`)
  for (const args of [['init'], ['apply', '-auto-approve']]) {
    const {status, stderr} = terraform([...args, '-input=false', '-no-color'], {cwd: folder})
    expect(status, stderr).toBe(0)
  }
  const {stdout} = terraform(['output', '-raw', 'policy'], {cwd: folder})
  expect(JSON.parse(stdout)).toEqual(withSid('SessionsOnTaggedInstances'))
})
