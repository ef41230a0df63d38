import {defineConfig} from 'vitest/config'

/** Tests run on the sources: `source` is the condition of every workspace's exports. */
export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  resolve: {conditions: ['source']},
  ssr: {resolve: {conditions: ['source']}},
  test: {
    include: ['test/**/*.test.ts', 'plugins/*/test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 2,
  },
})
