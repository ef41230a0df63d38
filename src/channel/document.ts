/** An approval document as an approver sees it: rendered from its exact bytes alone, complete, nothing cut (TM-W6). */
import type {ApprovalDocument, Needs} from '@prod/sdk'
import {sha256} from '@prod/sdk/document'
import {showHostPort} from '@prod/sdk/forward'
import {showDuration} from '@prod/sdk/grammar/duration'
import {showArgument, showArgv, showLine, showName} from '@prod/sdk/text'

/** What stands on the screen, and the digest of the bytes that it was made from. */
export function showDocument(text: string): {lines: string[]; digest: string; document: ApprovalDocument} {
  const document = JSON.parse(text) as ApprovalDocument
  const {argv, program, env, stdin, role, targets, limits, rollout} = document
  const roles = document.roles ?? (role ? [role] : [])
  const where = targets.map(target => {
    const by = target.role === undefined ? '' : `, by the role ${showName(target.role)}`
    return `${showName(target.name)} (${showName(target.environment)}, ${showName(target.address)}${by})`
  })
  const count = targets.length > 1 ? ` on ${targets.length} targets` : ''
  const field = (name: string, value: string | null | undefined) =>
    value === null || value === undefined ? [] : [`${`${name}:`.padEnd(13)} ${showLine(value)}`]
  const lines = [
    ...field(document.class === 'read' ? 'runs' : `${document.class}`, whatOf(document, count)),
    ...(argv ? argv.map((argument, index) => `  argument ${index}: ${showArgument(argument)}`) : []),
    ...(where.length > 0 ? where.map(one => `where:        ${one}`) : []),
    ...(document.to ?? []).flatMap(place => field('leads to', showHostPort(place))),
    ...field('targets', rollout ? rolloutWords(rollout, targets.length) : null),
    ...field('chosen by', rollout ? rollout.on.join(' · ') : null),
    ...field('program', program ? `${program.path} sha256:${program.sha256 ?? 'not known'}` : null),
    ...(document.behind ?? []).map(
      ({tool, argv: inner, program: {path, sha256}}) =>
        `behind it:    ${showArgv(inner)} (${showLine(`${tool}: ${path} sha256:${sha256 ?? 'not known'}`)})`,
    ),
    ...field('runs as', document.runAs),
    ...field('starts in', document.cwd),
    ...field('may reach', document.needs ? showNeeds(document.needs) : null),
    ...roles.flatMap(one => {
      const name = document.kind === 'role' ? '' : `${showName(one.name)}: `
      return field('role', `${name}${one.provider} ${JSON.stringify(one.parameters)}`)
    }),
    ...field('stdin', stdin ? `${stdin.bytes} bytes sha256:${stdin.sha256}` : null),
    ...Object.entries(env).map(([name, value]) => `environment:  ${showLine(name)}=${showArgument(value)}`),
    ...field('for', showDuration(document.durationSeconds)),
    ...field('starts', document.startAt),
    ...field('output kept', limits ? document.retention : null),
    ...field('taken out', document.redact ? showRedact(document.redact) : null),
    ...field(
      'asked by',
      `${showName(document.requester.name)} (${showName(document.requester.sub)} at ${showName(document.requester.iss)})`,
    ),
    ...field('incident', document.incident),
    ...field('reason', document.reason),
    ...field('break-glass', document.breakGlass ? 'YES' : null),
    ...field('second', document.secondPerson),
    ...field('policy', document.bundle),
    ...field('digest', sha256(text)),
  ]
  return {lines, digest: sha256(text), document}
}

function whatOf({kind, argv, role}: ApprovalDocument, count: string): string {
  if (argv) return `${showArgv(argv)}${count}`
  if (kind === 'role' && role) return `the role ${showName(role.name)}`
  return kind === 'forward' ? 'connections through the target, as many as are opened' : 'a shell'
}

/** How it goes from target to target. */
function rolloutWords({batch, pauseSeconds, stopOnError}: NonNullable<ApprovalDocument['rollout']>, count: number): string {
  const pause = pauseSeconds > 0 ? `, ${showDuration(pauseSeconds)} between` : ''
  return `${count}, ${batch} at a time${pause}, ${stopOnError ? 'until one fails' : 'whatever fails'}`
}

/** What a program may reach of its machine, in words. */
function showNeeds({network, processes, reads, writes}: Needs): string {
  const parts = [
    network ? 'the network' : 'no network',
    ...(processes ? ["the machine's processes"] : []),
    ...(reads.length > 0 ? [`reads ${showArgv(reads)}`] : []),
    ...(writes.length > 0 ? [`writes ${showArgv(writes)}`] : ['writes nothing']),
  ]
  return parts.join(', ')
}

/** What is taken out of its output, in words. */
function showRedact({patterns, fields, columns}: NonNullable<ApprovalDocument['redact']>): string {
  const places = [...(columns?.names ?? []), ...(columns?.positions ?? []).map(String)]
  const parts = [
    ...(patterns.length > 0 ? [`what matches ${showArgv(patterns)}`] : []),
    ...(fields.length > 0 ? [`fields ${showArgv(fields)}`] : []),
    ...(places.length > 0 ? [`columns ${showArgv(places)}`] : []),
  ]
  return parts.join(', ')
}
