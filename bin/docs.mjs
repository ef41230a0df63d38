/** Writes docs/library/: what each shipped definition allows, in words and examples, made from its grammar. `--check`: says whether it is fresh. */
import {existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {checkBundle, libraryDir} from '@prod/broker/policy'
import {describeCommand, examplesOf} from '@prod/sdk/grammar/describe'

const folder = join(import.meta.dirname, '../docs/library')
const {bundle, findings} = await checkBundle({
  catalogDir: join(libraryDir, 'catalog'),
  policyDir: join(libraryDir, 'policy'),
  development: true,
  untested: true,
})
if (!bundle) throw new Error(findings.map(({file, message}) => `${file} ${message}`).join('\n'))

const tools = [...bundle.catalog.tools.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
const grammarOf = name => bundle.catalog.tools.get(name)?.grammar
const fileOf = name => `${name.replace(/^\//, '').replaceAll('/', '-')}.md`
const pages = new Map([['README.md', index()], ...tools.map(tool => [fileOf(tool.name), page(tool)])])

if (process.argv.includes('--check')) {
  const there = existsSync(folder) ? readdirSync(folder) : []
  const stale = [...pages]
    .filter(([name, text]) => !there.includes(name) || readFileSync(join(folder, name), 'utf8') !== text)
    .map(([name]) => name)
  stale.push(...there.filter(name => !pages.has(name)))
  if (stale.length > 0) {
    process.stderr.write(`docs/library is not what the grammars say (${stale.slice(0, 5).join(', ')}): npm run docs\n`)
    process.exitCode = 1
  }
} else {
  rmSync(folder, {recursive: true, force: true})
  mkdirSync(folder)
  for (const [name, text] of pages) writeFileSync(join(folder, name), text)
}

function index() {
  return `# The library

Definitions that come with the broker, all of class \`read\`. None allows anything by itself: \`prod policy init DIR --tools NAME,… --look GROUP\` copies
them with their tests; [tools.md](../tools.md) says how to write one. Each page here is made from the grammar that judges (\`npm run docs\`).

| tool | what for | checked against |
| --- | --- | --- |
${tools.map(({name, summary, version}) => `| [${name}](${fileOf(name)}) | ${summary} | ${version || 'the manual'} |`).join('\n')}
`
}

function page({name, summary, version, grammar, program, retention}) {
  const commands = grammar.commands.map((_, at) => {
    const examples = examplesOf(grammar, at, grammarOf).map(example => `$ ${example}`)
    const words = describeCommand(grammar, at, grammarOf).filter(line => !/^\s*for example/.test(line))
    return ['```', ...examples, ...words, '```'].join('\n')
  })
  return `# ${name}

${summary[0].toUpperCase()}${summary.slice(1)}. Runs \`${program.path}\`; checked against ${version || 'the manual'}; output kept: ${retention}.

${commands.join('\n\n')}
`
}
