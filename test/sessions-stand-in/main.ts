/**
 * Starts a stand-in as a process. The first argument, if there is one, is its options as JSON; one line of JSON says that it is
 * ready. It ends with a stdin that is a pipe, or on a signal.
 */
import {fstatSync} from 'node:fs'
import {type StandInOptions, startStandIn} from './stand-in.ts'

const standIn = await startStandIn(JSON.parse(process.argv[2] ?? '{}') as StandInOptions)
const {url, region, account, env} = standIn
process.stdout.write(`${JSON.stringify({ready: true, url, region, account, env})}\n`)
const end = (): void => void standIn.close().then(() => process.exit(0))
process.once('SIGTERM', end)
process.once('SIGINT', end)
const stdin = fstatSync(0)
if (stdin.isFIFO() || stdin.isSocket()) process.stdin.once('end', end).resume()
