/** A development broker as a process of its own: `DIR`; it prints its ready line. */
import {startBroker} from '../src/main.ts'

const {ready} = await startBroker({
  development: true,
  dir: process.argv[2] as string,
  port: 0,
  alarm: line => process.stderr.write(`${line}\n`),
})
process.stdout.write(`${JSON.stringify(ready)}\n`)
