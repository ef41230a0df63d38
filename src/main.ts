import {Config, type Plugin} from '@oclif/core/config'
import {flush} from '@oclif/core/flush'
import {getHelpFlagAdditions, loadHelpClass, normalizeArgv} from '@oclif/core/help'
import {reportFailure} from '@prod/sdk/cli/failure'
import {guardStreams} from '@prod/sdk/cli/output'
import {ProdError} from '@prod/sdk/errors'
import {stopAtTool} from './exec-argv.ts'

/**
 * Runs one command line to its end and sets the exit status. `root` is the folder of our package.json. Plugins that a file
 * in the user's folders names are never loaded; `plugins` replaces what package.json lists (the start from sources).
 */
export async function start(argv: readonly string[], root: string, plugins?: Map<string, Plugin>): Promise<void> {
  guardStreams()
  try {
    const config = await Config.load({root, userPlugins: false, devPlugins: false, jitPlugins: false, ...(plugins && {plugins})})
    await run(argv, config)
    await flush()
  } catch (error) {
    process.exitCode = exitOf(error) ?? reportFailure(error, {json: beforeDashes(argv).includes('--json')})
    await flush()
    process.exit()
  }
}

/** The same steps as oclif's `run` without its hooks: nobody may register one, since a hook runs on every command. */
async function run(argv: readonly string[], config: Config): Promise<void> {
  let words = argv[0] === 'help' ? [...argv.slice(1), '--help'] : [...argv]
  for (const before of ['exec', 'policy explain']) {
    const length = before.split(' ').length
    const command = words.slice(0, length).join(' ') === before && config.findCommand(before.replace(' ', ':'))
    if (command) words = stopAtTool(words, command.flags, length)
  }
  if (words[0] === '-h') words = ['--help']
  if (words[0] === '--version') {
    process.stdout.write(`${config.userAgent}\n`)
    return
  }

  const [id = '', ...rest] = normalizeArgv(config, words)
  const command = config.findCommand(id)
  const topic = command ? undefined : config.findTopic(id)
  const known = command || topic || id === '' || id.startsWith('-')
  const asksHelp = getHelpFlagAdditions(config).some(flag => beforeDashes(words).includes(flag))
  if (!known) throw unknownCommand(id, config)
  if (asksHelp || topic || id === '') {
    const Help = await loadHelpClass(config)
    await new Help(config, config.pjson.oclif.helpOptions).showHelp(words)
    return
  }
  if (!command) throw new ProdError('USAGE', `${id} stands before the command`, 'prod --help')
  await config.runCommand(id, rest, command)
}

/** The part of a command line that is ours: all after `--` is somebody else's. */
function beforeDashes(words: readonly string[]): readonly string[] {
  return words.includes('--') ? words.slice(0, words.indexOf('--')) : words
}

/** The status by which a command ended itself, having said why. */
function exitOf(error: unknown): number | undefined {
  const {code, oclif} = error as {code?: unknown; oclif?: {exit?: unknown}}
  return code === 'EEXIT' && typeof oclif?.exit === 'number' ? oclif.exit : undefined
}

function unknownCommand(id: string, config: Config): ProdError {
  const typed = id.replaceAll(':', ' ')
  const others: Record<string, string> = {version: '--version', completion: 'autocomplete'}
  const near = others[typed] ?? config.commandIDs.map(name => name.replaceAll(':', ' ')).find(name => distance(name, typed) <= 2)
  return new ProdError('USAGE', `there is no command ${JSON.stringify(typed)}`, near ? `prod ${near}` : 'prod --help')
}

/** Edits between two words (Levenshtein), for "did you mean". */
function distance(a: string, b: string): number {
  let row = Array.from({length: b.length + 1}, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
