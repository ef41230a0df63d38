import type {Permission, Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import {showHostPort} from '@prod/sdk/forward'

/** The broker's own machine, written `host:NAME`: the name is what people call it, such as `local`. */
export interface Target {
  readonly name: string
}

/** Reads the part after `host:`: 1-63 letters, digits, `.` and `-`. Pure. Throws TARGET_INVALID. */
export function parse(text: string): Target {
  if (!/^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$/.test(text)) {
    throw new ProdError('TARGET_INVALID', `${JSON.stringify(text)} does not name this machine`, 'prod targets')
  }
  return {name: text}
}

/** The account a use runs under, the place a connection leads to; nothing else is needed on one's own machine. Pure. */
export function permissions(_target: Target, use: Use): Permission[] {
  if (use.kind === 'forward') return [{kind: 'os', actions: ['connect'], resources: [`tcp:${showHostPort(use.to)}`]}]
  return [{kind: 'os', actions: [use.kind], resources: [`account:${use.runAs ?? 'own'}`]}]
}
