/** The main job with real processes: `npm run demo`. Ends with 0 only if every step was as the story says; leaves nothing behind. */
import {startRealBroker} from '../e2e/broker.ts'
import {startStandIn} from '../sessions-stand-in/stand-in.ts'
import {awsOfTheStory} from './aws-story.ts'
import {killAll, part, StoryBroke, tell} from './stage.ts'
import {tellStory} from './story.ts'

const finish: (() => Promise<void>)[] = []
let closing: Promise<void> | undefined

function close(): Promise<void> {
  closing ??= (async () => {
    killAll()
    for (const step of finish.splice(0).reverse()) await step()
  })()
  return closing
}

for (const [signal, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
  ['SIGHUP', 1],
] as const) {
  process.on(signal, () => void close().then(() => process.exit(128 + number)))
}

const from = Date.now()
let brokerSaid = ''
try {
  const aws = await startStandIn(awsOfTheStory)
  finish.push(() => aws.close())
  const broker = await startRealBroker(step => finish.push(step), {
    env: aws.env,
    onAlarm: text => {
      brokerSaid += text
    },
  })
  await tellStory(broker)
  await close()
  await part('All of it held')
  await tell(
    `${((Date.now() - from) / 1000).toFixed(1)} seconds, real processes, nothing left running. README.md shows how to type it yourself.`,
  )
} catch (error) {
  if (closing)
    await closing // Ctrl-C: what breaks then is not the story's fault
  else {
    const words = error instanceof StoryBroke ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)
    process.stderr.write(`\nthe story broke: ${words}\n${brokerSaid && `the broker said:\n${brokerSaid}`}`)
    process.exitCode = 1
    await close()
  }
}
