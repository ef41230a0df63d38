import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {dirname, join} from 'node:path'
import {parse} from '@prod/sdk/grammar/parse'
import {checkBundle} from '../../../plugins/broker/src/policy/bundle.ts'
import {decideUse} from '../../../plugins/broker/src/policy/decide.ts'
import {type Figure, median} from '../figure.ts'

const policies = 100
const rounds = 2000

/** A catalog with one tool, and so many rules that speak of it in scope and condition. */
function writeBundle(dir: string, rules: number): void {
  const files = {
    'catalog/targets/local.yaml': 'kind: Target\nname: local\naddress: host:local\nenvironment: production\n',
    'catalog/tools/unit.yaml':
      'kind: Tool\nname: unit\nsummary: units\nprogram: /usr/bin/systemctl\nrun: {primitive: host, target: local}\ncommands:\n  - {path: [restart], class: change, operands: [{name: unit, type: unit-name}]}\n',
    'policy/global/rules.cedar': Array.from(
      {length: rules},
      (_, at) =>
        `${at % 10 === 0 ? 'forbid' : 'permit'} (principal in Group::"team-${at}", action == Action::"run", resource is unit::restart) when { resource.unit like "team-${at}-*" };`,
    ).join('\n'),
    'policy/tests/none.yaml': '[]\n',
  }
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), {recursive: true})
    writeFileSync(join(dir, name), text)
  }
}

/** Median milliseconds of one decision, parsing of argv included. */
async function decisionMs(rules: number): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'prod-bench-'))
  try {
    writeBundle(dir, rules)
    const {bundle} = await checkBundle({catalogDir: join(dir, 'catalog'), policyDir: join(dir, 'policy'), development: true})
    const tool = bundle?.catalog.tools.get('unit')
    const target = bundle?.catalog.targets.get('local')
    if (!bundle || !tool || !target) throw new Error('the bundle does not load')
    const principal = {iss: 'https://issuer.example', sub: '1', person: 'alice', name: 'alice'}
    const groups = ['team-55', 'team-56', 'engineers', 'on-call', 'everyone']
    const times: number[] = []
    for (let round = -200; round < rounds; round++) {
      const from = performance.now()
      const parsed = parse(tool.grammar, ['unit', 'restart', `team-55-${round & 7}`])
      if (!parsed.ok) throw new Error(parsed.refusal.message)
      const {decision} = decideUse(
        bundle,
        {principal, groups, resource: {kind: 'command', tool, structure: parsed.structure, target}, context: {address: '10.0.0.1'}},
        'run',
      )
      const took = performance.now() - from
      if (decision !== 'allow') throw new Error(`decided ${decision}`)
      // the first ones warm it up
      if (round >= 0) times.push(took)
    }
    return median(times)
  } finally {
    rmSync(dir, {recursive: true})
  }
}

export const figure: Figure = {
  name: 'decision',
  async measure() {
    const many = await decisionMs(policies)
    return [
      {
        what: `a decision at ${policies} policies, p50`,
        value: many,
        unit: 'ms',
        floor: {what: 'the budget, a millisecond:', value: 1},
        ratio: many,
        budget: {ratio: 1, kind: 'at most'},
      },
    ]
  },
}
