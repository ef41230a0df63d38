import {describe, expect, test} from 'vitest'
import {showFinding} from '../src/catalog/finding.ts'
import {type BundleChecks, checkBundle} from '../src/policy/bundle.ts'
import type {Lint} from '../src/policy/lint.ts'
import {check, company, writeFolder} from './policy-folder.ts'

type OnFinished = (fn: () => void) => void

/** The company with a lead for each thing that can be asked for, so that the linter has nothing to say of it. */
const sound = {
  'policy/global/leads.cedar':
    '@id("leads-operator")\npermit (principal in Group::"sre-leads", action == Action::"approve", resource == Role::"operator");\n',
}

/** What the linter says, `shape at rule-or-tool`, with the place of each. */
async function lint(onFinished: OnFinished, changes: Record<string, string | null>, more: Partial<BundleChecks> = {}): Promise<string[]> {
  const {options} = writeFolder(onFinished, {...sound, ...changes})
  const {findings} = await checkBundle({...options, development: false, ...more})
  return findings.flatMap(finding => ('at' in finding ? [`${finding.lint} at ${(finding as Lint).at}`] : []))
}

const rule = (text: string) => ({'policy/global/x.cedar': `@id("x")\n${text}\n`})
const tool = (name: string, program: string, commands: string, more = '') => ({
  [`catalog/tools/${name}.yaml`]: `kind: Tool\nname: ${name}\nsummary: a tool\nprogram: ${program}\nrun: {primitive: host, target: local, as: ops}\n${more}commands:\n${commands}`,
})

test('TM-D2: a sound bundle gets no lint, and those that are shipped neither', async ({onTestFinished}) => {
  expect(await lint(onTestFinished, {})).toEqual([])
})

describe('TM-D2: a dangerous shape of a rule is refused, with its place', () => {
  const engineers = 'principal in Group::"engineers"'
  test.each<[string, string, string[]]>([
    ['anybody', 'permit (principal, action == Action::"run", resource is unit::status);', ['open-principal']],
    ['anybody of a type', 'permit (principal is Person, action == Action::"run", resource is unit::status);', ['open-principal']],
    ['a star as a group', 'permit (principal in Group::"*", action == Action::"run", resource is unit::status);', ['open-principal']],
    ['a star as a person', 'permit (principal == Person::"*", action == Action::"run", resource is unit::status);', ['open-principal']],
    [
      'all but some',
      'permit (principal, action == Action::"run", resource is unit::status) unless { principal in Group::"guests" };',
      ['open-principal'],
    ],
    [
      'one of two ways is open',
      'permit (principal, action == Action::"run", resource is unit::status) when { principal in Group::"engineers" || context.incident };',
      ['open-principal'],
    ],
    [
      'a group, in its condition',
      'permit (principal, action == Action::"run", resource is unit::status) when { principal in [Group::"a", Group::"b"] };',
      [],
    ],
    ['every action', `permit (${engineers}, action, resource in Tool::"unit");`, ['open-action', 'admin-at-once']],
    ['everything at once', `permit (${engineers}, action == Action::"run", resource);`, ['open-resource', 'admin-at-once']],
    ['every shell', `permit (${engineers}, action == Action::"shell", resource);`, ['open-resource']],
    ['every shell, by its kind', `permit (${engineers}, action == Action::"shell", resource is Target);`, ['open-resource']],
    [
      'every role, by its kind, in a condition',
      `permit (${engineers}, action == Action::"assume", resource) when { resource is Role };`,
      ['open-resource'],
    ],
    [
      'an admin command, where a name counts only sometimes',
      `permit (${engineers}, action == Action::"run", resource is unit::mask) unless { resource in (if context.incident then Environment::"production" else Environment::"staging") };`,
      ['admin-at-once'],
    ],
    [
      'every tool but one',
      `permit (${engineers}, action == Action::"run", resource) unless { resource in Tool::"unit" };`,
      ['open-resource'],
    ],
    ['everybody may look', `permit (${engineers}, action == Action::"run", resource) when { context.class == "read" };`, []],
    ['an admin command at once', `permit (${engineers}, action == Action::"run", resource is unit::mask);`, ['admin-at-once']],
    ['an admin command after approval', `permit (${engineers}, action == Action::"request", resource is unit::mask);`, []],
    ['nobody approves', `permit (${engineers}, action == Action::"request", resource == Target::"local");`, ['no-approver']],
    [
      'who approves is who asks',
      'permit (principal in Group::"sre-leads", action == Action::"request", resource is unit::restart);',
      ['approvers-are-requesters'],
    ],
    [
      'who approves is among those who ask',
      'permit (principal, action == Action::"request", resource is unit::restart) when { principal in [Group::"a", Group::"sre-leads"] };',
      ['approvers-are-requesters'],
    ],
  ])('TM-D2: %s', async (_, text, expected) => {
    const finished: (() => void)[] = []
    try {
      const found = await lint(fn => finished.push(fn), rule(text))
      expect(found.filter(one => one.endsWith('at global/x.cedar#x'))).toEqual(expected.map(name => `${name} at global/x.cedar#x`))
    } finally {
      for (const fn of finished) fn()
    }
  })

  test('TM-D2: each has file, line, name, what is so and the mend', async ({onTestFinished}) => {
    const {options} = writeFolder(onTestFinished, {
      ...sound,
      'policy/global/x.cedar': '// why not\n\n@id("x")\npermit (principal, action == Action::"run", resource is unit::status);\n',
      'policy/tests/x.yaml': '- {principal: z, groups: [], argv: [unit, status, x], expect: allow, rule: x}\n',
    })
    const {findings} = await checkBundle({...options, development: false})
    expect(findings.map(showFinding)).toContain(
      'policy/global/x.cedar:3 open-principal: permits it to everybody who can log in (principal in Group::"…")',
    )
  })

  test('TM-D2: no time of 0, none of a year, no list of nobody: the forms have bounds', async ({onTestFinished}) => {
    const role = (text: string) => ({
      'catalog/roles/operator.yaml': `kind: Role\nname: operator\nsummary: restart units\nprovider: group\nparameters: {group: operators}\n${text}\n`,
    })
    for (const text of ['maxSeconds: 0', 'maxSeconds: 31536000', 'maxSeconds: 60\napprovals: 0', ''])
      expect((await check(onTestFinished, role(text))).findings, text).not.toEqual([])
    for (const pattern of ['^a|b$', '(a+)+$', '(?:a*)*'])
      expect(
        (
          await check(
            onTestFinished,
            tool('odd', '/usr/bin/odd', `  - {path: [], operands: [{name: x, type: {type: string, pattern: "${pattern}"}}]}\n`),
          )
        ).findings,
        pattern,
      ).toMatchObject([{message: expect.stringContaining('pattern')}])
  })
})

describe('TM-D2: a tool that runs any arguments is refused', () => {
  test.each<[string, string, string, string[]]>([
    [
      'a pattern that says nothing',
      '/usr/bin/x',
      '{path: [], operands: [{name: x, type: {type: string, pattern: ".*"}}]}',
      ['open-pattern'],
    ],
    [
      'the same, written longer',
      '/usr/bin/x',
      '{path: [], operands: [{name: x, type: {type: text, pattern: ".{0,50}.{0,50}"}}]}',
      ['open-pattern'],
    ],
    ['all but one sign, to a shell', '/bin/sh', '{path: [], options: {-c: {value: {type: text, pattern: "[^#]*"}}}}', ['any-arguments']],
    [
      'all that ASCII prints',
      '/usr/bin/python3',
      '{path: [], options: {-c: {value: {type: text, pattern: "[ -~]+"}}}}',
      ['open-pattern', 'any-arguments'],
    ],
    ['a wrapper with a text', '/usr/bin/flock', '{path: [], options: {-c: {value: text}}}', ['any-arguments']],
    ['the loader with a text', '/usr/lib/ld-linux-x86-64.so.2', '{path: [], operands: [{name: x, type: text}]}', ['any-arguments']],
    ['a list of any words', '/usr/bin/x', '{path: [], operands: [{name: args, type: text, min: 0, max: 20}]}', ['any-arguments']],
    [
      'a word that may be an option',
      '/usr/bin/x',
      '{path: [], operands: [{name: x, type: {type: text, leading: ["-"]}}]}',
      ['any-arguments'],
    ],
    ['one word', '/usr/bin/x', '{path: [], operands: [{name: x, type: text}]}', []],
    ['a shell with a text', '/bin/sh', '{path: [], options: {-c: {value: text}}}', ['any-arguments']],
    ['an interpreter by its version', '/usr/bin/python3.12', '{path: [], operands: [{name: script, type: text}]}', ['any-arguments']],
    [
      'an interpreter with one script',
      '/usr/bin/python3',
      '{path: [], operands: [{name: script, type: {type: literal, value: /opt/r.py}}]}',
      [],
    ],
    ['sudo', '/usr/bin/sudo', '{path: [], operands: [{name: what, type: string}]}', ['any-arguments']],
  ])('TM-D2: %s', async (_, program, command, expected) => {
    const finished: (() => void)[] = []
    try {
      const found = await lint(fn => finished.push(fn), tool('odd', program, `  - ${command}\n`))
      expect(found).toEqual(expected.map(name => `${name} at odd`))
    } finally {
      for (const fn of finished) fn()
    }
  })
})

describe('TM-G2: what could change policy, groups or the store', () => {
  const git = (toolClass: string) =>
    tool(
      'git',
      '/usr/bin/git',
      `  - {path: [log], class: read}\n  - {path: [push], class: ${toolClass}, operands: [{name: remote, type: name}]}\n`,
    )
  const commands: [string, string][] = [
    ['/usr/bin/git', '{path: [push], class: change}'],
    ['/usr/bin/git', '{path: [], class: read, operands: [{name: what, type: {type: enum, values: [push]}}]}'],
    ['/usr/bin/aws', '{path: [], class: read, operands: [{name: words, type: name, max: 2}]}'],
    ['/usr/lib/git-core/git-push', '{path: []}'],
    ['/usr/bin/prod', '{path: [policy, sign], class: read}'],
    ['/opt/keycloak/bin/kcadm.sh', '{path: [add-roles]}'],
    ['/usr/sbin/usermod', '{path: [], class: change}'],
    ['/usr/bin/gpasswd', '{path: [], class: read}'],
    ['/usr/bin/aws', '{path: [identitystore, create-group-membership]}'],
    ['/usr/bin/aws', '{path: [iam, attach-role-policy], class: read}'],
    ['/usr/bin/gcloud', '{path: [projects, add-iam-policy-binding]}'],
    ['/usr/bin/az', '{path: [ad, group, member, add]}'],
    ['/usr/bin/psql', '{path: [], class: change, options: {-c: {value: {type: enum, values: ["delete from x"]}}}}'],
    ['/usr/lib/postgresql/16/bin/psql', '{path: [], class: read, options: {-c: {value: text}}}'],
    ['/usr/bin/sqlite3', '{path: [], class: read, operands: [{name: sql, type: text}]}'],
  ]
  test.each(commands)('TM-G2: %s %s is refused unless it is of class admin, in development too', async (program, command) => {
    const finished: (() => void)[] = []
    try {
      for (const development of [true, false])
        expect(await lint(fn => finished.push(fn), tool('odd', program, `  - ${command}\n`), {development})).toContain('self-power at odd')
      const admin = command.includes('class:') ? command.replace(/class: \w+/, 'class: admin') : command.replace('}', ', class: admin}')
      expect(await lint(fn => finished.push(fn), tool('odd', program, `  - ${admin}\n`))).not.toContain('self-power at odd')
    } finally {
      for (const fn of finished) fn()
    }
  })

  test('TM-G2: of class admin it is never permitted at once, and whoever may ask may not approve', async ({onTestFinished}) => {
    const asked = 'permit (principal in Group::"engineers", action == Action::"request", resource is git::push);\n'
    const approve = (...groups: string[]) =>
      groups.map(group => `permit (principal in Group::"${group}", action == Action::"approve", resource in Tool::"git");\n`).join('')
    expect(await lint(onTestFinished, {...git('admin'), ...rule(asked + approve('security'))})).toEqual([])
    expect(await lint(onTestFinished, {...git('admin'), ...rule(asked + approve('security', 'engineers'))})).toEqual([
      'self-power at global/x.cedar#x',
    ])
    const atOnce = 'permit (principal in Group::"engineers", action == Action::"run", resource in Tool::"git");\n'
    expect(await lint(onTestFinished, {...git('admin'), ...rule(atOnce)})).toEqual(['self-power at global/x.cedar#x'])
    const looking = 'permit (principal in Group::"engineers", action == Action::"run", resource) when { context.class == "read" };\n'
    expect(await lint(onTestFinished, {...git('admin'), ...rule(looking)})).toEqual([])
  })

  test('TM-G2: no override excuses it', async ({onTestFinished}) => {
    const {options} = writeFolder(onTestFinished, {
      ...sound,
      ...git('change'),
      'policy/overrides.yaml': '- {lint: self-power, at: git, reason: we know what we do, by: bob, until: "2026-06-30"}\n',
    })
    const {findings} = await checkBundle({...options, development: false, now: () => new Date('2026-03-01')})
    expect(findings.map(showFinding).filter(one => one.includes('self-power'))).toEqual([
      expect.stringContaining('catalog/tools/git.yaml:8 self-power: commands[1]: git push could change policy, groups or the store'),
      'policy/overrides.yaml:1 self-power at git: nothing excuses self-power (mend the rule)',
    ])
  })
})

test('TM-J3: what reads personal data is asked for, and two people approve', async ({onTestFinished}) => {
  const users = (more: string) => tool('users', '/usr/bin/users', '  - {path: [show], class: read}\n', `data: personal\n${more}`)
  const asked = 'permit (principal in Group::"engineers", action == Action::"request", resource in Tool::"users");\n'
  const approve = 'permit (principal in Group::"sre-leads", action == Action::"approve", resource in Tool::"users");\n'
  const looking = 'permit (principal in Group::"engineers", action == Action::"run", resource) when { context.class == "read" };\n'
  expect(await lint(onTestFinished, {...users('approvals: 2\n'), ...rule(asked + approve)})).toEqual([])
  expect(await lint(onTestFinished, {...users(''), ...rule(asked + approve)})).toEqual(['personal-data at global/x.cedar#x'])
  expect(await lint(onTestFinished, {...users('approvals: 2\n'), ...rule(looking)})).toEqual(['personal-data at global/x.cedar#x'])
  expect(await lint(onTestFinished, users('approvals: 2\nretention: full\n'))).toEqual(['personal-data at users'])
  // a target may hold it as well
  const target = {'catalog/targets/local.yaml': `${company['catalog/targets/local.yaml']}data: personal\n`}
  expect(await lint(onTestFinished, target)).toContain('personal-data at global/unit.cedar:1')
})

describe('TM-D2: an override', () => {
  const open = rule('permit (principal, action == Action::"run", resource is unit::status);')
  const entry = (changes: Record<string, string | undefined> = {}) =>
    `- ${JSON.stringify({lint: 'open-principal', at: 'global/x.cedar#x', reason: 'the status page is public', by: 'bob', until: '2026-06-30', ...changes})}\n`
  const judge = async (onFinished: OnFinished, overrides: string, more: Partial<BundleChecks> = {}) => {
    const {options} = writeFolder(onFinished, {...sound, ...open, 'policy/overrides.yaml': overrides})
    const {
      findings,
      overrides: excused,
      warnings,
    } = await checkBundle({
      ...options,
      development: false,
      now: () => new Date('2026-03-01T12:00:00Z'),
      ...more,
    })
    const said = findings.map(showFinding).filter(one => /overrides|open-/.test(one))
    return {said, excused, warnings}
  }

  test('TM-D2: is named, reasoned and ends; what it excuses is shown', async ({onTestFinished}) => {
    expect(await judge(onTestFinished, entry())).toMatchObject({
      said: [],
      excused: [{lint: 'open-principal', at: 'global/x.cedar#x', by: 'bob', until: '2026-06-30', reason: 'the status page is public'}],
    })
    for (const lacking of [{reason: ''}, {reason: 'because'}, {by: ''}, {until: 'never'}, {until: '2026-13-40'}, {more: 'x'}])
      expect((await judge(onTestFinished, entry(lacking))).said, JSON.stringify(lacking)).not.toEqual([])
    expect((await judge(onTestFinished, entry({until: '2027-12-31'}))).said).toEqual([expect.stringContaining('more than a year away')])
  })

  test('TM-D2: of another rule or another shape excuses nothing, and is told', async ({onTestFinished}) => {
    for (const other of [{at: 'global/unit.cedar#x'}, {lint: 'open-action'}])
      expect((await judge(onTestFinished, entry(other))).said).toEqual([
        expect.stringContaining('open-principal: permits it to everybody'),
        expect.stringContaining('excuses nothing that the linter says (take it out)'),
      ])
  })

  test('TM-D2: names a rule by its own name, not by a line on which another may stand tomorrow', async ({onTestFinished}) => {
    const unnamed = 'permit (principal, action == Action::"run", resource is unit::status);\n'
    const {options} = writeFolder(onTestFinished, {
      ...sound,
      'policy/global/x.cedar': unnamed,
      'policy/overrides.yaml': entry({at: 'global/x.cedar:1'}),
    })
    const {findings} = await checkBundle({...options, development: false, now: () => new Date('2026-03-01T12:00:00Z')})
    expect(findings.map(showFinding)).toContainEqual(
      expect.stringMatching(/^policy\/overrides.yaml:1 .*is a line, on which another rule may stand/),
    )
  })

  test('TM-D2: that has ended refuses a new bundle, but not the start of a broker', async ({onTestFinished}) => {
    const later = {now: () => new Date('2026-07-01T00:00:00Z')}
    expect((await judge(onTestFinished, entry(), later)).said).toEqual([
      'policy/overrides.yaml:1 open-principal at global/x.cedar#x: ended on 2026-06-30 (mend the rule, or answer for it again)',
    ])
    const starting = await judge(onTestFinished, entry(), {...later, starting: true})
    expect(starting.said).toEqual([])
    expect(starting.warnings).toEqual([expect.stringContaining('ended on 2026-06-30')])
  })
})
