/** Pickers over the catalog: only what the caller may use or ask for. */
import {api} from '@prod/sdk/api'
import {pick} from '@prod/sdk/cli/ask'
import type {BrokerClient} from '@prod/sdk/client'
import type {ForwardRule} from '@prod/sdk/forward'

type Calls = Pick<BrokerClient, 'call'>

export const usableWords = {now: 'now', request: 'after approval', no: 'not for you', breakGlass: 'break-glass'} as const

/** A tool's name. */
export async function pickTool(broker: Calls): Promise<string> {
  const {tools} = await broker.call(api.catalog)
  return pick({what: 'tool', choices: tools.map(({name, summary}) => ({name, note: summary, value: name})), instead: 'prod exec TOOL'})
}

/** A target's name, of those a shell can be had on. */
export async function pickTarget(broker: Calls): Promise<string> {
  const {targets} = await broker.call(api.catalog)
  const reachable = targets.filter(({shell}) => shell !== 'no')
  return pick({
    what: 'target',
    choices: reachable.map(({name, environment, summary, shell}) => ({
      name,
      note: `${environment}  ${summary}  ${usableWords[shell]}`,
      value: name,
    })),
    instead: 'prod shell TARGET',
  })
}

/** A target's name, of those whose ports may be forwarded. */
export async function pickForward(broker: Calls): Promise<string> {
  const {targets} = await broker.call(api.catalog)
  return pick({
    what: 'target',
    choices: targets
      .filter(({forward = 'no'}) => forward !== 'no')
      .map(({name, environment, summary, forward = 'no', forwards = []}) => ({
        name,
        note: `${environment}  ${summary}  ${usableWords[forward]}  ${forwardWords(forwards)}`,
        value: name,
      })),
    instead: 'prod forward TARGET -L PORT:HOST:PORT',
  })
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
