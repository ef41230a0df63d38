import {fileURLToPath} from 'node:url'
import {defineConfig} from 'vitest/config'

/** Tests run on the sources: `source` is the condition of every workspace's exports. */
export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  resolve: {conditions: ['source']},
  ssr: {resolve: {conditions: ['source']}},
  test: {
    include: ['test/**/*.test.ts', 'plugins/*/test/**/*.test.ts'],
    reporters: ['default', fileURLToPath(new URL('reporter.ts', import.meta.url))],
    setupFiles: [fileURLToPath(new URL('setup.ts', import.meta.url))],
    testTimeout: 180_000,
    hookTimeout: 240_000,
    pool: 'forks',
    maxWorkers: 2,
    // a worker loads the sources once; what a test file changes it puts back
    isolate: false,
    // processes that tests start from the sources
    env: {NODE_COMPILE_CACHE: fileURLToPath(new URL('../node_modules/.cache/compiled', import.meta.url))},
  },
})
