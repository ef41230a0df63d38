/** A development broker as a process of its own: `node --conditions=source core-process.ts DIR PORT`. Ends with SIGTERM, in order. */
import {startBroker} from '../src/main.ts'

const [dir, port] = process.argv.slice(2)
const broker = await startBroker({
  development: true,
  dir: dir as string,
  port: Number(port),
  alarm: line => process.stderr.write(`${line}\n`),
})
process.stdout.write(`${JSON.stringify(broker.ready)}\n`)
process.once('SIGTERM', () => void broker.stop().then(() => process.exit(0)))
void broker.lost.then(() => broker.stop()).then(() => process.exit(3))
