/** What is needed to know about a flag to step over it. oclif's manifest and a command class both hold it. */
export interface FlagShape {
  type: 'boolean' | 'option'
  char?: string
  aliases?: string[]
  charAliases?: string[]
}

/**
 * Index of TOOL in what follows `prod exec`, or `argv.length` when there is none, or -1 when a `--` ends our options first.
 * Follows oclif's parser: a flag that takes a value takes exactly the next argument, `-r=x` and `-rx` hold theirs, short
 * flags without a value may be bundled. What no flag is called takes no value, and oclif refuses it afterwards. Pure.
 */
export function toolIndex(argv: readonly string[], flags: Readonly<Record<string, FlagShape>>): number {
  const takesValue = new Map<string, boolean>()
  for (const [name, {type, char, aliases = [], charAliases = []}] of Object.entries(flags)) {
    for (const long of [name, ...aliases]) takesValue.set(long.length === 1 ? `-${long}` : `--${long}`, type === 'option')
    for (const short of [char, ...charAliases]) if (short) takesValue.set(`-${short}`, type === 'option')
  }

  let index = 0
  while (index < argv.length) {
    const word = argv[index] ?? ''
    if (word === '--') return -1
    if (!word.startsWith('-') || word === '-') return index
    index += takesNext(word, takesValue) ? 2 : 1
  }
  return argv.length
}

function takesNext(word: string, takesValue: ReadonlyMap<string, boolean>): boolean {
  if (word.startsWith('--')) return takesValue.get(word) ?? false
  for (let at = 1; at < word.length; at++) {
    const value = takesValue.get(`-${word[at]}`)
    if (value === undefined) return false
    if (value) return at === word.length - 1
  }
  return false
}

/**
 * Puts `--` before TOOL, so that oclif leaves all that follows to the tool, its `--help` and `--json` too: our options
 * stop at TOOL. `argv` is the whole command line, our command its first `words` words. Pure.
 */
export function stopAtTool(argv: readonly string[], flags: Readonly<Record<string, FlagShape>>, words = 1): string[] {
  const rest = argv.slice(words)
  const index = toolIndex(rest, flags)
  if (index === -1 || index === rest.length) return [...argv]
  return [...argv.slice(0, words), ...rest.slice(0, index), '--', ...rest.slice(index)]
}
