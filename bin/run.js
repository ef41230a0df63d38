#!/usr/bin/env node
'use strict'
// Starts the CLI as shipped. CommonJS and old syntax, so that any Node reaches the sentence below (ADR 0001).
var path = require('path')
var root = path.join(__dirname, '..')
var version = process.versions.node.split('.').map(Number)

if (version[0] < 24 || (version[0] === 24 && version[1] < 15)) startAgain()
else start()

function start() {
  delete process.env.PROD_REEXEC
  var argv = process.argv.slice(2)
  var assumed = argv[0] === 'assume' && argv.length > 2 ? assume(argv.slice(1)) : undefined
  if (!assumed) goFast(argv)
  else
    assumed.then(function (done) {
      // all is written, and to leave at once is cheaper than to tidy up
      if (done) process.exit()
      else goFast(argv)
    })
}

/** By plugins/aws, which lies beside us as a bundle of its own: from credentials that were kept. */
function assume(words) {
  try {
    return require('../node_modules/@prod/aws/dist/bundle/fast.js').answered(words)
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error
    return undefined
  }
}

function goFast(argv) {
  var fast
  try {
    fast = require('../dist/fast.js')
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error
    fail('prod is not built; type: npm run build')
    return
  }
  if (!fast.answered(argv, root)) goOn(argv, fast)
}

function goOn(argv, fast) {
  var folder = fast.cacheFolder()
  if (folder) {
    require('module').enableCompileCache(folder)
    require('../dist/code-cache.js').keepCode(folder, argv[0], root)
  }
  require('../dist/main.js').start(argv, root)
}

/** Hands everything to the pinned Node beside us: arguments, terminal, signals, exit status. */
function startAgain() {
  var node = process.env.PROD_REEXEC ? undefined : findNode()
  if (!node) {
    fail('this is Node ' + process.versions.node + '; prod needs 24.15 or newer (https://nodejs.org)')
    return
  }
  var env = {}
  for (var name in process.env) env[name] = process.env[name]
  env.PROD_REEXEC = '1'
  var child
  // A terminal sends these two to the child itself; a second copy would read as impatience.
  var terminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY
  var signals = ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP', 'SIGUSR2', 'SIGCONT']
  // before there is a child: a signal that finds nobody listening would end us alone
  signals.forEach(function (signal) {
    process.on(signal, function () {
      if (!(terminal && (signal === 'SIGINT' || signal === 'SIGQUIT'))) child.kill(signal)
    })
  })
  child = require('child_process').spawn(node, [__filename].concat(process.argv.slice(2)), {stdio: 'inherit', env: env})
  child.on('error', function (error) {
    fail('the pinned Node did not start: ' + error.message)
  })
  child.on('exit', function (status, signal) {
    if (!signal) process.exit(status)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  })
}

function findNode() {
  var fs = require('fs')
  try {
    var node = path.join(path.dirname(require.resolve('node/package.json')), 'bin', 'node')
    return fs.existsSync(node) ? node : undefined
  } catch (error) {
    return undefined
  }
}

function fail(text) {
  console.error('prod: ' + text)
  process.exitCode = 240
}
