import fc from 'fast-check'

/** Property tests draw the same examples in every run; `PROD_TEST_SEED=N npm test` draws others, and `npm run fuzz` always new ones. */
fc.configureGlobal({seed: Number(process.env.PROD_TEST_SEED ?? 1)})
