/** `policy/overrides.yaml`: what the linter says and somebody answers for, by name, with a reason, until a day (TM-D2). */
import {checkForm} from '../catalog/check-form.ts'
import type {Finding} from '../catalog/finding.ts'
import type {BundleFile} from '../catalog/read.ts'
import {parseYaml} from '../catalog/yaml.ts'
import {type Lint, neverExcused} from './lint.ts'

/** One entry. */
export interface Override {
  lint: string
  /** the rule's id or the tool's name */
  at: string
  reason: string
  /** who answers for it */
  by: string
  /** the last day: `2026-12-31` */
  until: string
  line: number
}

/** The form of the file. */
export const overridesSchema = {
  type: 'array',
  maxItems: 200,
  items: {
    type: 'object',
    required: ['lint', 'at', 'reason', 'by', 'until'],
    additionalProperties: false,
    properties: {
      lint: {type: 'string', pattern: '^[a-z]+(?:-[a-z]+)*$'},
      at: {type: 'string', minLength: 1, maxLength: 300},
      reason: {type: 'string', minLength: 10, maxLength: 500},
      by: {type: 'string', minLength: 2, maxLength: 200},
      until: {type: 'string', pattern: '^[0-9]{4}-[0-9]{2}-[0-9]{2}$'},
    },
  },
} as const

export const overridesFile = 'policy/overrides.yaml'
const mostDays = 366
const day = 86_400_000

/** What is left of the lints: those without an override that counts, and what is wrong with overrides. `ended`: overrides past their day. */
export function applyOverrides(
  lints: readonly Lint[],
  files: readonly BundleFile[],
  now: Date,
): {findings: Finding[]; ended: Finding[]; excused: (Override & {message: string})[]} {
  const findings: Finding[] = []
  const ended: Finding[] = []
  const overrides = readOverrides(files, findings)
  const excused: (Override & {message: string})[] = []
  const used = new Set<Override>()
  for (const lint of lints) {
    const override = overrides.find(one => one.lint === lint.lint && one.at === lint.at)
    if (override) used.add(override)
    if (!override || neverExcused.includes(lint.lint)) findings.push(lint)
    else excused.push({...override, message: lint.message})
  }
  for (const override of overrides) {
    const {lint, at, until, line} = override
    const refuse = (message: string, mend: string, into = findings): unknown =>
      into.push({file: overridesFile, line, path: `${lint} at ${at}`, message, mend})
    const end = Date.parse(`${until}T00:00:00Z`) + day
    if (Number.isNaN(end)) refuse(`${until} is no day`, 'such as 2026-12-31')
    else if (end > now.getTime() + mostDays * day) refuse(`${until} is more than a year away`, 'answer for it again then')
    else if (end <= now.getTime()) refuse(`ended on ${until}`, 'mend the rule, or answer for it again', ended)
    if (/:\d+$/.test(at)) refuse(`${at} is a line, on which another rule may stand tomorrow`, 'give the rule an @id("…") and name that')
    if (neverExcused.includes(lint)) refuse(`nothing excuses ${lint}`, 'mend the rule')
    else if (!used.has(override)) refuse('excuses nothing that the linter says', 'take it out')
  }
  return {findings, ended, excused}
}

function readOverrides(files: readonly BundleFile[], findings: Finding[]): Override[] {
  const file = files.find(({name}) => name === overridesFile)
  const yaml = file && parseYaml(file, findings)
  const entries = yaml && checkForm<Omit<Override, 'line'>[]>(yaml, overridesSchema, findings)
  return (entries ?? []).map((entry, index) => ({...entry, line: yaml?.at([index]).line ?? 1}))
}
