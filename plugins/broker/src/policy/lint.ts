/** Shapes that load, hold all their tests, and still open the house (TM-D2, TM-G2, TM-J3). */
import {basename} from 'node:path'
import {compile} from '@prod/sdk/grammar/compile'
import {specOf} from '@prod/sdk/grammar/values'
import type {Catalog, ToolEntry} from '../catalog/catalog.ts'
import type {Finding} from '../catalog/finding.ts'
import type {BundleFile} from '../catalog/read.ts'
import {parseYaml} from '../catalog/yaml.ts'
import {isOpen, matchesAll, takesAnything, typesOf} from './open-values.ts'
import {bindsPrincipal, bindsResource, mayReach, subjectsOf} from './reach.ts'
import {placeIn, type Rule} from './rules.ts'
import {literals, reachesAction} from './scope.ts'
import {couldChangeUs} from './self-power.ts'
import {type Thing, thingsOf} from './things.ts'

/** What the linter says. `lint` names the shape, `at` the rule or the tool: both together are what an override names. */
export interface Lint extends Finding {
  lint: string
  at: string
}

/** Shapes that no override excuses. */
export const neverExcused: readonly string[] = ['self-power']

/** All dangerous shapes of a bundle that is otherwise sound. Pure. */
export function lintBundle(catalog: Catalog, rules: readonly Rule[], files: readonly BundleFile[]): Lint[] {
  const found = new Map<string, Lint>()
  const texts = new Map(files.map(({name, text}) => [name, text]))
  const add = (lint: Lint): unknown => found.has(`${lint.lint} ${lint.at}`) || found.set(`${lint.lint} ${lint.at}`, lint)
  const rule = (lint: string, {id, file, start}: Rule, message: string, mend: string): unknown =>
    add({lint, at: id, file, line: placeIn(texts.get(file) ?? '', start).line, message, mend})
  const tool = (lint: string, name: string, command: number, message: string, mend: string): unknown =>
    add({lint, at: name, ...placeOf(files, name, command), message, mend})

  const permits = rules.filter(({json}) => json.effect === 'permit')
  for (const one of permits) lintPermit(one, rule)
  for (const one of catalog.tools.values()) lintTool(one, tool)

  const uses = ['run', 'shell', 'forward', 'assume', 'request']
  const acting = permits.filter(({json}) => uses.some(action => reachesAction(json, action)))
  const approving = permits.filter(({json}) => reachesAction(json, 'approve'))
  if (acting.length === 0) return [...found.values()]
  for (const thing of thingsOf(catalog)) {
    const {entity, use, class: toolClass, what, approvals} = thing
    const context = {class: toolClass, use}
    const atOnce = acting.filter(({json}) => mayReach(json, use, entity, context))
    const asking = acting.filter(({json}) => mayReach(json, 'request', entity, context))
    if (atOnce.length + asking.length === 0) continue
    const approvers = new Set(
      approving.filter(({json}) => mayReach(json, 'approve', entity, context)).flatMap(({json}) => [...subjectsOf(json)]),
    )

    for (const one of asking) {
      const requesters = subjectsOf(one.json)
      if (approvers.size === 0) rule('no-approver', one, `nobody may approve ${what}`, 'permit approve on it to somebody')
      else if (requesters.size > 0 && [...approvers].every(one => requesters.has(one)))
        rule('approvers-are-requesters', one, `whoever may approve ${what} may ask for it too: ${show(approvers)}`, 'let others approve')
    }
    const personal = isPersonal(thing.resource)
    const power = thing.resource.kind === 'command' && isPower(thing.resource.tool, thing.resource.structure.command)
    for (const one of atOnce) {
      if (power) rule('self-power', one, `${what} could change policy, groups or the store, and is permitted at once`, 'permit request')
      else if (toolClass === 'admin') rule('admin-at-once', one, `${what} is of class admin, and is permitted at once`, 'permit request')
      if (personal)
        rule('personal-data', one, `${what} reads personal data, and is permitted at once`, 'permit request, with two approvals')
    }
    for (const one of asking) {
      if (power && [...subjectsOf(one.json)].some(who => approvers.has(who)))
        rule(
          'self-power',
          one,
          `${what} could change policy, groups or the store, and requesters may approve it: ${show(approvers)}`,
          'let others approve',
        )
      if (personal && approvals < 2)
        rule('personal-data', one, `${what} reads personal data after one approval`, 'approvals: 2 on the tool, the role or its service')
    }
  }
  return [...found.values()]
}

type Report = (lint: string, rule: Rule, message: string, mend: string) => unknown

function lintPermit(one: Rule, report: Report): void {
  const {json} = one
  const star = literals([json.principal, json.conditions]).find(({type, id}) => (type === 'Group' || type === 'Person') && /[*?]/.test(id))
  if (star) report('open-principal', one, `${star.type}::${JSON.stringify(star.id)} is a name, not a pattern`, 'name groups')
  else if (!bindsPrincipal(json)) report('open-principal', one, 'permits it to everybody who can log in', 'principal in Group::"…"')
  if (json.action.op === 'All') report('open-action', one, 'permits every action, approve and breakGlass too', 'action == Action::"…"')
  else if (['run', 'shell', 'forward', 'assume'].some(action => reachesAction(json, action)) && !bindsResource(json))
    report(
      'open-resource',
      one,
      'permits it on everything there is, at once',
      'name a tool, a target or a role; or when { context.class == "read" }',
    )
}

/** Programs that do whatever their arguments say. */
const interpreters =
  /^(?:(?:ba|da|z|k|c|tc|fi|a|mk)?sh|busybox|toybox|python|perl|ruby|node|nodejs|deno|bun|lua|luajit|php|tclsh|expect|Rscript|osascript|pwsh|sudo|doas|su|runuser|pkexec|env|timeout|nice|ionice|nohup|setsid|stdbuf|xargs|watch|time|chroot|unshare|nsenter|systemd-run|flock|script|setpriv|taskset|chrt|prlimit|strace|ltrace|unbuffer|rlwrap|socat|screen|tmux|bwrap|firejail|capsh|runcon|chpst|setuidgid|start-stop-daemon|dbus-run-session|ld(?:-linux.*)?|r?bash|pypy|vi|vim|nvim|ex|ssh|parallel|awk|gawk|mawk|sed|ed|emacs|make|gdb|psql|mysql|mariadb|sqlite|mongosh|redis-cli)$/
const manyWords = 3

function lintTool(
  {name, program, grammar, retention, data}: ToolEntry,
  report: (lint: string, name: string, command: number, message: string, mend: string) => unknown,
): void {
  const does = basename(program.path).replace(/(?<=[a-z])-?\d+(?:\.\d+)*$/, '')
  for (const command of compile(grammar).commands) {
    const what = [name, ...command.grammar.path].join(' ')
    const pattern = typesOf(command).find(spec => spec.pattern !== undefined && matchesAll(spec.pattern))?.pattern
    if (pattern !== undefined)
      report('open-pattern', name, command.index, `${what}: every text matches ${pattern}`, 'say what the value is')
    const bare = command.operands.length === 1 && command.options.size === 0 && command.grammar.path.length === 0
    const loose = command.operands.find(({type, max, min, afterDashes}) => {
      if (!isOpen(specOf(type))) return false
      const mayBeOption = specOf(type).leading?.includes('-') && !afterDashes && command.dashes !== 'required'
      return mayBeOption || (bare && Math.max(max, min) >= manyWords)
    })
    if (loose)
      report('any-arguments', name, command.index, `${what}: ${loose.name} takes any arguments at all`, 'name the options and operands')
    else if (interpreters.test(does) && takesAnything(command))
      report(
        'any-arguments',
        name,
        command.index,
        `${what}: ${does} would do whatever the free text says`,
        'a type of its own, a pattern, or fixed values',
      )
    if (couldChangeUs(program.path, command) && command.grammar.class !== 'admin')
      report('self-power', name, command.index, `${what} could change policy, groups or the store`, 'class: admin')
  }
  if (data === 'personal' && retention === 'full')
    report('personal-data', name, 0, `the output of ${name}, personal data, is kept whole`, 'retention: none')
}

function isPower(tool: ToolEntry, index: number): boolean {
  const command = compile(tool.grammar).commands[index]
  return command !== undefined && couldChangeUs(tool.program.path, command)
}

function isPersonal(resource: Thing['resource']): boolean {
  if (resource.kind === 'role') return false
  return resource.target.data === 'personal' || (resource.kind === 'command' && resource.tool.data === 'personal')
}

function show(subjects: ReadonlySet<string>): string {
  return [...subjects]
    .map(one => one.slice(one.indexOf('::') + 2))
    .sort()
    .join(', ')
}

function placeOf(files: readonly BundleFile[], name: string, command: number): Pick<Finding, 'file' | 'line' | 'path'> {
  for (const file of files.filter(one => one.name.startsWith('catalog/tools/') && one.text.includes(name))) {
    const yaml = parseYaml(file, [])
    if ((yaml?.data as {name?: unknown} | undefined)?.name === name)
      return {file: file.name, line: yaml?.at(['commands', command]).line ?? 1, path: `commands[${command}]`}
  }
  return {file: 'catalog/tools'}
}
