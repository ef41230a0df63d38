import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {parse} from '@prod/sdk/grammar/parse'
import {type BundleOptions, type CheckedBundle, checkBundle} from '../src/policy/bundle.ts'
import type {Bundle, Question, Resource} from '../src/policy/policy.ts'

type OnFinished = (fn: () => void) => void

/** A small company: two services, a target for each and one of nobody's, the tool `unit` on all of them, a role. */
export const company: Record<string, string> = {
  'catalog/services/web.yaml': 'kind: Service\nname: web\nowner: web-leads\n',
  'catalog/services/payments.yaml': 'kind: Service\nname: payments\nowner: payments-leads\nlimits: {approvals: 2, maxSeconds: 300}\n',
  'catalog/targets/local.yaml': 'kind: Target\nname: local\naddress: host:local\nenvironment: production\nlabels: {rack: a}\n',
  'catalog/targets/web-1.yaml': 'kind: Target\nname: web-1\naddress: host:web-1\nenvironment: production\nservice: web\n',
  'catalog/targets/pay-1.yaml': 'kind: Target\nname: pay-1\naddress: host:pay-1\nenvironment: staging\nservice: payments\n',
  'catalog/tools/unit.yaml': `kind: Tool
name: unit
summary: look at and restart services on a host
program: /usr/bin/systemctl
run: { primitive: host, targets: [local, web-1, pay-1], as: ops }
commands:
  - { path: [status], class: read, options: { --no-pager: flag }, operands: [{ name: unit, type: unit-name }] }
  - { path: [restart], class: change, operands: [{ name: unit, type: unit-name, lock: true }], approvals: 1, limit: { perTarget: 1, per: 10m } }
  - { path: [mask], class: admin, operands: [{ name: unit, type: unit-name }] }
`,
  'catalog/roles/operator.yaml':
    'kind: Role\nname: operator\nsummary: restart units at once\nprovider: group\nparameters: {group: operators}\nmaxSeconds: 1800\n',
  'policy/global/unit.cedar': `permit (principal in Group::"engineers", action == Action::"run", resource is unit::status);
@id("restart-payments")
permit (principal in Group::"engineers", action == Action::"request", resource is unit::restart) when { resource.unit like "payments-*" };
permit (principal in Group::"sre-leads", action == Action::"approve", resource in Tool::"unit");
permit (principal in Group::"operators", action == Action::"run", resource is unit::restart);
permit (principal in Group::"engineers", action == Action::"request", resource == Role::"operator");
`,
}

/** The company with further rules, and further files. */
export const withRules = (text: string, more: Record<string, string | null> = {}): Record<string, string | null> => ({
  'policy/global/more.cedar': text,
  ...more,
})

/** Writes the company's files, changed by `changes` (null: left out), into a folder that goes with the test. */
export function writeFolder(onFinished: OnFinished, changes: Record<string, string | null> = {}): {dir: string; options: BundleOptions} {
  const dir = mkdtempSync(join(tmpdir(), 'prod-policy-'))
  onFinished(() => rmSync(dir, {recursive: true, force: true}))
  writeFiles(dir, {'policy/tests/none.yaml': '[]\n', ...company, ...changes})
  return {dir, options: {catalogDir: join(dir, 'catalog'), policyDir: join(dir, 'policy'), development: true}}
}

export function writeFiles(dir: string, files: Record<string, string | null>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), {recursive: true})
    if (text === null) rmSync(join(dir, name), {force: true})
    else writeFileSync(join(dir, name), text)
  }
}

export async function check(
  onFinished: OnFinished,
  changes: Record<string, string | null> = {},
  more: Partial<BundleOptions> = {},
): Promise<CheckedBundle> {
  return checkBundle({...writeFolder(onFinished, changes).options, ...more})
}

/** A bundle that must load. */
export async function load(onFinished: OnFinished, changes: Record<string, string | null> = {}): Promise<Bundle> {
  const {bundle, findings} = await check(onFinished, changes)
  if (!bundle || findings.length > 0) throw new Error(JSON.stringify(findings))
  return bundle
}

export function commandOf(bundle: Bundle, argv: string[], on = 'local'): Extract<Resource, {kind: 'command'}> {
  const tool = bundle.catalog.tools.get(argv[0] as string)
  const target = bundle.catalog.targets.get(on)
  if (!tool || !target) throw new Error(`no ${argv[0]} on ${on}`)
  const parsed = parse(tool.grammar, argv)
  if (!parsed.ok) throw new Error(parsed.refusal.message)
  return {kind: 'command', tool, structure: parsed.structure, target}
}

export function targetOf(bundle: Bundle, name: string): Resource {
  const target = bundle.catalog.targets.get(name)
  if (!target) throw new Error(`no target ${name}`)
  return {kind: 'target', target}
}

export function roleOf(bundle: Bundle, name: string): Resource {
  const role = bundle.catalog.roles.get(name)
  if (!role) throw new Error(`no role ${name}`)
  return {kind: 'role', role}
}

/** The half of a question that says who asks. */
export function by(person: string, ...groups: string[]): Pick<Question, 'principal' | 'groups'> {
  return {principal: {iss: 'https://issuer.example', sub: `sub-${person}`, person, name: person}, groups}
}
