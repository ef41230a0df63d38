/** What the pages of this repository tell people to type, held against the manifests. */
import {globSync, readFileSync} from 'node:fs'
import {join} from 'node:path'

interface Manifest {
  commands: Record<string, {flags: Record<string, {char?: string; allowNo?: boolean}>; args: Record<string, unknown>; strict?: boolean}>
}

/** Every page, by its path. */
export function pages(root: string): {path: string; text: string}[] {
  const paths = globSync(['*.md', 'docs/**/*.md', 'plugins/*/README.md', 'test/data/**/*.md'], {cwd: root})
  return paths.sort().map(path => ({path, text: readFileSync(join(root, path), 'utf8')}))
}

/** What is wrong with the commands that a page shows: in fenced code the lines that begin with `prod`, in text the code that does. */
export function typedCommands(root: string, page: string): {line: string; fault: string}[] {
  const manifests = ['oclif.manifest.json', 'plugins/aws/oclif.manifest.json', 'plugins/broker/oclif.manifest.json']
  const commands = Object.assign(
    {},
    ...manifests.map(file => (JSON.parse(readFileSync(join(root, file), 'utf8')) as Manifest).commands),
  ) as Manifest['commands']
  return linesOf(page).flatMap(line => {
    const fault = faultOf(commands, wordsOf(line))
    return fault === undefined ? [] : [{line, fault}]
  })
}

function linesOf(page: string): string[] {
  const fenced = [...page.matchAll(/^ *```(\w*)\n(.*?)^ *```$/gms)].flatMap(([, language, text]) =>
    language === '' || /^(?:sh|shell|bash|console|text)$/.test(language as string)
      ? (text as string).replaceAll('\\\n', ' ').split('\n')
      : [],
  )
  const inline = [...page.replace(/^ *```.*?^ *```$/gms, '').matchAll(/`([^`]+)`/g)].map(([, code]) =>
    (code as string).replace(/\s+/g, ' '),
  )
  return [...fenced, ...inline]
    .map(line =>
      line
        .trim()
        .replace(/^(?:\w+ ?)?\$ /, '')
        .replace(/^(?:npm run dev -- |[A-Z_]+=\S+ )+/, 'prod ')
        .replace(/^prod prod /, 'prod '),
    )
    .filter(line => /^prod [a-z-]/.test(line)) // not a line of output such as `prod 0.1.0`
}

/** As a shell splits it, up to what is no longer this command. */
function wordsOf(line: string): string[] {
  const words: string[] = []
  for (const [word] of line.slice('prod '.length).matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)) {
    if (/^(?:[|;#<]|>|&&|2>)/.test(word)) break
    words.push(word.replace(/;$/, ''))
    if (word.endsWith(';')) break
  }
  return words
}

function faultOf(commands: Manifest['commands'], words: string[]): string | undefined {
  // bare --version, --help, --complete; `prod help X` is `prod X --help`
  if (/^(?:--|help$)/.test(words[0] ?? '')) return undefined
  if (words.some((word, at) => at < 2 && /\w\|\w/.test(word))) {
    const at = words.findIndex(word => word.includes('|'))
    const each = (words[at] as string).split('|').map(one => faultOf(commands, [...words.slice(0, at), one, ...words.slice(at + 1)]))
    return each.find(fault => fault !== undefined)
  }
  const length = [3, 2, 1].find(count => words.length >= count && commands[words.slice(0, count).join(':')])
  if (length === undefined) {
    const topic = Object.keys(commands).some(id => id.startsWith(`${words[0]}:`))
    return topic && words.length === 1 ? undefined : 'no such command'
  }
  const id = words.slice(0, length).join(':')
  const {flags, args, strict} = commands[id] as Manifest['commands'][string]
  let given = 0
  for (let at = length; at < words.length; at++) {
    const word = (words[at] as string).replace(/^\[|\]$/g, '')
    // the words of a tool: everything after its name is its own
    if (strict === false && !word.startsWith('-')) return undefined
    if (word === '--' || word === '…') return undefined
    const [name = '', value] = word.split('=', 2)
    const flag = Object.entries(flags).find(([long, {char, allowNo}]) =>
      [`--${long}`, `-${char}`, ...(allowNo ? [`--no-${long}`] : [])].includes(name),
    )
    if (word.startsWith('-') && word !== '-') {
      if (!flag && name !== '--help') return `no such flag: ${name}`
      if (flag && value === undefined && (flag[1] as {type?: string}).type !== 'boolean') at += 1
    } else if (!word.startsWith('…')) given += 1
  }
  const most = Object.keys(args).length
  return given > most ? `takes ${most} arguments, not ${given}` : undefined
}
