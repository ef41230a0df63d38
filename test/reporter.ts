import type {Reporter, TestModule} from 'vitest/node'

/** After everything else, the one line that a reader of the last line needs: `N passed, N failed`. */
export default class LastLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    let passed = 0
    // what failed outside a test counts: a file that does not load, an error nobody caught
    let failed = errors.length
    for (const file of modules) {
      let found = 0
      for (const test of file.children.allTests()) {
        found++
        const {state} = test.result()
        if (state === 'passed') passed++
        if (state === 'failed') failed++
      }
      if (!file.ok() && (found === 0 || file.errors().length > 0)) failed++
    }
    process.once('exit', () => process.stdout.write(`${passed} passed, ${failed} failed\n`))
  }
}
