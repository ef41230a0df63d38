'use strict'
// Preloaded by startup.test.ts (node --require): when the process ends, writes what it has loaded to the file PROBE names.
const {writeFileSync} = require('node:fs')
const {registerHooks} = require('node:module')

const imported = []
registerHooks({
  load(url, context, next) {
    imported.push(url)
    return next(url, context)
  },
})
process.on('exit', () => {
  const builtins = process.moduleLoadList.filter(name => name.startsWith('NativeModule ')).map(name => name.slice('NativeModule '.length))
  writeFileSync(process.env.PROBE, JSON.stringify({imported, files: Object.keys(require.cache), builtins}))
})
