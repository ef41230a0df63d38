/**
 * The files of a new plugin, by their path in its folder: a primitive that can be opened and passes its contract from the
 * first minute. Until open.ts knows a way of its own it goes through @prod/host. Pure.
 */
export function pluginFiles(name: string, version: string): Record<string, string> {
  return {
    'package.json': `${JSON.stringify(
      {
        name: `@prod/${name}`,
        version,
        description: `The way in to ${name} targets`,
        license: 'Apache-2.0',
        private: true,
        type: 'module',
        engines: {node: '>=24.15'},
        exports: {'.': {source: './src/index.ts', types: './dist/index.d.ts', default: './dist/index.js'}},
        dependencies: {'@prod/host': version, '@prod/sdk': version},
      },
      null,
      2,
    )}\n`,
    'tsconfig.json': `{
  "extends": "../../tsconfig.json",
  "compilerOptions": {"rootDir": "src", "outDir": "dist", "tsBuildInfoFile": "dist/.tsbuildinfo"},
  "include": ["src"],
  "references": [{"path": "../sdk"}, {"path": "../host"}]
}
`,
    'README.md': `# @prod/${name}

The way in to ${name} targets: programs, through \`${name}:NAME\`.

| file | what is in it |
| --- | --- |
| src/target.ts | what names a target, and the least permissions each use needs: pure |
| src/open.ts | opens the channel; heavy packages are imported here and nowhere else |
| src/index.ts | what the plugin exports |
| test/contract.test.ts | what every primitive must do, run on a real target |

A broker loads it once its configuration names \`@prod/${name}\`. What a plugin must never do: docs/plugins.md.
`,
    'src/target.ts': `import type {Permission, Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'

/** One target, written \`${name}:NAME\`. */
export interface Target {
  readonly name: string
}

/** Reads the part after \`${name}:\`: 1-63 of a-z, 0-9 and \`-\`, a letter first. Pure. Throws TARGET_INVALID. */
export function parse(text: string): Target {
  const [name] = /^[a-z][a-z0-9-]{0,62}$(?![\\s\\S])/.exec(text) ?? []
  if (!name) throw new ProdError('TARGET_INVALID', \`\${JSON.stringify(text)} does not name a ${name} target\`, 'prod targets')
  return {name}
}

/** The least a use needs. Pure. Throws TARGET_INVALID for a use this primitive does not have. */
export function permissions({name}: Target, use: Use): Permission[] {
  if (use.kind !== 'exec') throw new ProdError('TARGET_INVALID', \`${name}:\${name} runs programs only\`, 'prod targets')
  return [{kind: '${name}', actions: [use.kind], resources: [\`${name}:\${name}\`]}]
}
`,
    'src/open.ts': `import {primitive as host} from '@prod/host'
import type {Access, Channel, StartOptions, Use} from '@prod/sdk'
import type {Target} from './target.ts'

/** Gets ready to open channels. What it returns is called when the broker stops. */
export async function start(options?: StartOptions): Promise<() => Promise<void>> {
  return (await host.start?.(options)) ?? (async () => {})
}

/** Opens the channel on the broker's own machine: the way to the real target takes its place. \`access\` is the only credential. */
export function open({name}: Target, use: Use, access: Access, signal: AbortSignal): Promise<Channel> {
  return host.open({name}, use, access, signal)
}
`,
    'src/index.ts': `import {definePrimitive} from '@prod/sdk/primitive'
import {parse, permissions, type Target} from './target.ts'

/** The way in to ${name} targets. */
export const primitive = definePrimitive<Target>({
  id: '${name}',
  summary: 'programs on ${name} targets',
  uses: ['exec'],
  parse,
  permissions,
  // loaded only when something is opened
  start: async options => (await import('./open.ts')).start(options),
  open: async (target, use, access, signal) => (await import('./open.ts')).open(target, use, access, signal),
})
`,
    'test/contract.test.ts': `import {realpathSync} from 'node:fs'
import {primitiveContract} from '@prod/sdk/testing/primitive-contract'
import {primitive} from '../src/index.ts'

const limits = {wallSeconds: 60, cpuSeconds: 60, memoryBytes: 512 * 1024 ** 2, processes: 200, fileBytes: 1024 ** 3, outputBytes: 1024 ** 3}
const sh = realpathSync('/bin/sh')

primitiveContract({
  primitive,
  target: 'local',
  badTargets: ['LOCAL', 'a b', '../x', '1st', 'a'.repeat(64)],
  exec: {
    use: (script, {stdin = false} = {}) => ({kind: 'exec', program: {path: sh}, argv: ['sh', '-c', script], env: {}, limits, stdin}),
  },
})
`,
  }
}
