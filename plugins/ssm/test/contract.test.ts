import {serveForwarded} from '@prod/sdk/testing/forwarded-server'
import {type PrimitiveContract, primitiveContract} from '@prod/sdk/testing/primitive-contract'
import {afterAll, beforeAll, describe} from 'vitest'
import {type StandIn, startStandIn} from '../../../test/sessions-stand-in/stand-in.ts'
import {primitives} from '../src/index.ts'

const limits = {wallSeconds: 60, cpuSeconds: 60, memoryBytes: 1024 ** 3, processes: 64, fileBytes: 1024 ** 3, outputBytes: 1024 ** 3}
const [ssm] = primitives
if (!ssm) throw new Error('no primitive')

let standIn: StandIn
const credential: Record<string, string> = {}
beforeAll(async () => {
  standIn = await startStandIn({region: 'us-east-1', agent: {outputDelayMs: 0, pieceDelayMs: 0}})
  Object.assign(process.env, standIn.env)
  const {AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN} = standIn.env
  Object.assign(credential, {AccessKeyId: AWS_ACCESS_KEY_ID, SecretAccessKey: AWS_SECRET_ACCESS_KEY, SessionToken: AWS_SESSION_TOKEN})
})
afterAll(() => standIn.close())

const access = {id: 'run_contract', principal: 'https://idp.example#contract', credential}
const exec: PrimitiveContract<unknown>['exec'] = {
  use: (script, {stdin = false} = {}) => ({kind: 'exec', program: {path: '/bin/sh'}, argv: ['sh', '-c', script], env: {}, limits, stdin}),
}
const badTargets = [
  'web-1',
  'i-0a1b2c3d4e5f60001',
  'us-east-1/web-1',
  'us-east-1/i-0a1b2c3d4e5f60001?exec=',
  'us-east-1/i-0a1b2c3d4e5f60001?else=1',
]

primitiveContract({
  primitive: ssm,
  target: 'us-east-1/i-0a1b2c3d4e5f60001?exec=Prod-RunCommand',
  badTargets,
  access,
  exec,
  shell: {use: () => ({kind: 'shell', size: {columns: 80, rows: 24}, env: {}, limits})},
  forward: {serve: () => serveForwarded()},
  lacks: ['stdin', 'SIGTERM', 'signal of death', 'shell status', 'escaped', 'half-close', 'reset', 'refusal'],
  // the agent keeps what it has read until it is acknowledged, up to 100,000 messages of 1 KiB
  aheadBytes: 101 * 1024 ** 2,
})

describe('programs by a document that opens a terminal', () => {
  primitiveContract({
    primitive: ssm,
    target: 'us-east-1/i-0a1b2c3d4e5f60001?exec=AWS-StartInteractiveCommand',
    badTargets,
    access,
    exec,
    mebibytes: 4,
  })
})
