/**
 * `node --conditions=source test/metrics/year.ts [PEOPLE] [DAYS]` (after `npm run build`): a year of 2,000 made-up people in the store of a real
 * development broker. Every figure, of all and of some teams and services, is compared with the SQL of docs/metrics.md over `prod audit export`;
 * how long `prod metrics` takes, how long the page takes to open in a browser, and what the broker needs are printed.
 */
import {type ChildProcess, spawn, spawnSync} from 'node:child_process'
import {once} from 'node:events'
import {createReadStream, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {pathToFileURL} from 'node:url'
import type {MetricsReport} from '@prod/sdk/api'
import {figures} from '@prod/sdk/figures'
import {openKeys} from '../../plugins/broker/src/keys.ts'
import {openWriter} from '../../plugins/broker/src/stores/sqlite/writer.ts'
import {openBrowser} from './browser.ts'
import {makeHistory} from './history.ts'
import {loadExport} from './sql.ts'

const people = Number(process.argv[2] ?? 2000)
const days = Number(process.argv[3] ?? 365)
const day = 86_400_000
const eventsInOneCommit = 200
const cli = join(import.meta.dirname, '../../bin/run.js')
const base = mkdtempSync(join(tmpdir(), 'prod-year-'))
const dir = join(base, 'broker')
const home = join(base, 'home')
mkdirSync(home, {mode: 0o700})
const env = {PATH: process.env.PATH ?? '', HOME: home, PROD_CREDENTIAL_STORE: 'file', LANG: 'C.UTF-8'}

const say = (text: string): void => console.log(text)
const seconds = (from: number): string => `${((performance.now() - from) / 1000).toFixed(2)} s`

let broker: ChildProcess | undefined
async function start(before?: string): Promise<string> {
  const port = before === undefined ? [] : ['--port', new URL(before).port]
  broker = spawn(process.execPath, [cli, 'broker', 'start', '--dev', '--dir', dir, '--json', ...port], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface({input: broker.stdout as NonNullable<typeof broker.stdout>}), 'line')) as [string]
  return (JSON.parse(line) as {url: string}).url
}
async function stop(): Promise<void> {
  if (!broker || broker.exitCode !== null) return
  const ended = once(broker, 'exit')
  broker.kill('SIGTERM')
  await ended
}
/** Runs a command to its end; how long it took is said. */
function prod(what: string, ...args: string[]): string {
  const from = performance.now()
  const {status, stdout, stderr} = spawnSync(process.execPath, [cli, ...args], {env, encoding: 'utf8', maxBuffer: 1 << 30})
  if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}: ${stderr}`)
  if (what !== '') say(`${what.padEnd(56)}${seconds(from)}`)
  return stdout
}

try {
  await start()
  await stop()
  const until = Date.now()
  const events = makeHistory({seed: 11, from: until - days * day, days, people, teams: 80, services: 120, perWeek: 2})
  const keys = openKeys(dir, '127.0.0.1')
  const writer = openWriter({file: join(dir, 'broker.sqlite'), name: keys.log.name, privateKey: keys.log.privateKey, instance: 'history'})
  for (let at = 0; at < events.length; at += eventsInOneCommit) {
    const some = events.slice(at, at + eventsInOneCommit)
    const time = new Date(some[0]?.at ?? until).toISOString()
    const done = writer.run({
      time,
      jobs: [{do: 'commit', expect: [], put: [], remove: [], erase: [], notices: [], events: some.map(({at: _, ...event}) => event)}],
    })
    if ('failed' in done) throw new Error(done.failed.message)
  }
  writer.close()
  say(
    `${people} people, ${days} days: ${events.length} events, a store of ${Math.round(statSync(join(dir, 'broker.sqlite')).size / 1e6)} MB`,
  )

  const url = await start()
  prod('', 'login', '--broker', url, '--as', 'carol')
  const since = ['--since', new Date(until - days * day).toISOString()]
  const counted = performance.now()
  while (spawnSync(process.execPath, [cli, 'metrics', ...since], {env}).status !== 0);
  say(`${'prod metrics, on a log that was never counted'.padEnd(56)}${seconds(counted)}`)
  await stop()
  await start(url)
  prod('prod metrics, the first after a start', 'metrics', ...since)
  prod('prod metrics, the whole time', 'metrics', ...since)
  prod('prod metrics, 30 days', 'metrics')
  prod('prod metrics, the whole time, one team', 'metrics', ...since, '--team', 'team-07')
  const page = join(base, 'metrics.html')
  prod('prod metrics --html, the whole time', 'metrics', ...since, '--html', page)
  const {rss} = memoryOf(broker?.pid as number)
  say(`${'memory of the broker'.padEnd(56)}${rss} MB`)
  say(`${'the page'.padEnd(56)}${Math.round(readFileSync(page).byteLength / 1000)} kB`)

  const browser = await openBrowser()
  if (browser) {
    const tab = await browser.newPage()
    const from = performance.now()
    await tab.goto(pathToFileURL(page).href, {waitUntil: 'load'})
    await tab.evaluate('new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))')
    say(`${'the page, until it is drawn'.padEnd(56)}${seconds(from)}`)
    await browser.close()
  } else say('the page was not opened: there is no browser here')

  const file = join(base, 'log.jsonl')
  prod('prod audit export', 'audit', 'export', '-o', file)
  const lines: string[] = []
  for await (const line of createInterface({input: createReadStream(file)})) lines.push(line)
  const from = performance.now()
  const sql = loadExport(lines, join(base, 'metrics.db'))
  say(`${'the export in SQLite, with its tables'.padEnd(56)}${seconds(from)}`)
  let compared = 0
  for (const slice of [{}, {team: 'team-07'}, {service: 'service-03'}, {team: 'engineers', service: 'service-11'}] as {
    team?: string
    service?: string
  }[]) {
    const chosen = Object.entries(slice).flatMap(([name, value]) => [`--${name}`, value])
    const told = JSON.parse(prod('', 'metrics', ...since, ...chosen, '--json')) as MetricsReport
    sql.ask({since: Date.parse(told.since), until: Date.parse(told.until), ...slice})
    for (const {name} of figures) {
      const [ours, theirs] = [told.values[name] ?? null, sql.value(name)]
      compared += 1
      const same = ours === null || theirs === null ? ours === theirs : Math.abs(ours - theirs) < 0.0011
      if (!same) throw new Error(`${name} of ${JSON.stringify(slice)} is ${ours}, by SQL ${theirs}`)
    }
  }
  sql.close()
  say(`${compared} figures are those that SQL counts from the export`)
} finally {
  await stop()
  rmSync(base, {recursive: true, force: true})
}

function memoryOf(pid: number): {rss: number} {
  const [, kilobytes = '0'] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return {rss: Math.round(Number(kilobytes) / 1000)}
}
