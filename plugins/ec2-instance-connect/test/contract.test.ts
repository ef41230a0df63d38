import {userInfo} from 'node:os'
import {serveForwarded} from '@prod/sdk/testing/forwarded-server'
import {primitiveContract} from '@prod/sdk/testing/primitive-contract'
import {afterAll, beforeAll, describe} from 'vitest'
import {primitive} from '../src/index.ts'
import {type Here, instanceId, limits, script, sshdPath, startHere} from './instance.ts'

// through the tunnel of an endpoint, into a real sshd, whose host key is read from the console; skipped where no sshd is installed
describe.skipIf(!sshdPath)('a real sshd behind an endpoint', () => {
  let here: Here
  beforeAll(async () => {
    here = await startHere()
  })
  afterAll(() => here.close())

  primitiveContract({
    primitive,
    target: `us-east-1/${instanceId}?user=${userInfo().username}`,
    badTargets: ['web-1', instanceId, 'us-east-1/web-1', `us-east-1/${instanceId}?user=`, `us-east-1/${instanceId}?else=1`],
    access: {
      id: 'run_contract',
      principal: 'https://idp.example#contract',
      get credential() {
        return here.access.credential
      },
    },
    exec: {use: script},
    shell: {use: () => ({kind: 'shell', size: {columns: 80, rows: 24}, env: {TERM: 'xterm'}, limits})},
    forward: {serve: serveForwarded},
    // sshd tells of a connection that broke as of one that ended
    lacks: ['break-off'],
  })
})
