/** Pickers over the catalog: only what the caller may use or ask for. */
import {api} from '@prod/sdk/api'
import type {CatalogView, FoundTargets} from '@prod/sdk/catalog-view'
import {askText, canAsk, pick} from '@prod/sdk/cli/ask'
import {say} from '@prod/sdk/cli/output'
import {startSpinner} from '@prod/sdk/cli/spinner'
import type {BrokerClient} from '@prod/sdk/client'
import {ProdError} from '@prod/sdk/errors'
import type {ForwardRule} from '@prod/sdk/forward'

type Calls = Pick<BrokerClient, 'call'>

export const usableWords = {now: 'now', request: 'after approval', no: 'not for you', breakGlass: 'break-glass'} as const

/** A tool's name. */
export async function pickTool(broker: Calls): Promise<string> {
  const {tools} = await broker.call(api.catalog)
  return pick({what: 'tool', choices: tools.map(({name, summary}) => ({name, note: summary, value: name})), instead: 'prod exec TOOL'})
}

type Target = CatalogView['targets'][number]

/** A target's name, of those a shell can be had on; of one that stands for many, one of those. `named`: what the person typed, if anything. */
export function pickTarget(broker: Calls, named?: string): Promise<string> {
  return choose(broker, named, {
    canBeHad: ({shell}) => shell !== 'no',
    note: ({shell}) => usableWords[shell],
    instead: 'prod shell TARGET',
  })
}

/** A target's name, of those whose ports may be forwarded; of one that stands for many, one of those. `named` as for {@link pickTarget}. */
export function pickForward(broker: Calls, named?: string): Promise<string> {
  return choose(broker, named, {
    canBeHad: ({forward = 'no'}) => forward !== 'no',
    note: ({forward = 'no', forwards = []}) => `${usableWords[forward]}  ${forwardWords(forwards)}`,
    instead: 'prod forward TARGET -L PORT:HOST:PORT',
  })
}

async function choose(
  broker: Calls,
  named: string | undefined,
  {canBeHad, note, instead}: {canBeHad(target: Target): boolean; note(target: Target): string; instead: string},
): Promise<string> {
  if (named !== undefined && !canAsk()) return named
  let known: Promise<CatalogView> | undefined
  const catalog = (): Promise<CatalogView> => (known ??= broker.call(api.catalog))
  const choices = async () =>
    (await catalog()).targets.filter(canBeHad).map(target => ({
      name: target.name,
      note: [target.environment, target.summary, target.many ? 'one of many' : '', note(target)].filter(Boolean).join('  '),
      value: target.name,
    }))
  const name = named ?? (await pick({what: 'target', choices, instead}))
  // who gave a name is told by its use what is wrong with it, or with the broker
  const {targets} = await catalog().catch(() => ({targets: []}))
  return targets.find(target => target.name === name)?.many ? pickMember(broker, name, instead) : name
}

/** One of those that a target stands for, and one of those in that, as far down as there are several. */
async function pickMember(broker: Calls, many: string, instead: string): Promise<string> {
  let within = many
  let inside: {what: string; otherwise: string} | undefined
  for (;;) {
    const found = await look(broker, within)
    const what = inside?.what ?? `one of ${many}`
    const choices = found.map(({name, called, labels}) => ({
      name: called,
      note: [
        called === name.slice(within.length + 1) ? '' : name.slice(within.length + 1),
        ...Object.entries(labels).map(([key, value]) => `${key}=${value}`),
      ]
        .filter(Boolean)
        .join('  '),
      value: name,
    }))
    const name = await pick({
      what,
      choices: inside ? [{name: inside.otherwise, value: within}, ...choices] : choices,
      instead: instead.replace('TARGET', `${many}/ID`),
    })
    if (name === within) return name
    inside = found.find(one => one.name === name)?.inside
    if (!inside) return name
    within = name
  }
}

/** All that are found in it; where they are too many to be shown, those that the person tells something of. */
async function look(broker: Calls, within: string): Promise<FoundTargets['targets']> {
  const again = `prod targets ${within} --find TEXT`
  let text = ''
  for (;;) {
    const spinner = startSpinner(`looking for what there is in ${within}`)
    const {targets, faults, more} = await broker.call(api.findTargets, {text, within}).finally(() => spinner.stop())
    if (targets.length === 0 && text === '')
      throw new ProdError('TARGET_NOT_FOUND', faults[0]?.message ?? `nothing runs of what ${within} stands for`, again)
    for (const fault of faults) say(`${fault.target} could not be looked among: ${fault.message}`)
    if (targets.length > 0 && !more) return targets
    if (targets.length === 0) say(`none fits ${text}`)
    text = await askText({what: `${more ? 'there are many; ' : ''}what is it called`, flag: again})
  }
}

/** Where forwards of a target may lead, in a line. Pure. */
export function forwardWords(rules: readonly ForwardRule[]): string {
  return rules.map(({host, ports}) => `${host}:${ports.join(',')}`).join(' ')
}

/** A role's name. */
export async function pickRole(broker: Calls): Promise<string> {
  const {roles} = await broker.call(api.catalog)
  return pick({
    what: 'role',
    choices: roles.map(({name, summary, usable}) => ({name, note: `${summary}  ${usableWords[usable]}`, value: name})),
    instead: 'prod request create ROLE',
  })
}
