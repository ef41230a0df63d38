import {mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {pathToFileURL} from 'node:url'
import type {MetricsReport} from '@prod/sdk/api'
import {unpaint} from '@prod/sdk/cli/output'
import {figures} from '@prod/sdk/figures'
import {openEntry} from '@prod/sdk/log/envelope'
import {columns} from '@prod/sdk/text'
import {expect, test} from 'vitest'
import {addEvent, newFacts} from '../../plugins/broker/src/metrics/facts.ts'
import {makeReport} from '../../plugins/broker/src/metrics/report.ts'
import {metricsPage} from '../../src/metrics/page.ts'
import {showReport} from '../../src/metrics/terminal.ts'
import {openBrowser} from './browser.ts'
import {makeHistory} from './history.ts'
import {keep} from './lines.ts'

const from = Date.UTC(2026, 0, 5)
const facts = newFacts()
for (const [index, event] of makeHistory({seed: 2, from, days: 40, people: 40, teams: 4, services: 3, perWeek: 5}).entries())
  addEvent(facts, openEntry(keep(event, index)))
const report = makeReport(facts, {
  since: new Date(from),
  until: new Date(from + 40 * 86_400_000),
  teams: [],
  minPeople: 1,
  reviewHours: 72,
}) as MetricsReport
const hostile = '</th><script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'">\u202egpj'
const named: MetricsReport = {...report, teams: report.teams.map((team, n) => (n === 0 ? {...team, name: hostile} : team))}
const browser = await openBrowser()

test.skipIf(browser === undefined)(
  'TM-R3: the page stands in a browser by itself: no script, nothing loaded, no fault, a table beside each chart',
  async ({onTestFinished}) => {
    const folder = mkdtempSync(join(tmpdir(), 'prod-page-'))
    onTestFinished(async () => {
      await browser?.close()
      rmSync(folder, {recursive: true})
    })
    const file = join(folder, 'metrics.html')
    writeFileSync(file, metricsPage(named))
    const page = await browser!.newPage({viewport: {width: 1200, height: 900}})
    const [said, asked]: string[][] = [[], []]
    page.on('console', message => said!.push(message.text()))
    page.on('pageerror', error => said!.push(String(error)))
    page.on('request', request => asked!.push(request.url()))
    await page.goto(pathToFileURL(file).href)
    expect(said).toEqual([])
    expect(asked).toEqual([pathToFileURL(file).href])
    expect(await page.title()).toMatch(/^How people reach production/)
    expect(await page.locator('script, img').count()).toBe(0)
    expect(await page.locator('th', {hasText: 'owned'}).count()).toBe(1)

    const charts = page.locator('figure')
    expect(await charts.count()).toBeGreaterThan(8)
    for (const chart of await charts.all()) {
      expect(await chart.locator('svg[role=img]').getAttribute('aria-label')).toMatch(/ from .+ to .+, last /)
      expect(await chart.locator('details table tbody tr').count()).toBe(report.series[0]!.points.length)
    }
    await charts.first().locator('summary').click()
    expect(await charts.first().locator('table').isVisible()).toBe(true)
    for (const {words} of figures.slice(1)) expect(await page.locator('.chapters th', {hasText: words}).count(), words).toBeGreaterThan(0)

    const ground = () => page.evaluate('getComputedStyle(document.body).backgroundColor')
    const light = await ground()
    await page.emulateMedia({colorScheme: 'dark'})
    expect(await ground()).not.toBe(light)
    await page.setViewportSize({width: 360, height: 700})
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360)
    // its policy holds: what is put in does not run, and nothing leaves
    await page.evaluate(`document.body.append(Object.assign(document.createElement('script'), {textContent: 'document.title = "owned"'}))`)
    expect(await page.title()).not.toBe('owned')
  },
)

test('the page says by which policy it stands, and has no attribute of style or of events', () => {
  const page = metricsPage(named)
  expect(page).toMatch(
    /<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]{44}'; base-uri 'none'; form-action 'none'">/,
  )
  expect(page).not.toMatch(/<[^>]+ (?:style|on\w+|src|href)=/)
  expect(page).not.toMatch(/[\u202a-\u202e\u2066-\u2069]/)
})

test.each([40, 60, 80, 120, 200])('the page for the terminal fits into %d columns where its words do', width => {
  const lines = showReport(report, width).map(unpaint)
  const plots = lines.filter(line => /^ {2}\|/.test(line))
  expect(plots.length).toBeGreaterThan(6)
  if (width >= 80) for (const line of plots) expect(columns(line), line).toBeLessThanOrEqual(width)
  expect(lines.join('\n')).toMatch(/zero-touch share {2}\d+ % {2}\[█+·*\]/)
  expect(lines.join('\n')).not.toContain('NaN')
})

test('without anything that was done there are no plots, and no figure is invented', () => {
  const empty = makeReport(newFacts(), {since: new Date(from), until: new Date(from + 1), teams: [], minPeople: 1, reviewHours: 72})
  const text = showReport(empty as MetricsReport, 80)
    .map(unpaint)
    .join('\n')
  expect(text).toContain('zero-touch share  -  nothing was done in production')
  expect(text).not.toMatch(/NaN|Infinity|undefined|null/)
  expect(text).toMatch(/^ {2}until approved {14}-$/m)
  expect(metricsPage(empty as MetricsReport)).not.toMatch(/NaN|Infinity|undefined|>null/)
})

test('one of a thing is told as one', () => {
  const values = {...report.values, shellPeopleHeld: 1, breakGlass: 1, reviewsOpen: 1}
  const page = metricsPage({...report, values})
  for (const words of ['person held the right to one', 'time glass was broken', 'review waits'])
    expect(page).toContain(`<span>${words}</span>`)
})
