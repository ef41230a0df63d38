/**
 * Runs the evidence and writes docs/security-figures.md from what came out: `node --conditions=source test/security/figures.ts [--corpus FILE]
 * [--lines N] [--share S] [--fuzzed FILE]`; FILE: what `npm run fuzz` wrote before. Some twenty minutes as root on a machine with bubblewrap, strace and the tools; nothing in the page is typed by hand.
 */
import {spawnSync} from 'node:child_process'
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {cpus, tmpdir} from 'node:os'
import {join} from 'node:path'
import {parseArgs} from 'node:util'
import {type Judged, judgeCorpus} from './corpus.ts'
import {readCases} from './library.ts'

const {values} = parseArgs({
  options: {
    corpus: {type: 'string'},
    lines: {type: 'string', default: '300'},
    share: {type: 'string', default: '1'},
    fuzzed: {type: 'string'},
  },
})
const root = join(import.meta.dirname, '../..')
const library = join(root, 'plugins/broker/library')
const scratch = mkdtempSync(join(tmpdir(), 'prod-figures-'))

/** Runs a script of ours and gives what it wrote; a status beyond 1 is no result. */
function script(file: string, ...args: string[]): {text: string; ok: boolean} {
  process.stderr.write(`${file} ${args.join(' ')}\n`)
  const {status, stdout, stderr} = spawnSync(process.execPath, ['--conditions=source', join(root, file), ...args], {
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
  })
  if (status === null || status > 1) throw new Error(`${file} ended with ${status}: ${stderr.slice(-2000)}`)
  return {text: stdout.trimEnd(), ok: status === 0}
}

const cases = readCases(library).filter(({argv}) => argv)
const own = {allow: cases.filter(({expect}) => expect === 'allow').length, deny: cases.filter(({expect}) => expect === 'deny').length}
const corpus: Judged | undefined = values.corpus === undefined ? undefined : await judgeCorpus(values.corpus, library)
const tested = script('bin/run.js', 'policy', 'test', '--dir', library)
const ranFile = join(scratch, 'differential.json')
const differential = script('test/security/differential.ts', values.lines, '--json', ranFile)
const ran = JSON.parse(readFileSync(ranFile, 'utf8')) as {results: {tool: string; lines: number; strays: number}[]; absent: string[]}
const fuzzed = values.fuzzed === undefined ? script('test/fuzz/run.ts', values.share).text : readFileSync(values.fuzzed, 'utf8').trimEnd()
const bench = script('test/bench/run.ts', 'library')
rmSync(scratch, {recursive: true, force: true})

const total = ran.results.reduce((sum, {lines}) => sum + lines, 0)
const strays = ran.results.reduce((sum, {strays: one}) => sum + one, 0)
const cpu = cpus()
/** the arguments of this run; of files only that they were given */
const said = Object.entries(values)
  .map(([name, value]) => ` --${name} ${name === 'corpus' || name === 'fuzzed' ? 'FILE' : value}`)
  .join('')
writeFileSync(
  join(root, 'docs/security-figures.md'),
  `# Security figures

Written by \`node --conditions=source test/security/figures.ts${said}\` on ${new Date().toISOString().slice(0, 10)}, ${cpu.length} × ${cpu[0]?.model ?? 'unknown'}, Node ${process.versions.node}. Nothing here is typed by hand.

## Lines judged by the shipped definitions

| lines | of tools | must be refused | of these allowed | must be allowed | of these refused |
| --- | --- | --- | --- | --- | --- |
| the library's own unit tests | ${new Set(cases.map(({argv}) => argv?.[0])).size} | ${own.deny} | ${tested.ok ? 0 : 'see policy test'} | ${own.allow} | ${tested.ok ? 0 : 'see policy test'} |
${
  corpus === undefined
    ? ''
    : `| an attack corpus kept outside the project | ${corpus.tools} | ${corpus.escapes} | ${corpus.allowedEscapes.length} | ${corpus.benign} | ${corpus.refusedBenign.length} |\n`
}
## Allowed lines, run with the real tools under strace

Lines that the grammars allow, made by chance, each run with the installed tool in private folders with canaries and without a network. A stray is
anything opened, changed, started or called beyond the rule.

| tool | lines | strays |
| --- | --- | --- |
${ran.results.map(({tool, lines, strays: one}) => `| ${tool} | ${lines} | ${one} |`).join('\n')}
| **all** | **${total}** | **${strays}** |

${ran.absent.length > 0 ? `Not installed on that machine: ${ran.absent.join(', ')}.\n` : ''}${differential.ok ? '' : '\n**Something strayed.**\n'}
## Made by chance

\`\`\`
${fuzzed}
\`\`\`

## Speed

\`\`\`
${bench.text}
\`\`\`
`,
)
