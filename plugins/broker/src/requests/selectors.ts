/**
 * From what was written after `--on` to targets (TM-F2). A selector is a name, `label=value` (several with commas: all must
 * hold; `environment` and `service` are labels too), or the word `all`. It is never a pattern, and never empty.
 */
import {ProdError} from '@prod/sdk/errors'
import type {TargetEntry, ToolEntry} from '../catalog/catalog.ts'
import type {Bundle} from '../policy/policy.ts'

/** Most targets of one run, whatever a tool says. */
export const mostTargets = 1000
/** Signs of patterns: nobody shall believe that they are read as such. */
const patternSigns = /[*?[\](){}^$|\\]/

/** Whether these selectors ask for a run on many targets: more than one, a label, or `all`. Pure. */
export function isMany(selectors: readonly string[]): boolean {
  return selectors.length > 1 || selectors.some(one => one === 'all' || one.includes('='))
}

/** Throws TARGET_INVALID for what is no name of one target: an empty text, a pattern. */
export function refusePattern(selector: string): void {
  const refuse = (why: string): ProdError => new ProdError('TARGET_INVALID', `--on ${JSON.stringify(selector)}: ${why}`, 'prod targets')
  if (selector.trim() === '') throw refuse('an empty selector chooses nothing; all targets are written as all')
  if (patternSigns.test(selector)) throw refuse('a selector is no pattern: write names, label=value, or all')
}

/** Names of the targets of a tool that the selectors choose, each once, sorted. Pure. Throws TARGET_INVALID, TARGET_NOT_FOUND. */
export function expandSelectors(bundle: Pick<Bundle, 'catalog'>, tool: ToolEntry, selectors: readonly string[]): string[] {
  const among = tool.targets.flatMap(name => bundle.catalog.targets.get(name) ?? [])
  const chosen = new Set<string>()
  for (const selector of selectors) {
    const found = among.filter(matcherOf(selector, among, tool))
    if (found.length === 0)
      throw new ProdError('TARGET_NOT_FOUND', `no target of ${tool.name} is ${JSON.stringify(selector)}`, `prod tools show ${tool.name}`)
    for (const {name} of found) chosen.add(name)
  }
  return [...chosen].sort()
}

function matcherOf(selector: string, among: readonly TargetEntry[], tool: ToolEntry): (target: TargetEntry) => boolean {
  const refuse = (why: string): ProdError => new ProdError('TARGET_INVALID', `--on ${JSON.stringify(selector)}: ${why}`, 'prod targets')
  refusePattern(selector)
  if (selector === 'all') return () => true
  if (!selector.includes('=')) {
    if (!tool.targets.includes(selector))
      throw new ProdError('TARGET_NOT_FOUND', `${tool.name} does not run on ${selector}`, `prod tools show ${tool.name}`)
    return ({name}) => name === selector
  }
  const wanted = new Map<string, string>()
  for (const part of selector.split(',')) {
    const [, label, value] = /^([A-Za-z][A-Za-z0-9._/-]*)=([^=]+)$/.exec(part) ?? []
    if (label === undefined || value === undefined) throw refuse(`${JSON.stringify(part)} is not label=value`)
    if (wanted.has(label)) throw refuse(`${label} stands there twice`)
    if (!among.some(target => labelOf(target, label) !== undefined)) throw refuse(`no target of ${tool.name} has a label ${label}`)
    wanted.set(label, value)
  }
  return target => [...wanted].every(([label, value]) => labelOf(target, label) === value)
}

function labelOf(target: TargetEntry, label: string): string | undefined {
  if (label === 'environment') return target.environment
  if (label === 'service') return target.service ?? undefined
  return Object.hasOwn(target.labels, label) ? target.labels[label] : undefined
}
