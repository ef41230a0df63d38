/**
 * TM-H16: lines that the library's grammars allow, made by chance, run with the real tools under watch: nothing may be opened, changed, started or
 * called beyond the rule. `node --conditions=source test/security/differential.ts [LINES-PER-TOOL] [--json FILE] [--library DIR] [TOOL…]`; 300 lines if not said.
 * Ends with 1 where something strayed. Needs root, bubblewrap and strace; a tool that is not installed is said to be.
 */
import {existsSync, writeFileSync} from 'node:fs'
import {join} from 'node:path'
import {parseArgs} from 'node:util'
import {loadBundle} from '@prod/broker/policy'
import {fixedEnvironment} from '@prod/sdk/environment'
import {checkArgv, parse} from '@prod/sdk/grammar/parse'
import {addArguments} from '@prod/sdk/grammar/print'
import {generateArgv, knownValues, seeded} from '../../plugins/sdk/test/generate-argv.ts'
import {type Beyond, openArena, type Stray} from './arena.ts'
import {readAllowed} from './library.ts'

/** What a tool does beyond reading what its definition names, and why that is within its rule. */
const beyond: Record<string, Beyond> = {
  // pipes the archive through the program that packed it
  tar: {execs: /^\/usr(?:\/local)?\/s?bin\/(?:gzip|bzip2|xz|zstd|lzip|lzma|lzop|compress|uncompress|gunzip|sh)$|^\/bin\/sh$/},
  // the command behind it is judged by its own rule
  timeout: {execs: /(?:^|\/)(?:df|uptime|nice|env|timeout)$/},
  nice: {execs: /(?:^|\/)(?:df|uptime|nice|env|timeout)$/},
  env: {execs: /(?:^|\/)(?:df|uptime|nice|env|timeout)$/},
  // a network that is not there: what counts is whom they would call
  curl: {connects: /^(?:53|443) at /},
  wget: {connects: /^(?:53|443) at /},
  dig: {connects: /^(?:53|0) at /},
  ssh: {connects: /^(?:53|22) at /, reads: /^\/root\/\.ssh\/(?:config|known_hosts2?)$/},
  scp: {execs: /\/ssh$/, reads: /^\/root\/\.ssh\/(?:config|known_hosts2?)$/, connects: /^(?:53|22) at /, writes: /^\/srv\/scratch\//},
  openssl: {connects: /^(?:53|443) at /},
  rsync: {connects: /^(?:53|873) at /},
  kubectl: {connects: /^8080 at (?:127\.0\.0\.1|::1)$/, writes: /^\/home\/run\/\.kube/},
  // names of hosts are looked up, where -n does not forbid it
  'redis-cli': {connects: /^(?:53|6379) at /},
  nmap: {connects: /^53 at |at 10\./},
  // what they manage on this host is asked over its own sockets and devices
  busctl: {connects: /\/dbus\/system_bus_socket$/},
  systemctl: {connects: /\/dbus\/system_bus_socket$|\/systemd\/private$/},
  docker: {connects: /\/docker\.sock$/, writes: /^\/home\/run\/\.docker/},
  dmesg: {reads: /^\/dev\/kmsg$/},
  // the editor's own scripts
  vim: {reads: /^\/var\/lib\/vim\//, connects: /^\/dev\/log$/},
  view: {reads: /^\/var\/lib\/vim\//, connects: /^\/dev\/log$/},
  nginx: {writes: /^\/run\/nginx\.pid$/},
  strace: {changes: /^ptrace/},
  perf: {execs: /\/sleep$/, reads: /^\/tmp\/perf-/, writes: /^\/tmp\/perf-|^\/sys\/kernel\/(?:tracing|debug)/},
  apt: {execs: /\/dpkg$/},
  'apt-get': {execs: /\/dpkg$/},
  'apt-cache': {execs: /\/dpkg$/},
  // programs of several parts, with a folder of their own in the run's private home
  gcloud: {
    execs: /^\/(?:usr\/)?(?:local\/)?s?bin\//,
    reads: /\/openssl\.cnf$/,
    connects: /^(?:53|443) at |^0 at ::1$/,
    writes: /^\/home\/run\/\.config\/gcloud|^\/etc\/prod|^\/usr\/.*__pycache__/,
  },
  ansible: {
    execs: /^\/(?:usr\/)?(?:local\/)?s?bin\//,
    reads: /^\/dev\/shm\/|^\/tmp\/|^\/var\/lib\/libuuid\/|^\/root(?:\/\.ansible|$)/,
    writes: /^\/home\/run\/\.ansible|^\/root(?:\/\.ansible|$)|^\/tmp(?:\/|$)|^\/dev\/shm\/|^\/var\/lib\/libuuid\//,
    connects: /\/uuidd\/request$|^\/dev\/log$/,
    changes: /^(?:mkdir|rmdir|unlink|chmod|fchmodat|rename)/,
  },
  'ansible-playbook': {
    execs: /^\/(?:usr\/)?(?:local\/)?s?bin\//,
    reads: /^\/dev\/shm\/|^\/tmp\/|^\/var\/lib\/libuuid\/|^\/root(?:\/\.ansible|$)/,
    writes: /^\/home\/run\/\.ansible|^\/root(?:\/\.ansible|$)|^\/tmp(?:\/|$)|^\/dev\/shm\/|^\/var\/lib\/libuuid\//,
    connects: /\/uuidd\/request$|^\/dev\/log$/,
    changes: /^(?:mkdir|rmdir|unlink|chmod|fchmodat|rename)/,
  },
  npm: {execs: /^\/(?:usr\/)?(?:local\/)?s?bin\//, writes: /^\/home\/run\/\.npm/, connects: /^(?:53|443) at /},
}

const {values, positionals} = parseArgs({allowPositionals: true, options: {json: {type: 'string'}, library: {type: 'string'}}})
const count = Number(positionals[0] ?? 300)
const only = positionals.slice(1)
const library = values.library ?? join(import.meta.dirname, '../../plugins/broker/library')
const bundle = await loadBundle({catalogDir: join(library, 'catalog'), policyDir: join(library, 'policy'), development: true})
const allowed = readAllowed(library)
const find = (name: string) => bundle.catalog.tools.get(name)?.grammar

/** Whether the line passes what is asked of every argv before any grammar. */
function mayBeTyped(argv: string[]): boolean {
  try {
    checkArgv(argv)
    return true
  } catch {
    return false
  }
}

interface Result {
  tool: string
  lines: number
  strays: (Stray & {argv: string[]})[]
}
const results: Result[] = []
const absent: string[] = []
const arena = openArena()
try {
  for (const {name, grammar, program, env} of [...bundle.catalog.tools.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (only.length > 0 && !only.includes(name)) continue
    if (!existsSync(program.path)) {
      absent.push(name)
      continue
    }
    const random = seeded(20_261_122)
    const known = knownValues(
      grammar,
      allowed.filter(argv => argv[0] === name),
      find,
    )
    const result: Result = {tool: name, lines: 0, strays: []}
    const seen = new Set<string>()
    for (let attempt = 0; result.lines < count && attempt < count * 3; attempt++) {
      const argv = generateArgv(grammar, random, {tools: find, known})
      if (!argv || seen.has(argv.join('\0')) || !mayBeTyped(argv)) continue
      seen.add(argv.join('\0'))
      const parsed = parse(grammar, argv, find)
      if (!parsed.ok) throw new Error(`a made line is not allowed: ${JSON.stringify(argv)}`)
      const whole = addArguments(parsed.structure, grammar.commands[parsed.structure.command]?.adds, grammar.adds)
      const {strays} = arena.run(whole, {
        program: program.path,
        cwd: '/srv/app',
        env: {...fixedEnvironment, ...env},
        stdin: '{"a":{"b":[1,2,3]},"name":"x"}\n',
        beyond: beyond[name] ?? {},
      })
      result.lines += 1
      result.strays.push(...strays.map(stray => ({...stray, argv})))
    }
    results.push(result)
    process.stdout.write(`${name.padEnd(18)} ${String(result.lines).padStart(5)} lines  ${result.strays.length} strays\n`)
    for (const {kind, what, argv} of result.strays
      .filter((one, at, all) => all.findIndex(other => other.kind === one.kind && other.what === one.what) === at)
      .slice(0, 8))
      process.stdout.write(`    ${kind} ${what}  by ${JSON.stringify(argv)}\n`)
  }
} finally {
  arena.close()
}
if (absent.length > 0) process.stdout.write(`not installed here: ${absent.join(', ')}\n`)
const total = results.reduce((sum, {lines}) => sum + lines, 0)
const strayed = results.reduce((sum, {strays}) => sum + strays.length, 0)
process.stdout.write(`${total} lines of ${results.length} tools, ${strayed} strays\n`)
if (values.json !== undefined)
  writeFileSync(values.json, JSON.stringify({results: results.map(({strays, ...rest}) => ({...rest, strays: strays.length})), absent}))
process.exitCode = strayed > 0 ? 1 : 0
