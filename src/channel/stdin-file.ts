import {fstatSync, readFileSync} from 'node:fs'
import {api} from '@prod/sdk/api'
import type {BrokerClient} from '@prod/sdk/client'
import {ProdError} from '@prod/sdk/errors'

/**
 * Whether stdin is a file of which nothing has been read, as `< FILE` makes it. Not one that somebody else is reading, as in a loop over its
 * lines, and not where the system does not say how far it was read.
 */
export function isFreshFile(): boolean {
  try {
    const stat = fstatSync(0)
    return stat.isFile() && stat.size > 0 && /^pos:\s*0$/m.test(readFileSync('/proc/self/fdinfo/0', 'utf8'))
  } catch {
    return false
  }
}

/** Refuses what was meant as input of a command that takes none: it would be dropped without a word. Throws STDIN_REFUSED. */
export async function refuseUnread(broker: Pick<BrokerClient, 'call'>, argv: readonly string[]): Promise<void> {
  const [{tools}, {parse}] = await Promise.all([broker.call(api.catalog), import('@prod/sdk/grammar/parse')])
  const tool = tools.find(({name}) => name === argv[0])
  const parsed = tool && parse(tool.grammar, argv, name => tools.find(one => one.name === name)?.grammar)
  // what is no command of it the broker refuses, with the position
  if (!tool || !parsed?.ok || tool.grammar.commands[parsed.structure.command]?.stdin) return
  throw new ProdError(
    'STDIN_REFUSED',
    `${[tool.name, ...parsed.structure.path].join(' ')} takes no stdin: nothing of this file would reach it`,
    `prod tools show ${tool.name}`,
  )
}
