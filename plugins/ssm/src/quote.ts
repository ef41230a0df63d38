/**
 * Words as one text that a POSIX shell, and the splitter of Amazon's agent, read as exactly those words (TM-H5). By construction:
 * whatever is not plain stands in single quotes, where nothing has a meaning, and a single quote stands in double quotes beside them.
 * So do the other signs that PowerShell takes for single quotes: it reads other words then, but never a command. Two opening braces are
 * never neighbours, so that Systems Manager sees no `{{parameter}}` in the text. Pure.
 */
export function quoteWords(words: readonly string[]): string {
  return words.map(quoteWord).join(' ')
}

function quoteWord(word: string): string {
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(word)) return word
  return `'${word.replaceAll(/['\u2018-\u201b]+/g, signs => `'"${signs}"'`).replaceAll(/\{(?=\{)/g, "{''")}'`
}
