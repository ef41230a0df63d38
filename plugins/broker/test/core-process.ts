/** A development broker as a process of its own: `node --conditions=source core-process.ts DIR PORT [PLUGIN…]`. Ends with SIGTERM, in order. */
import {startBroker} from '../src/main.ts'

const [dir, port, ...plugins] = process.argv.slice(2)
const broker = await startBroker({
  development: true,
  dir: dir as string,
  port: Number(port),
  ...(plugins.length > 0 ? {settings: {plugins: ['@prod/host', '@prod/webhook', ...plugins]}} : {}),
  alarm: line => process.stderr.write(`${line}\n`),
})
process.stdout.write(`${JSON.stringify(broker.ready)}\n`)
process.once('SIGTERM', () => void broker.stop().then(() => process.exit(0)))
void broker.lost.then(() => broker.stop()).then(() => process.exit(3))
