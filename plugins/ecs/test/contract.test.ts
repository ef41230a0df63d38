import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {serveForwarded} from '@prod/sdk/testing/forwarded-server'
import {primitiveContract} from '@prod/sdk/testing/primitive-contract'
import {afterAll, beforeAll} from 'vitest'
import {primitive} from '../src/index.ts'
import {type Here, limits, startHere} from './here.ts'

let here: Here
const credential: Record<string, string> = {}
const folder = mkdtempSync(join(tmpdir(), 'prod-ecs-'))
let scripts = 0

beforeAll(async () => {
  here = await startHere()
  Object.assign(credential, here.access().credential)
})
afterAll(async () => {
  rmSync(folder, {recursive: true})
  await here.close()
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
  // the agent tells nothing of how a connection ended, nor of one that nobody took until it is used
  lacks: ['half-close', 'reset', 'refusal'],
})
