import fc from 'fast-check'
import {afterAll} from 'vitest'

// Property tests draw the same examples in every run; `PROD_TEST_SEED=N npm test` draws others, and `npm run fuzz` always new ones.
fc.configureGlobal({seed: Number(process.env.PROD_TEST_SEED ?? 1)})

// A worker runs many files: what one of them puts into the environment ends with it.
const before = {...process.env}
afterAll(() => {
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name]
  Object.assign(process.env, before)
})
