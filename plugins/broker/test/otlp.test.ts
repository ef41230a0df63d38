import {writeFileSync} from 'node:fs'
import {createServer, type IncomingHttpHeaders} from 'node:http'
import type {AddressInfo} from 'node:net'
import {join} from 'node:path'
import {figures} from '@prod/sdk/figures'
import {expect, onTestFinished, test} from 'vitest'
import {type Config, defaults} from '../src/config.ts'
import {instrumentName, startOtlp} from '../src/metrics/otlp.ts'
import {makeFolder, openFolder} from './store-folder.ts'

interface Told {
  headers: IncomingHttpHeaders
  /** OTLP/JSON, https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding */
  body: {
    resourceMetrics: {
      scopeMetrics: {
        scope: {name: string}
        metrics: {name: string; unit: string; gauge?: {dataPoints: {asDouble?: number; asInt?: number}[]}}[]
      }[]
    }[]
  }
}

/** A collector that answers with this status, and gives what it was told. */
async function collector(status: number) {
  const heard: Told[] = []
  let wake = () => {}
  const server = createServer(async (request, response) => {
    const text = (await Array.fromAsync(request)).map(String).join('')
    heard.push({headers: request.headers, body: JSON.parse(text) as Told['body']})
    response.writeHead(status, {'content-type': 'application/json'}).end('{}')
    wake()
  }).listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/metrics`,
    async next(): Promise<Told> {
      while (heard.length === 0) await new Promise<void>(resolve => (wake = resolve))
      return heard.shift() as Told
    },
  }
}

async function setUp() {
  const {dir, remove} = makeFolder()
  const store = await openFolder(dir)
  onTestFinished(async () => {
    await store.close()
    remove()
  })
  let alarmed = () => {}
  const alarm = new Promise<string>(resolve => {
    alarmed = resolve as () => void
  })
  const config = {...defaults, development: true} as unknown as Config
  return {dir, store, alarm, parts: {store, config, alarm: (what: string) => (alarmed as (what: string) => void)(what)}}
}

test('the figures reach a collector as OTLP, with the headers of a file, under names with units', async () => {
  const {dir, store, parts} = await setUp()
  await store.commit({
    events: [
      {type: 'request.created', by: 'alice', subject: 'req_1', data: {kind: 'exec', environment: 'production', decision: 'allow'}},
      {type: 'run.started', by: 'alice', subject: 'run_1', data: {request: 'req_1', class: 'read', breakGlass: false}},
    ],
  })
  const headersFile = join(dir, 'headers.json')
  writeFileSync(headersFile, '{"authorization": "Bearer of-the-collector"}', {mode: 0o600})
  const {url, next} = await collector(200)
  const stop = await startOtlp(parts, {url, headersFile, everySeconds: 0.5}, () => ({live: 3, alarms: 0}))
  onTestFinished(stop)
  const {headers, body} = await next()
  expect(headers).toMatchObject({authorization: 'Bearer of-the-collector', 'content-type': 'application/json'})
  const {scope, metrics} = body.resourceMetrics[0]!.scopeMetrics[0]!
  expect(scope.name).toBe('prod.broker')
  const told = Object.fromEntries(
    metrics.map(({name, unit, gauge}) => [name, [gauge?.dataPoints[0]?.asDouble ?? gauge?.dataPoints[0]?.asInt, unit]]),
  )
  expect(told).toMatchObject({
    'prod.zero_touch_share': [1, '1'],
    'prod.execs': [1, '1'],
    'prod.shell_hours_held': [0, 'h'],
    'prod.broker.live': [3, '1'],
    'prod.broker.log_entries': [2, '1'],
  })
  expect(Object.keys(told)).not.toContain('prod.approval_seconds_p50') // nothing to divide by
  const names = figures.map(({name}) => instrumentName(name))
  expect(Object.keys(told).filter(name => !name.startsWith('prod.broker.') && !names.includes(name))).toEqual([])
})

test('a collector that does not take them is an alarm', async () => {
  const {parts, alarm} = await setUp()
  const {url} = await collector(400)
  onTestFinished(await startOtlp(parts, {url, headersFile: null, everySeconds: 0.5}, () => ({live: 0, alarms: 0})))
  expect(await alarm).toBe('the collector of the figures does not take them')
})

test('TM-A7: a collector is reached by https and is not on this machine or its link; headers that others can read are refused', async () => {
  const {dir, store, parts} = await setUp()
  const config = {...parts.config, development: false}
  const start = (url: string, headersFile: string | null = null) =>
    startOtlp({store, config, alarm: () => {}}, {url, headersFile, everySeconds: 60}, () => ({live: 0, alarms: 0}))
  for (const url of [
    'http://collector.example/v1/metrics',
    'http://127.0.0.1:4318/',
    'https://127.0.0.1:4318/',
    'https://[::1]/',
    'https://169.254.169.254/',
    'https://0x7f000001/',
    'https://[::ffff:127.0.0.1]/',
  ])
    await expect(start(url), url).rejects.toMatchObject({code: 'CONFIG_INVALID'})
  for (const [name, text, mode] of [
    ['open.json', '{"a": "b"}', 0o644],
    ['list.json', '["a"]', 0o600],
    ['lines.json', '{"a": "b\\r\\nc: d"}', 0o600],
    ['text.json', 'Bearer x', 0o600],
  ] as const) {
    const path = join(dir, name)
    writeFileSync(path, text, {mode})
    await expect(start('https://collector.example/', path), name).rejects.toMatchObject({code: 'CONFIG_INVALID'})
  }
  await expect(start('https://collector.example/', join(dir, 'none.json'))).rejects.toMatchObject({code: 'CONFIG_INVALID'})
})
