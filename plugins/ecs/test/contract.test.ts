import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {serveForwarded} from '@prod/sdk/testing/forwarded-server'
import {primitiveContract} from '@prod/sdk/testing/primitive-contract'
import {afterAll, beforeAll} from 'vitest'
import {type StandIn, startStandIn} from '../../../test/sessions-stand-in/stand-in.ts'
import {primitive} from '../src/index.ts'

const limits = {wallSeconds: 60, cpuSeconds: 60, memoryBytes: 1024 ** 3, processes: 64, fileBytes: 1024 ** 3, outputBytes: 1024 ** 3}
let standIn: StandIn
const before = process.env.AWS_ENDPOINT_URL
const credential: Record<string, string> = {}
const folder = mkdtempSync(join(tmpdir(), 'prod-ecs-'))
let scripts = 0

beforeAll(async () => {
  standIn = await startStandIn({region: 'us-east-1', agent: {pieceDelayMs: 0}})
  process.env.AWS_ENDPOINT_URL = standIn.url
  const {
    AWS_ACCESS_KEY_ID: AccessKeyId = '',
    AWS_SECRET_ACCESS_KEY: SecretAccessKey = '',
    AWS_SESSION_TOKEN: SessionToken = '',
  } = standIn.env
  Object.assign(credential, {AccessKeyId, SecretAccessKey, SessionToken})
})
afterAll(async () => {
  if (before === undefined) delete process.env.AWS_ENDPOINT_URL
  else process.env.AWS_ENDPOINT_URL = before
  rmSync(folder, {recursive: true})
  await standIn.close()
})

primitiveContract({
  primitive,
  target: 'us-east-1/prod/web/app',
  badTargets: [
    'prod',
    'prod/',
    '/web',
    'us-east-1/prod',
    'a/b/c/d',
    'us-east-1/prod/web/app/more',
    'prod/-',
    'prod/web?task=',
    'prod/web?else=1',
    'prod/we b',
  ],
  access: {id: 'run_contract', principal: 'https://idp.example#contract', credential},
  exec: {
    // what a shell reads is a file of the container: none of its text is sent
    use: (script, {stdin = false} = {}) => {
      const path = join(folder, `${++scripts}.sh`)
      writeFileSync(path, script)
      return {kind: 'exec', program: {path: '/bin/sh'}, argv: ['sh', path], env: {}, limits, stdin}
    },
  },
  shell: {use: () => ({kind: 'shell', size: {columns: 80, rows: 24}, env: {}, limits})},
  forward: {serve: serveForwarded},
  mebibytes: 12,
  lacks: ['half-close', 'reset', 'refusal'],
})
