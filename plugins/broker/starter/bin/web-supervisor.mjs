// Keeps the demo's web service running and steers it: `web-supervisor.mjs STATE`. Ends with its standard input.
import {spawn, spawnSync} from 'node:child_process'
import {closeSync, constants, mkdirSync, openSync, renameSync, rmSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:http'
import {Socket} from 'node:net'
import {join} from 'node:path'
import {createInterface} from 'node:readline'

if (process.argv[2] === '--serve') serve()
else supervise(process.argv[2])

/** The service: says who it is to whoever asks. */
function serve() {
  const server = createServer((_, answer) => answer.end(`web, process ${process.pid}\n`))
  server.listen(0, '127.0.0.1', () =>
    console.log(`${new Date().toISOString()} web ${process.pid} listens on http://127.0.0.1:${server.address().port}`),
  )
  for (const name of ['SIGTERM', 'SIGINT']) {
    process.on(name, () => {
      console.log(`${new Date().toISOString()} web ${process.pid} ends`)
      process.exit(0)
    })
  }
  process.stdin.on('end', () => process.exit(0)).resume()
}

function supervise(state) {
  const path = name => join(state, name)
  let service
  let generation = 0

  const write = (name, text) => {
    writeFileSync(path(`${name}.new`), text, {mode: 0o644})
    renameSync(path(`${name}.new`), path(name))
  }
  // whoever steers waits for the next generation, then reads the status
  const tell = text => {
    write('status', `${text}\n`)
    write('generation', `${++generation}\n`)
  }
  const start = () =>
    new Promise(resolve => {
      const log = openSync(path('log'), 'a', 0o644)
      service = spawn(process.execPath, [import.meta.filename, '--serve'], {stdio: ['pipe', 'pipe', log]})
      const lines = createInterface({input: service.stdout})
      lines.on('line', line => {
        writeFileSync(log, `${line}\n`)
        const url = / listens on (\S+)$/.exec(line)?.[1]
        if (url) resolve(`web runs as process ${service.pid} on ${url} since ${new Date().toISOString()}`)
      })
      lines.on('close', () => closeSync(log))
    })
  const stop = () =>
    new Promise(resolve => {
      const old = service
      service = undefined
      if (!old || old.exitCode !== null || old.signalCode !== null) return resolve()
      old.once('exit', resolve)
      old.kill('SIGTERM')
    })

  mkdirSync(state, {recursive: true, mode: 0o755})
  rmSync(path('control'), {force: true})
  const made = spawnSync('mkfifo', ['-m', '600', path('control')], {stdio: 'inherit'})
  if (made.status !== 0) process.exit(1)

  // opened for both ways, so that it never ends when a writer does
  const control = new Socket({fd: openSync(path('control'), constants.O_RDWR | constants.O_NONBLOCK), readable: true, writable: false})
  let last = start().then(text => {
    tell(text)
    console.log('ready')
  })
  createInterface({input: control}).on('line', word => {
    last = last.then(async () => {
      if (word === 'stop' || word === 'restart') await stop()
      if (word === 'restart' || (word === 'start' && !service)) tell(await start())
      else tell(word === 'stop' ? 'web is stopped' : `web runs as process ${service?.pid} already`)
    })
  })

  const end = async () => {
    await stop()
    rmSync(path('control'), {force: true})
    process.exit(0)
  }
  process.stdin.on('end', end).resume()
  process.on('SIGTERM', end)
  process.on('SIGINT', () => {}) // Ctrl-C goes to whoever started this, who then closes the input
}
