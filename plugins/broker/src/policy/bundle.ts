/** A bundle: catalog and policy read together, checked whole, swapped whole. */
import type {GrantProvider, PolicyAction, Primitive} from '@prod/sdk'
import type {Catalog, TargetEntry} from '../catalog/catalog.ts'
import {BundleRefused, type Finding, showFinding} from '../catalog/finding.ts'
import {loadCatalog} from '../catalog/load.ts'
import {digestFiles} from '../catalog/read.ts'
import {cedarSchema} from './cedar-schema.ts'
import {classOf, Engine, validateRules} from './engine.ts'
import {layersOf, strictest} from './layers.ts'
import {lintBundle, neverExcused} from './lint.ts'
import {applyOverrides, type Override} from './overrides.ts'
import type {Answer, Bundle, Question} from './policy.ts'
import {readRules} from './rules.ts'
import {type Folders, readSource, type SignedFile, type Source} from './source.ts'
import {missingTests, type PolicyTest, readTests, runTests, type TestResult} from './tests.ts'

/** Where a bundle lies and what its names are checked against. */
export type BundleOptions = (Folders | SignedFile) & BundleChecks

/** How a bundle is checked. */
export interface BundleChecks {
  /** missing tests are warnings, not findings; world-writable files pass */
  development: boolean
  /** absent: names of primitives and targets' addresses are taken as they are (offline checks) */
  primitives?: ReadonlyMap<string, Primitive>
  /** absent: names of grant providers and their parameters are taken as they are (offline checks) */
  providers?: ReadonlyMap<string, GrantProvider>
  /** the clock that ages are told by; absent: this machine's */
  now?: () => Date
  /** only reading is allowed under a signed bundle older than this; absent: it never grows too old (TM-G1) */
  maxAgeSeconds?: number
  /** for who only asks what it would decide: its tests are not run, nor is it judged fit to load */
  untested?: boolean
  /** a broker starts: what only time made wrong (an override that ended) is a warning, for production must not stand still */
  starting?: boolean
}

/** All that is known after reading a bundle. `bundle` is there as soon as it could be built; it loads only without findings. */
export interface CheckedBundle {
  digest: string
  findings: Finding[]
  warnings: string[]
  tests: TestResult[]
  /** the questions of those tests */
  cases: PolicyTest[]
  /** what the linter would say, if nobody answered for it */
  overrides: (Override & {message: string})[]
  bundle?: Bundle
  signed?: Source['signed']
}

/** Loads a bundle. Throws {@link BundleRefused} with every finding: a fault in the files, in validation, a failing or missing test. */
export async function loadBundle(options: BundleOptions): Promise<Bundle> {
  const {bundle, findings} = await checkBundle(options)
  if (!bundle || findings.length > 0) throw new BundleRefused(findings)
  return bundle
}

/** Reads and checks a bundle and says everything that is wrong with it. */
export async function checkBundle(options: BundleOptions): Promise<CheckedBundle> {
  const now = options.now ?? (() => new Date())
  const {files, findings, signed} = await readSource(options, now, options.development)
  const digest = digestFiles(files)
  const catalog = await loadCatalog(files, options, findings)
  const rules = readRules(files, new Set(catalog.services.keys()), findings)
  const cases = readTests(files, findings)
  const refused: CheckedBundle = {digest, findings, warnings: [], tests: [], cases, overrides: []}
  if (findings.length > 0) return refused

  const schema = cedarSchema(catalog)
  findings.push(...validateRules(rules, schema, catalog, new Map(files.map(({name, text}) => [name, text]))))
  if (findings.length > 0) return refused

  const engine = new Engine(rules, schema, catalog)
  for (const services of servicesTogether(catalog)) engine.prepare(services)
  const warnings: string[] = []
  const endsAt = signed && options.maxAgeSeconds ? Date.parse(signed.madeAt) + options.maxAgeSeconds * 1000 : Number.POSITIVE_INFINITY
  const bundle: Bundle = {
    digest,
    catalog,
    loadedAt: now().toISOString(),
    signed: signed ? {version: signed.version, madeAt: signed.madeAt, by: signed.by} : null,
    warnings,
    ask: question =>
      strictest(
        layersOf(catalog, question.resource).map(resource => {
          const one = {...question, resource}
          return now().getTime() >= endsAt && changes(one) ? tooOld : engine.ask(one)
        }),
      ),
    approverGroups: resource =>
      layersOf(catalog, resource)
        .map(one => engine.approverGroups(one))
        .reduce((groups, others) => groups.filter(group => others.includes(group))),
    why: (asked, use, decided) => layersOf(catalog, asked.resource).flatMap(resource => engine.why({...asked, resource}, use, decided)),
    couldUse({tool, command, ...asked}) {
      const places = tool.targets.map(name => ({tool, command, target: catalog.targets.get(name) as TargetEntry}))
      const could = (action: PolicyAction): boolean => places.some(place => engine.couldBe(action, asked, place))
      return could('run') ? 'now' : could('request') ? 'request' : 'no'
    },
    sees({tool, target, role, ...asked}) {
      if (engine.ask({...asked, action: 'readAudit', resource: {kind: 'log'}, context: {}}).decision === 'allow') return true
      const mayKnow = (who: typeof asked): boolean => {
        if (target) return engine.mayKnow(who, {kind: 'target', target})
        if (role) return engine.mayKnow(who, {kind: 'role', role})
        return tool.targets.some(name =>
          tool.grammar.commands.some((_, command) =>
            engine.mayKnow(who, {tool, command, target: catalog.targets.get(name) as TargetEntry}),
          ),
        )
      }
      if (mayKnow(asked)) return true
      // what a role that they know of would open to them is told of with that role
      const more = [...catalog.roles.values()].flatMap(one => {
        const {group} = one.parameters
        return one.provider === 'group' && typeof group === 'string' && engine.mayKnow(asked, {kind: 'role', role: one}) ? [group] : []
      })
      return more.length > 0 && mayKnow({...asked, groups: [...asked.groups, ...more]})
    },
  }
  const read = {digest, findings, warnings, tests: [], cases, overrides: [], bundle, ...(signed ? {signed} : {})}
  if (options.untested) return read
  const tests = runTests(bundle, cases)
  for (const {file, line, message} of tests) if (message) findings.push({file, line, message})
  const missing = missingTests(catalog, rules, tests)
  const lints = applyOverrides(lintBundle(catalog, rules, files), files, now())
  for (const finding of [...missing, ...lints.findings, ...lints.ended]) {
    const excused = options.development ? !neverExcused.includes(finding.lint ?? '') : options.starting && lints.ended.includes(finding)
    if (excused) warnings.push(showFinding(finding))
    else findings.push(finding)
  }
  return {...read, tests, overrides: lints.excused}
}

/** The answer to whoever would change something under a bundle that is too old: as if a rule of that name forbade it. */
const tooOld: Answer = {decision: 'forbidden', rules: ['policy.maxAgeHours'], errors: []}

function changes({action, resource}: Question): boolean {
  return (['run', 'shell', 'forward', 'assume', 'request', 'breakGlass'] as PolicyAction[]).includes(action) && classOf(resource) !== 'read'
}

/** Every combination of services that a resource can have, so that no set is parsed at a first question. */
function servicesTogether({targets, roles, tools}: Catalog): (string | null)[][] {
  const of = (name: string): string | null => targets.get(name)?.service ?? null
  return [
    [],
    ...[...targets.values(), ...roles.values()].map(({service}) => [service]),
    ...[...tools.values()].flatMap(tool => tool.targets.map(name => [tool.service, of(name)])),
  ]
}
