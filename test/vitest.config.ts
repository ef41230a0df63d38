import {fileURLToPath} from 'node:url'
import {defineConfig} from 'vitest/config'

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
/** A worker loads the sources once for all its files: what a file changes it puts back. */
const all = ['test/**/*.test.ts', 'plugins/*/test/**/*.test.ts']
/** What cannot be put back: a broker asks the machine for its own keys of AWS once in a process. */
const alone = ['plugins/aws/test/providers-*.test.ts', 'test/aws-{grants,uses}.test.ts']

/** Tests run on the sources: `source` is the condition of every workspace's exports. */
export default defineConfig({
  root: path('..'),
  resolve: {conditions: ['source']},
  ssr: {resolve: {conditions: ['source']}},
  test: {
    reporters: ['default', path('reporter.ts')],
    setupFiles: [path('setup.ts')],
    testTimeout: 180_000,
    hookTimeout: 240_000,
    pool: 'forks',
    maxWorkers: 2,
    // processes that tests start from the sources
    env: {NODE_COMPILE_CACHE: path('../node_modules/.cache/compiled')},
    projects: [
      {extends: true, test: {name: 'shared', include: all, exclude: ['**/node_modules/**', ...alone], isolate: false}},
      {extends: true, test: {name: 'alone', include: alone}},
    ],
  },
})
