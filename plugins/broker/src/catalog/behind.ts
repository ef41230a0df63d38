/** Tools whose commands run the commands of other tools (`timeout 5 df -h`): what the definitions on both sides must be (TM-H13). */
import {basename, dirname} from 'node:path'
import {isDeepStrictEqual} from 'node:util'
import type {Limits} from '@prod/sdk'
import type {Grammar} from '@prod/sdk/grammar/grammar'
import {takesSecrets} from '@prod/sdk/grammar/operands'
import {specOf} from '@prod/sdk/grammar/values'
import type {ToolEntry} from './catalog.ts'

type Refuse = (tool: string, path: (string | number)[], message: string, mend?: string) => void

const keeping = ['none', 'redacted', 'full'] as const

/**
 * Checks every tool behind another, and gives the one in front the stricter of the limits and the retention. What runs
 * behind is started by the program in front: by its name from one directory, in its environment, with its account.
 */
export function joinBehind(tools: ReadonlyMap<string, ToolEntry>, refuse: Refuse): void {
  const joined: [ToolEntry, Pick<ToolEntry, 'limits' | 'retention' | 'retentionDays'>][] = []
  for (const tool of tools.values()) {
    const direct = commandsIn(tool.grammar)
    for (const {path, names} of direct) {
      for (const name of names) {
        const fault = findFault(tool, name, tools)
        if (fault) refuse(tool.name, path, ...fault)
      }
    }
    const behind = allBehind(tool, tools)
    if (behind.length === 0) continue
    if (new Set(behind.map(({program}) => dirname(program.path))).size > 1)
      refuse(tool.name, ['commands'], 'the programs behind it lie in several directories', 'name tools whose programs lie in one')
    const all = [tool, ...behind]
    joined.push([
      tool,
      {
        limits: all.map(({limits}) => limits).reduce(stricter),
        retentionDays: all.map(({retentionDays}) => retentionDays).reduce((a, b) => (a === null ? b : b === null ? a : Math.min(a, b))),
        retention: keeping.find(kept => all.some(({retention}) => retention === kept)) ?? 'none',
      },
    ])
  }
  for (const [tool, values] of joined) Object.assign(tool, values)
}

/** Every tool that could stand behind this one, at any depth. Pure. */
export function allBehind(tool: ToolEntry, tools: ReadonlyMap<string, ToolEntry>): ToolEntry[] {
  const found = new Map<string, ToolEntry>()
  const add = (from: ToolEntry): void => {
    for (const name of commandsIn(from.grammar).flatMap(({names}) => names)) {
      const next = tools.get(name)
      if (!next || found.has(name)) continue
      found.set(name, next)
      add(next)
    }
  }
  add(tool)
  return [...found.values()]
}

function commandsIn(grammar: Grammar): {path: (string | number)[]; names: string[]}[] {
  return grammar.commands.flatMap((command, index) =>
    (command.operands ?? []).flatMap(({type}, at) =>
      specOf(type).type === 'command' ? [{path: ['commands', index, 'operands', at], names: specOf(type).tools ?? []}] : [],
    ),
  )
}

function findFault(front: ToolEntry, name: string, tools: ReadonlyMap<string, ToolEntry>): [string, string?] | undefined {
  const tool = tools.get(name)
  if (!tool) return [`there is no tool ${name} in the catalog`, 'write its definition too']
  if (front.primitive !== tool.primitive || front.targets.some(target => !tool.targets.includes(target)))
    return [`${name} does not run on every target of ${front.name}`]
  if (front.runAs !== tool.runAs) return [`${name} runs under another account than ${front.name}`]
  if (name.startsWith('/') ? tool.program.path !== name : basename(tool.program.path) !== name)
    return [`${name} would be started by its name, and its program is ${tool.program.path}`]
  for (const field of ['needs', 'workdir', 'redact'] as const)
    if (!isDeepStrictEqual(front[field], tool[field])) return [`${name} has other \`${field}\` than ${front.name}`, 'say the same in both']
  if (Object.keys(tool.env).length > 0) return [`${name} has an environment of its own, which ${front.name} would not give it`]
  if (takesSecrets(tool.grammar)) return [`${name} takes secrets`]
  const {commands} = tool.grammar
  if (tool.grammar.adds || commands.some(({adds}) => adds))
    return [`the broker adds arguments to ${name}, which it could not behind ${front.name}`]
  if (commands.some(({limit}) => limit)) return [`runs of ${name} are counted, which they would not be behind ${front.name}`]
  return undefined
}

function stricter(a: Limits, b: Limits): Limits {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)] as (keyof Limits)[])
  return Object.fromEntries([...keys].map(key => [key, Math.min(a[key] ?? Infinity, b[key] ?? Infinity)])) as unknown as Limits
}
