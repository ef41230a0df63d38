/** The figures by OTLP, where an operator names a collector: OpenTelemetry's own exporter, which loads here and nowhere else. */
import {constants} from 'node:fs'
import {open} from 'node:fs/promises'
import type {Agent} from 'node:http'
import {isIP, type LookupFunction} from 'node:net'
import {ProdError} from '@prod/sdk/errors'
import {type FigureUnit, figures} from '@prod/sdk/figures'
import ipaddr from 'ipaddr.js'
import type {Config} from '../config.ts'
import type {Parts} from '../parts.ts'
import {currentFigures, type Running} from './prometheus.ts'

type Otlp = NonNullable<Config['metrics']['otlp']>

const timeoutMilliseconds = 10_000
const maxHeaderBytes = 16 * 1024
const units: Record<FigureUnit, string> = {count: '1', share: '1', score: '1', hours: 'h', seconds: 's'}

/** `zeroTouchShare` as OpenTelemetry writes names: `prod.zero_touch_share`. Pure. */
export function instrumentName(figure: string): string {
  return `prod.${figure.replace(/[A-Z]/g, letter => `_${letter.toLowerCase()}`)}`
}

/**
 * Sends all figures every so many seconds, until what it gives is called. A collector that is not there is an alarm, once, until it answers again.
 * Throws CONFIG_INVALID for a URL that leads inside or headers that others can read.
 */
export async function startOtlp(
  parts: Pick<Parts, 'store' | 'config' | 'alarm'>,
  otlp: Otlp,
  running: () => Running,
): Promise<() => Promise<void>> {
  const {store, config, alarm} = parts
  const url = new URL(otlp.url)
  checkPlace(url, config.development)
  const headers = otlp.headersFile === null ? {} : await readHeaders(otlp.headersFile)
  const [{OTLPMetricExporter}, {MeterProvider, PeriodicExportingMetricReader}] = await Promise.all([
    import('@opentelemetry/exporter-metrics-otlp-http'),
    import('@opentelemetry/sdk-metrics'),
  ])
  const exporter = new OTLPMetricExporter({
    url: otlp.url,
    headers,
    timeoutMillis: timeoutMilliseconds,
    httpAgentOptions: protocol => agentFor(protocol),
  })
  let silent = false
  const told = exporter.export.bind(exporter)
  exporter.export = (metrics, done) =>
    told(metrics, result => {
      if (result.code !== 0 && !silent) alarm('the collector of the figures does not take them', {host: url.host})
      silent = result.code !== 0
      done(result)
    })
  const reader = new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: otlp.everySeconds * 1000,
    exportTimeoutMillis: Math.min(timeoutMilliseconds, otlp.everySeconds * 1000),
  })
  const provider = new MeterProvider({readers: [reader]})
  const meter = provider.getMeter('prod.broker')
  const gauge = (name: string, description: string, unit = '1') => meter.createObservableGauge(name, {description, unit})
  const told30d = figures.map(({name, words, unit}) => ({name, gauge: gauge(instrumentName(name), `${words}, over 30 days`, units[unit])}))
  const own = {
    live: gauge('prod.broker.live', 'runs and sessions that live on this broker now'),
    alarms: gauge('prod.broker.alarms', 'alarms since the start'),
    waiting: gauge('prod.broker.outbox_waiting', 'notices that wait to be accepted'),
    dead: gauge('prod.broker.outbox_dead', 'notices kept that were given up'),
    entries: gauge('prod.broker.log_entries', 'entries of the log'),
  }
  meter.addBatchObservableCallback(
    async observer => {
      const values = await currentFigures(parts)
      for (const one of told30d) {
        const value = values[one.name]
        if (value !== null && value !== undefined) observer.observe(one.gauge, value)
      }
      const [{live, alarms}, {waiting, dead}] = [running(), await store.countNotices()]
      const entries = await store.logSize()
      for (const [name, value] of Object.entries({live, alarms, waiting, dead, entries}))
        observer.observe(own[name as keyof typeof own], value)
    },
    [...told30d.map(one => one.gauge), ...Object.values(own)],
  )
  return () => provider.shutdown({timeoutMillis: 2000}).catch(() => {})
}

/** https, or for a development broker a literal loopback address; a literal address is checked here, a name when it is looked up (TM-A7). */
function checkPlace(url: URL, development: boolean): void {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const loopback = host === '127.0.0.1' || host === '::1'
  if (development && loopback) return
  if (url.protocol === 'https:' && (isIP(host) === 0 || !isRefused(host))) return
  throw new ProdError('CONFIG_INVALID', `metrics.otlp.url must be https and must not lead to ${host}`, 'see docs/operating.md')
}

/** A collector may well be on a private address; this machine, its link and the cloud's metadata are none. */
const refusedRanges = new Set(['loopback', 'linkLocal', 'unspecified', 'broadcast', 'multicast', 'reserved'])

function isRefused(address: string): boolean {
  return refusedRanges.has(ipaddr.process(address).range())
}

async function agentFor(protocol: string): Promise<Agent> {
  if (protocol === 'http:') return new (await import('node:http')).Agent()
  const [{Agent: SecureAgent}, {lookup}] = await Promise.all([import('node:https'), import('node:dns')])
  const outsideOnly: LookupFunction = (host, _options, callback) => {
    lookup(host, {all: true, verbatim: true}, (error, addresses) => {
      if (error || addresses.length === 0 || addresses.some(({address}) => isRefused(address)))
        callback(error ?? Object.assign(new Error('the collector’s name leads to this machine'), {code: 'EACCES'}), [])
      else callback(null, addresses)
    })
  }
  return new SecureAgent({lookup: outsideOnly, minVersion: 'TLSv1.2', rejectUnauthorized: true})
}

/** A JSON object of texts in a file of this account or root that nobody else reads. */
async function readHeaders(path: string): Promise<Record<string, string>> {
  const refuse = (why: string): ProdError =>
    new ProdError('CONFIG_INVALID', `metrics.otlp.headersFile: ${path} ${why}`, `chmod 600 ${path}`)
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((error: NodeJS.ErrnoException) => {
    throw refuse(`cannot be opened: ${error.code}`)
  })
  try {
    const info = await file.stat()
    if (!info.isFile() || info.size > maxHeaderBytes) throw refuse('is no file of headers')
    if ((info.mode & 0o077) !== 0 || (info.uid !== 0 && info.uid !== process.geteuid?.())) throw refuse('can be read by others')
    const headers = JSON.parse(await file.readFile('utf8')) as Record<string, unknown>
    const good = Object.entries(headers).every(
      ([name, value]) => /^[A-Za-z0-9-]{1,64}$/.test(name) && typeof value === 'string' && /^[\x20-\x7e]*$/.test(value),
    )
    if (typeof headers !== 'object' || headers === null || Array.isArray(headers) || !good) throw refuse('holds no JSON object of headers')
    return headers as Record<string, string>
  } catch (error) {
    throw error instanceof ProdError ? error : refuse('holds no JSON object of headers')
  } finally {
    await file.close()
  }
}
