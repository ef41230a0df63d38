import {globSync} from 'node:fs'
import {join} from 'node:path'
import type {Figure, Row} from './figure.ts'

/** `npm run bench [NAME…]`: measures each figure of figures/ (or those named) and prints them beside their floors. */
const wanted = process.argv.slice(2)
const files = globSync('*.ts', {cwd: join(import.meta.dirname, 'figures')}).sort()
const round = (value: number): string => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2))

function line({what, value, unit, floor, ratio, budget}: Row): string {
  const kept = budget && (budget.kind === 'at most' ? ratio <= budget.ratio : ratio >= budget.ratio)
  const verdict = budget ? `${budget.kind} ${budget.ratio}: ${kept ? 'kept' : 'MISSED'}` : ''
  return [
    what.padEnd(44),
    `${round(value)} ${unit}`.padStart(14),
    `${floor.what} ${round(floor.value)}`.padStart(38),
    `x ${ratio.toFixed(2)}`.padStart(9),
    verdict,
  ]
    .join('  ')
    .trimEnd()
}

for (const file of files) {
  const {figure} = (await import(`./figures/${file}`)) as {figure: Figure}
  if (wanted.length > 0 && !wanted.includes(figure.name)) continue
  const rows = await figure.measure()
  if (typeof rows === 'string') console.log(`${figure.name.padEnd(44)}  not measured: ${rows}`)
  else for (const row of rows) console.log(line(row))
}
