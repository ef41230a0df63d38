/**
 * The words of a command line up to the cursor, as a POSIX shell would split it; the last is the one being typed (''
 * after a blank). Expands nothing: what holds `$` or a backquote stays as typed. Pure.
 */
export function splitLine(line: string): string[] {
  const words: string[] = []
  let word = ''
  let quote = ''
  for (let at = 0; at < line.length; at++) {
    const char = line[at] ?? ''
    if (quote) {
      if (char === quote) quote = ''
      else if (char === '\\' && quote === '"' && at + 1 < line.length) word += line[++at]
      else word += char
    } else if (char === "'" || char === '"') quote = char
    else if (char === '\\' && at + 1 < line.length) word += line[++at]
    else if (char === ' ' || char === '\t') {
      if (word || /['"]/.test(line[at - 1] ?? '')) words.push(word)
      word = ''
    } else word += char
  }
  words.push(word)
  return words
}

/**
 * What of a candidate bash must insert: its readline splits words at `:` and `=` too and replaces only the part behind
 * the last of them (COMP_WORDBREAKS). Pure.
 */
export function afterBreak(candidate: string, typed: string): string {
  const cut = Math.max(typed.lastIndexOf(':'), typed.lastIndexOf('=')) + 1
  return candidate.slice(cut)
}
