import fc from 'fast-check'
import {afterAll} from 'vitest'

// Property tests draw the same examples in every run; `PROD_TEST_SEED=N npm test` draws others, and `npm run fuzz` always new ones.
fc.configureGlobal({seed: Number(process.env.PROD_TEST_SEED ?? 1)})

// A worker runs many files: what one of them makes of the environment ends with it.
const {env} = process
const before = {...env}
afterAll(() => {
  process.env = env
  for (const name of Object.keys(env)) if (!(name in before)) delete env[name]
  Object.assign(env, before)
})
