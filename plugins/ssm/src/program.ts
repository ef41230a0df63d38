/** Programs by a document that opens a terminal: input, output and errors apart, every signal, and a status, carried over it as lines. */
import type {Channel, Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {finishText, labelOf, type Mark, newMark, runProgram, startText} from './carried/index.ts'
import {openShell} from './channel/index.ts'
import {commandLine} from './command-line.ts'

type Exec = Extract<Use, {kind: 'exec'}>
type Start = (command: string, signal: AbortSignal) => Promise<Parameters<typeof openShell>[0]>

/** lines of ours are not wrapped */
const wide = {columns: 300, rows: 100}
const finishMs = 15_000

/**
 * Opens a program. `start` starts a session whose terminal runs this text by `sh -c`: a fixed script, and behind it the program's words, each
 * quoted (TM-H5). Throws TARGET_UNREACHABLE, TOOL_UNAVAILABLE.
 */
export async function openProgram(use: Exec, signal: AbortSignal, start: Start): Promise<Channel> {
  if (use.runAs !== undefined)
    throw new ProdError(
      'TOOL_UNAVAILABLE',
      `at a terminal nothing that runs as ${use.runAs} could be ended`,
      'as: out of the tool, or exec= of a document of session type NonInteractiveCommands',
    )
  const mark = newMark()
  // the label comes with an environment that is otherwise built from nothing
  const [name = '', label = ''] = labelOf(mark).split('=')
  const text = startText(mark, use.limits.cpuSeconds, [commandLine({...use, env: {...use.env, [name]: label}})])
  return runProgram(await openShell(await start(text, signal), wide), {
    place: 'instance',
    mend: 'exec= of a document of session type NonInteractiveCommands in the address: docs/aws-sessions.md, "Documents"',
    mark,
    stdin: use.stdin,
    wallSeconds: use.limits.wallSeconds,
    finish: () => finishElsewhere(mark, start),
  })
}

/** Ends what bears the mark by a session of its own, for the one it runs in may not answer. */
async function finishElsewhere(mark: Mark, start: Start): Promise<boolean> {
  try {
    const terminal = await openShell(await start(finishText(mark), AbortSignal.timeout(finishMs)), wide)
    let said = ''
    for await (const chunk of terminal.stdout) said += String(chunk)
    await terminal.ended
    return /gone\r?\n/.test(said)
  } catch {
    // the credential may have ended: then the session is ended, and the far side does the same when it sees that
    return false
  }
}
