import {readFileSync} from 'node:fs'
import {describe, expect, test} from 'vitest'
import {checkGrammar} from '../src/grammar/check.ts'
import {checkArgv, parse} from '../src/grammar/parse.ts'
import {print} from '../src/grammar/print.ts'
import {grammars} from './data/grammars.ts'

interface Line {
  id: string
  tool: string
  argv: string[]
  verdict: 'escape' | 'benign'
  how: string
}

const corpus = readFileSync(new URL('../../../test/data/attacks/argv.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map(line => JSON.parse(line) as Line)

function judge(tool: string, argv: string[]): string | undefined {
  const {tool: name, data} = grammars[tool] as {tool: string; data: unknown}
  const grammar = checkGrammar(data, name)
  try {
    checkArgv(argv)
  } catch (error) {
    return String(error)
  }
  const parsed = parse(grammar, argv)
  if (!parsed.ok) return parsed.refusal.message
  expect(print(parsed.structure)).toEqual(argv)
  return undefined
}

describe.each(Object.keys(grammars).filter(tool => corpus.some(line => line.tool === tool)))('%s', tool => {
  const lines = corpus.filter(line => line.tool === tool)

  test('TM-H1 TM-H2 TM-H3 TM-H4: every escape of the corpus is refused', () => {
    const escapes = lines.filter(({verdict}) => verdict === 'escape')
    expect(escapes.length).toBeGreaterThan(5)
    expect(escapes.filter(({argv}) => judge(tool, argv) === undefined).map(({id, argv}) => [id, ...argv])).toEqual([])
  })

  test('TM-H5: every benign line of the corpus is allowed and printed again byte for byte', () => {
    const benign = lines.filter(({verdict}) => verdict === 'benign')
    expect(benign.length).toBeGreaterThan(4)
    expect(benign.map(({id, argv}) => [id, judge(tool, argv)]).filter(([, why]) => why !== undefined)).toEqual([])
  })
})

test.each([
  ['grep', ['grep', '-n', 'error', '/var/log/app/app.log'], true],
  ['grep', ['grep', '-niF', '-A3', '--', '-x', '/var/log/app/app.log'], true],
  ['grep', ['grep', '-nA', '3', 'x', '/var/log/app/app.log'], true],
  ['grep', ['grep', '-e', '--file=x', '/var/log/app/app.log'], true],
  ['grep', ['grep', 'std::string', '/var/log/app/app.log'], true],
  ['grep', ['grep', '-rn', 'x', '/var/log/app'], false],
  ['grep', ['grep', '-f', '/etc/shadow', '/var/log/app/app.log'], false],
  ['grep', ['grep', 'x', '/var/log/app/../../../etc/shadow'], false],
  ['grep', ['grep', 'x', '/var/log/application/x'], false],
  ['grep', ['grep', '-e', 'x', 'y', '/var/log/app/app.log'], false],
  ['grep', ['grep', '-F', '-E', 'x', '/var/log/app/app.log'], false],
  ['grep', ['grep', 'a\nb', '/var/log/app/app.log'], false],
  ['journalctl', ['journalctl', '--no-pager', '-u', 'nginx', '--since', '-2h', '-n', '100'], true],
  ['journalctl', ['journalctl', '--no-pager', '-unginx', '-n100'], false],
  ['journalctl', ['journalctl', '--no-pager', '-u', 'nginx', '--unit=cron', '-n100', '-o', 'json'], true],
  ['journalctl', ['journalctl', '-u', 'nginx'], false],
  ['journalctl', ['journalctl', '--no-pager', '--file=/etc/shadow'], false],
  ['journalctl', ['journalctl', '--no-pager', '-D', '/tmp'], false],
  ['journalctl', ['journalctl', '--no-pager', '-n', '5001'], false],
  ['journalctl', ['journalctl', '--no-pager', '--vacuum-size=1'], false],
  ['journalctl', ['journalctl', '--no-pager', '-M', 'x'], false],
] as [string, string[], boolean][])('TM-H1 TM-H2: %s judges %j as %s', (tool, argv, allowed) => {
  expect(judge(tool, argv) === undefined).toBe(allowed)
})

// TM-H13: the whole line that a wrapper may run is spelled out, or the wrapper is no tool at all
test.each([
  [['timeout', '5', 'uptime'], true],
  [['timeout', '5', 'df', '-h'], true],
  [['timeout', '5', 'sh', '-c', 'id'], false],
  [['timeout', '5', 'df'], false],
  [['timeout', '5', 'uptime', '-h'], false],
  [['timeout', '-s', 'KILL', '5', 'uptime'], false],
  [['timeout', '61', 'uptime'], false],
  [['timeout', '5', 'timeout', '5', 'uptime'], false],
  [['env', 'LD_PRELOAD=/tmp/x.so', 'uptime'], false],
  [['env', '-S', 'uptime'], false],
  [['nice', '5', 'uptime'], false],
] as [string[], boolean][])('TM-H13: a wrapper runs nothing that its grammar does not spell out: %j is %s', (argv, allowed) => {
  expect(judge('timeout', argv) === undefined).toBe(allowed)
})
