import {fileURLToPath} from 'node:url'
import {defineConfig} from 'vitest/config'

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
/** Files that start brokers: their workers load the sources once. What such a file changes it puts back. */
const shared = ['plugins/{broker,host,sdk,explain}/test/**/*.test.ts']

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
      {extends: true, test: {name: 'shared', include: shared, isolate: false}},
      {extends: true, test: {name: 'alone', include: ['test/**/*.test.ts', 'plugins/*/test/**/*.test.ts'], exclude: shared}},
    ],
  },
})
