import {definePrimitive} from '@prod/sdk/primitive'
import {serveForwarded} from '@prod/sdk/testing/forwarded-server'
import {primitiveContract} from '@prod/sdk/testing/primitive-contract'
import {describe} from 'vitest'
import {primitive, type Target} from '../src/index.ts'
import {type Runner, startRunner} from '../src/open.ts'
import {limits, script, waysHere} from './machine.ts'

const uses = {
  target: 'local',
  badTargets: ['LOCAL', 'a b', '../x', 'x/', 'a'.repeat(64)],
  exec: {use: (text: string, more = {}) => script(text, more)},
  shell: {use: () => ({kind: 'shell' as const, size: {columns: 80, rows: 24}, env: {TERM: 'xterm'}, limits})},
}

describe('as shipped', () => primitiveContract({primitive, ...uses, forward: {serve: serveForwarded}}))

// the other ways of keeping a tree together, where this machine has them
for (const isolation of (await waysHere()).slice(1)) {
  let runner: Runner
  const one = definePrimitive<Target>({
    ...primitive,
    start: async () => {
      runner = await startRunner({development: true, hide: [], isolation})
      return () => runner.stop()
    },
    open: (_target, use, _access, signal) => runner.open(use, signal),
  })
  describe(`kept together by ${isolation}`, () => primitiveContract({primitive: one, ...uses}))
}
