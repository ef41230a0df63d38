import type {Permission, Use} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'

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

/** The account a use runs under; nothing else is needed on one's own machine. Pure. Throws TARGET_INVALID for a forward. */
export function permissions({name}: Target, use: Use): Permission[] {
  if (use.kind === 'forward') throw new ProdError('TARGET_INVALID', `host:${name} forwards no ports`, 'prod targets')
  return [{kind: 'os', actions: [use.kind], resources: [`account:${use.runAs ?? 'own'}`]}]
}
