import {chmodSync, mkdirSync, symlinkSync} from 'node:fs'
import {join} from 'node:path'
import {defineGrantProvider, definePrimitive, type Primitive} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {describe, expect, test} from 'vitest'
import {showFinding} from '../src/catalog/finding.ts'
import {checkBundle, loadBundle} from '../src/policy/bundle.ts'
import {approvalsFor} from '../src/policy/decide.ts'
import {check, commandOf, company, load, roleOf, targetOf, writeFolder} from './policy-folder.ts'

const tool = company['catalog/tools/unit.yaml'] as string

test('the catalog of DESIGN loads: names resolved, defaults filled in, classes where they are written', async ({onTestFinished}) => {
  const {catalog, digest} = await load(onTestFinished)
  const unit = catalog.tools.get('unit')
  expect(unit).toMatchObject({
    program: {path: '/usr/bin/systemctl', sha256: []},
    targets: ['local', 'web-1', 'pay-1'],
    primitive: 'host',
    runAs: 'ops',
    retention: 'none',
    detachSeconds: 60,
    limits: {cpuSeconds: 600, outputBytes: 1024 ** 3},
  })
  expect(unit?.grammar.commands.map(command => command.class)).toEqual(['read', 'change', 'admin'])
  expect(catalog.targets.get('web-1')).toMatchObject({service: 'web', shellAs: null, labels: {}})
  expect(catalog.roles.get('operator')).toMatchObject({class: 'change', approvals: 1, maxSeconds: 1800})
  expect(digest).toMatch(/^[0-9a-f]{64}$/)
})

test('an unclassified command is a change, and the class of a tool is that of its commands', async ({onTestFinished}) => {
  const silent = tool.replace('class: read, ', '')
  expect((await load(onTestFinished, {'catalog/tools/unit.yaml': silent})).catalog.tools.get('unit')?.grammar.commands[0]?.class).toBe(
    'change',
  )
  const once = silent.replace('program:', 'class: read\nprogram:')
  expect((await load(onTestFinished, {'catalog/tools/unit.yaml': once})).catalog.tools.get('unit')?.grammar.commands[0]?.class).toBe('read')
})

test('nothing of a loaded catalog can be changed', async ({onTestFinished}) => {
  const {catalog} = await load(onTestFinished)
  expect(() => Object.assign(catalog.tools.get('unit')?.program ?? {}, {path: '/tmp/evil'})).toThrow(TypeError)
})

test('the digest covers names and bytes, and moving text from one file to another changes it', async ({onTestFinished}) => {
  const one = await load(onTestFinished)
  expect((await load(onTestFinished)).digest).toBe(one.digest)
  const rules = company['policy/global/unit.cedar'] as string
  const moved = await load(onTestFinished, {
    'policy/global/unit.cedar': rules.slice(0, rules.indexOf('@id')),
    'policy/global/unit2.cedar': rules.slice(rules.indexOf('@id')),
  })
  expect(moved.digest).not.toBe(one.digest)
})

describe('each fault is named with its file, place, what is so and the mend', () => {
  const faults: [what: string, changes: Record<string, string | null>, said: string | RegExp][] = [
    [
      'forwards as texts',
      {'catalog/targets/local.yaml': 'kind: Target\nname: local\naddress: host:local\nenvironment: production\nforwards: [db:5432]\n'},
      /local\.yaml:5:12 forwards\[0\]: must be object \(\{ host: db\.internal, ports: \[5432, 8000-8010\] \}\)/,
    ],
    [
      'an unknown field',
      {'catalog/tools/unit.yaml': tool.replace('summary:', 'sumary:')},
      /unit\.yaml:3:1 sumary: is not a field that is known here \(known: kind, name, summary/,
    ],
    [
      'a missing field',
      {'catalog/targets/local.yaml': 'kind: Target\nname: local\naddress: host:local\n'},
      /local\.yaml:1:1 environment is missing/,
    ],
    ['another kind', {'catalog/services/web.yaml': 'kind: Tool\nname: web\nowner: x\n'}, /web\.yaml:1:1 kind: must be Service/],
    [
      'a doubled key',
      {'catalog/services/web.yaml': 'kind: Service\nname: web\nowner: a\nowner: b\n'},
      /web\.yaml:4:1 map keys must be unique/,
    ],
    ['a name in capitals', {'catalog/services/web.yaml': 'kind: Service\nname: Web\nowner: a\n'}, /name: must match/],
    [
      'a target that is not there',
      {'catalog/tools/unit.yaml': tool.replace('[local,', '[loca,')},
      /unit\.yaml:5:\d+ run\.targets\[0\]: there is no target loca \(known: local, pay-1, web-1\)/,
    ],
    [
      'a target of another primitive',
      {'catalog/targets/local.yaml': 'kind: Target\nname: local\naddress: ssm:x\nenvironment: production\n'},
      /local is ssm:x, not reached by host/,
    ],
    [
      'a service that is not there',
      {'catalog/targets/local.yaml': 'kind: Target\nname: local\naddress: host:local\nenvironment: production\nservice: wed\n'},
      /local\.yaml:5:1 service: there is no service wed \(known: payments, web\)/,
    ],
    [
      'two things of one name',
      {'catalog/services/web2.yaml': 'kind: Service\nname: web\nowner: a\n'},
      /web2\.yaml:2:1 name: web is also named in catalog\/services\/web\.yaml/,
    ],
    [
      'both target and targets',
      {'catalog/tools/unit.yaml': tool.replace('targets:', 'target: local, targets:')},
      /run: needs one of target and targets/,
    ],
    [
      'a type nobody knows',
      {'catalog/tools/unit.yaml': tool.replace('type: unit-name }] }', 'type: unit-nmae }] }')},
      /unit\.yaml:7:\d+ commands\[0\]\.operands\[0\]/,
    ],
    [
      'an unknown field of a command',
      {'catalog/tools/unit.yaml': tool.replace('approvals: 1', 'aprovals: 1')},
      /unit\.yaml:8:\d+ commands\[1\]/,
    ],
    ['no approvals at all', {'catalog/tools/unit.yaml': tool.replace('approvals: 1', 'approvals: 0')}, /commands\[1\]/],
    ['a program without its folder', {'catalog/tools/unit.yaml': tool.replace('/usr/bin/', '')}, /program: must match/],
    [
      'a variable that loads code',
      {'catalog/tools/unit.yaml': `${tool}env: { LD_PRELOAD: /tmp/x.so }\n`},
      /env\.LD_PRELOAD: is not a name that is allowed here/,
    ],
    [
      'two tools that policy could not tell apart',
      {'catalog/tools/b.yaml': tool.replace('name: unit\n', 'name: Unit\n')},
      /policy could not tell/,
    ],
    ['a file with a wrong ending', {'catalog/tools/unit.yml': tool}, /unit\.yml is not read \(expected: catalog\/tools\/NAME\.yaml\)/],
    ['a folder of its own', {'policy/local/x.cedar': ''}, /policy\/local no folder is expected here/],
    [
      'two documents in one file',
      {'catalog/services/web.yaml': 'kind: Service\nname: web\nowner: a\n---\nkind: Service\n'},
      /not exactly one document/,
    ],
    ['an empty file', {'catalog/services/web.yaml': ''}, /not exactly one document|must be object/],
  ]
  test.for(faults)('%s', async ([, changes, said], {onTestFinished}) => {
    const {findings, bundle} = await check(onTestFinished, changes)
    expect(bundle).toBeUndefined()
    expect(findings.map(showFinding).join('\n')).toMatch(said)
  })
})

test('primitives and grant providers judge the addresses and parameters that are theirs', async ({onTestFinished}) => {
  const primitive = definePrimitive<string>({
    id: 'host',
    summary: 'here',
    uses: ['exec'],
    parse(text) {
      if (text !== 'local') throw new ProdError('TARGET_INVALID', `${text} is not here`, 'host:local')
      return text
    },
    permissions: () => [],
    open: () => Promise.reject(new Error('not opened')),
  })
  const provider = defineGrantProvider<number>({
    id: 'group',
    summary: 'groups',
    parse() {
      throw new ProdError('CATALOG_INVALID', 'no such group', 'parameters: {group: x}')
    },
    confer: () => Promise.reject(new Error('not conferred')),
    revoke: () => Promise.resolve(),
    list: async function* () {},
  })
  const {findings} = await check(
    onTestFinished,
    {},
    {primitives: new Map([['host', primitive as Primitive]]), providers: new Map([['group', provider]])},
  )
  expect(findings.map(showFinding).sort()).toEqual([
    'catalog/roles/operator.yaml:5:1 parameters: no such group (parameters: {group: x})',
    'catalog/targets/pay-1.yaml:3:1 address: pay-1 is not here (host:local)',
    'catalog/targets/web-1.yaml:3:1 address: web-1 is not here (host:local)',
  ])
  const none = await check(onTestFinished, {}, {primitives: new Map(), providers: new Map()})
  expect(none.findings.map(({message}) => message)).toContain('no primitive answers to host:local')
})

test('TM-A8: YAML tags, alias bombs and depth are refused at once, and never run anything', async ({onTestFinished}) => {
  const laughs = Array.from(
    {length: 12},
    (_, level) =>
      `x${level}: &x${level} [${Array(10)
        .fill(level === 0 ? 'ha' : `*x${level - 1}`)
        .join(', ')}]`,
  ).join('\n')
  const attacks = {
    laughs,
    tag: 'kind: !!js/function "function () { process.exit() }"\nname: web\nowner: a\n',
    local: 'kind: !include /etc/passwd\nname: web\nowner: a\n',
    binary: 'kind: Service\nname: web\nowner: !!binary aGVsbG8=\n',
    merge: 'kind: Service\nname: web\n<<: {owner: a}\n',
    proto: 'kind: Service\nname: web\nowner: a\n__proto__: {admin: true}\n',
    brackets: '['.repeat(200_000),
    dashes: '- '.repeat(100_000),
    indents: Array.from({length: 2000}, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
    nul: 'kind: Service\nname: web\nowner: "\u0000"\n\u0000',
    large: `# ${'x'.repeat(300_000)}\n`,
  }
  for (const [name, text] of Object.entries(attacks)) {
    const {options} = writeFolder(onTestFinished, {'catalog/services/web.yaml': text})
    const before = process.memoryUsage().rss
    const from = performance.now()
    const {findings, bundle} = await checkBundle(options)
    expect(performance.now() - from, name).toBeLessThan(1500) // the whole bundle, on a busy machine
    expect(process.memoryUsage().rss - before, name).toBeLessThan(50 * 1024 * 1024)
    expect(bundle, name).toBeUndefined()
    expect(
      findings.some(({file}) => file === 'catalog/services/web.yaml'),
      name,
    ).toBe(true)
  }
})

test('a file is never read through a symbolic link, and outside of development not if everybody may write it', async ({onTestFinished}) => {
  const {dir, options} = writeFolder(onTestFinished, {
    'catalog/services/web.yaml': null,
    'elsewhere/web.yaml': company['catalog/services/web.yaml'] as string,
  })
  symlinkSync(join(dir, 'elsewhere/web.yaml'), join(dir, 'catalog/services/web.yaml'))
  mkdirSync(join(dir, 'elsewhere/services'))
  symlinkSync(join(dir, 'elsewhere/services'), join(dir, 'policy/services'))
  expect((await checkBundle(options)).findings.map(showFinding)).toEqual([
    'catalog/services/web.yaml is a symbolic link (put the file itself here)',
    'policy/services is a symbolic link (put the file itself here)',
    'catalog/targets/web-1.yaml:5:1 service: there is no service web (known: payments)',
  ])

  const open = writeFolder(onTestFinished)
  chmodSync(join(open.dir, 'policy/global/unit.cedar'), 0o666)
  expect((await checkBundle(open.options)).findings).toEqual([])
  expect((await checkBundle({...open.options, development: false})).findings.map(showFinding)).toContain(
    'policy/global/unit.cedar may be written by everybody (chmod o-w policy/global/unit.cedar)',
  )
  await expect(loadBundle({...open.options, catalogDir: join(open.dir, 'nowhere')})).rejects.toMatchObject({code: 'CATALOG_INVALID'})
})

test('TM-L2: numbers merge by the stricter value, whoever sets them', async ({onTestFinished}) => {
  const bundle = await load(onTestFinished, {
    'catalog/roles/payer.yaml':
      'kind: Role\nname: payer\nsummary: pays\nprovider: group\nparameters: {group: payers}\nservice: payments\nmaxSeconds: 28800\napprovals: 1\n',
    'catalog/roles/patient.yaml':
      'kind: Role\nname: patient\nsummary: pays\nprovider: group\nparameters: {group: payers}\nservice: payments\nmaxSeconds: 60\napprovals: 3\n',
    'catalog/roles/admin.yaml':
      'kind: Role\nname: admin\nsummary: all\nprovider: group\nparameters: {group: admins}\nclass: admin\nmaxSeconds: 60\napprovals: 1\n',
  })
  expect(bundle.catalog.roles.get('payer')).toMatchObject({maxSeconds: 300, approvals: 2})
  expect(bundle.catalog.roles.get('patient')).toMatchObject({maxSeconds: 60, approvals: 3})
  expect(bundle.catalog.roles.get('admin')).toMatchObject({approvals: 2})
  // the tool reaches a target of payments, and so keeps to what payments asks
  expect(bundle.catalog.tools.get('unit')?.limits.wallSeconds).toBe(300)
  expect(approvalsFor(bundle, commandOf(bundle, ['unit', 'restart', 'x'], 'pay-1'))).toBe(2)
  expect(approvalsFor(bundle, commandOf(bundle, ['unit', 'mask', 'x']))).toBe(2)
  expect(approvalsFor(bundle, targetOf(bundle, 'pay-1'))).toBe(2)
  expect(approvalsFor(bundle, targetOf(bundle, 'local'))).toBe(1)
  expect(approvalsFor(bundle, roleOf(bundle, 'payer'))).toBe(2)
})
