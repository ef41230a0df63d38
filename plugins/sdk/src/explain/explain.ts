/** The engine of `prod explain`: finds which of the tables' forms stand in a text, takes the surest, and reads the fields around it. Pure, linear. */
import type {Category, Explainer, Explanation, Field, Reading, Rule} from '../explainer.ts'
import type {Finding} from './finding.ts'
import {type Message, peel} from './message.ts'
import {nextCommands} from './next.ts'
import {type Match, places} from './pattern.ts'
import {summarise} from './summary.ts'
import {encodedForms, wrappers} from './wrappers.ts'

/**
 * Explains a text with the tables of these explainers. Always answers: not_a_denial with little confidence where nothing in it speaks of a
 * refusal. Pure; linear in the text, of which the last MiB is read.
 */
export function explain(text: string, explainers: readonly Explainer[]): Explanation {
  const finding = find(text, explainers)
  const {category, confidence, fields, evidence} = finding
  return {
    category,
    ...fields,
    encoded: finding.encoded !== null,
    confidence,
    summary: summarise(finding),
    next: nextCommands(finding),
    evidence,
  }
}

/** The encoded authorization message in a text, whole, or null: lines that hold nothing else go on with it. Pure; linear. */
export function encodedIn(text: string): string | null {
  for (const {plain, low} of peel(text)) {
    for (const form of encodedForms) {
      const words = form.slice(0, form.indexOf('{')).trimEnd()
      const at = low.indexOf(words)
      const whole =
        at < 0 ? null : /^[\s"'`]*([\w-]{12,10240}(?:\n[\w-]+(?=\n|$))*)/.exec(plain.slice(at + words.length, at + words.length + 12_288))
      if (whole) return (whole[1] as string).replaceAll('\n', '')
    }
  }
  return null
}

interface Hit {
  rule: Rule
  match: Match
  explainer: Explainer
}

function find(text: string, explainers: readonly Explainer[]): Finding {
  const [first, second] = peel(text).map(message => findIn(message, explainers)) as [Finding, Finding | undefined]
  if (!second) return first
  if (second.confidence > first.confidence) return second
  if (second.category !== first.category) return first
  return {...first, fields: longerFields(first.fields, second.fields)}
}

/** A field that a fold cut short or hid, whole: what the joined lines add looks like the rest of a name, not like the next word. */
function longerFields(short: Finding['fields'], long: Finding['fields']): Finding['fields'] {
  const whole = {...short}
  for (const field of Object.keys(short) as Field[]) {
    const [begin, all] = [short[field], long[field]]
    if (all === null || !all.startsWith(begin ?? '')) continue
    if (begin === null && /^resources?(?:because|with|and|is|on)$/i.test(all)) continue // two words of a sentence
    const rest = begin === null ? all : all.slice(begin.length)
    if (field === 'action' && begin !== null && rest.includes('.')) continue // the next line, not the rest of a name
    if (
      rest !== '' &&
      !/^(?:because|with|on|is|and|status|the|in|due|which|for|to|fatal|error|warning|failed|caused|hint|exit|please|run|operation|action|call|api)$/i.test(
        rest,
      )
    )
      whole[field] = all
  }
  return whole
}

function findIn(message: Message, explainers: readonly Explainer[]): Finding {
  let best: Hit | undefined
  for (const explainer of explainers) {
    for (const rule of explainer.rules) {
      if (best && rule.confidence < best.rule.confidence) continue
      const match = firstPlace(message, rule)
      if (!match) continue
      if (!best || rule.confidence > best.rule.confidence || match.at < best.match.at) best = {rule, match, explainer}
    }
  }
  const encoded = findEncoded(message)
  if (!best) return nothing(message, encoded)
  const {rule, match, explainer} = best
  const fields = fieldsOf(rule, match)
  // another form of the same may say more
  const sources = typeof rule.match === 'string' ? [rule.match] : rule.match
  for (const source of sources)
    if (source.includes('{')) fillFrom({match: source, fields: rule.fields}, message, rule.category, match, fields, {})
  const words: Record<string, string> = {...match.captures}
  const others = explainers.flatMap(other => (other === explainer ? [] : (other.readings ?? []).filter(({of}) => of)))
  for (const reading of [...(explainer.readings ?? []), ...others, ...wrappers])
    fillFrom(reading, message, rule.category, match, fields, words)
  if (rule.category !== 'role_assume_denied') fields.role = null
  return {
    category: rule.category,
    confidence: rule.confidence,
    by: explainer.id,
    fields,
    encoded,
    words,
    evidence: message.plain.slice(match.at, Math.min(match.end, match.at + 300)).replaceAll('\n', ' '),
    says: rule.says,
  }
}

/** Nothing was recognised: a text that says "denied" somewhere is a denial without a reason, any other is none. What tools write around it is read. */
function nothing(message: Message, encoded: string | null): Finding {
  const isDenial =
    /(?<![\w/-])(?:denied|forbidden|unauthori[sz]ed|not authori[sz]ed|not permitted|not allowed|(?:no|missing|lacks?|insufficient) permissions?|40[13](?= (?:error|client|response)))(?![\w/-]|\.\w)/.test(
      message.low,
    )
  const category = isDenial ? 'unknown_denial' : 'not_a_denial'
  const fields: Finding['fields'] = {principal: null, action: null, resource: null, role: null}
  const words: Record<string, string> = {}
  for (const reading of wrappers) fillFrom(reading, message, category, {at: 0, end: 0, captures: {}, names: new Set()}, fields, words)
  return {category, confidence: isDenial ? 0.3 : 0.2, by: '', fields, encoded, words, evidence: null}
}

function firstPlace(message: Message, rule: Rule): Match | undefined {
  if (rule.unless?.some(words => message.low.includes(words))) return undefined
  if (rule.near && !rule.near.some(words => message.low.includes(words))) return undefined
  let first: Match | undefined
  for (const source of typeof rule.match === 'string' ? [rule.match] : rule.match) {
    for (const match of places(message, source)) {
      if (rule.alone && isInName(message.plain, match)) continue
      if (!first || match.at < first.at) first = match
      break
    }
  }
  return first
}

/** Whether a match is a part of a longer word, of a path or of a file's name. */
function isInName(plain: string, {at, end}: Match): boolean {
  return (/\w/.test(plain[at] ?? ' ') && /[\w/-]/.test(plain[at - 1] ?? ' ')) || /^(?:[\w/-]|\.\w)/.test(plain.slice(end, end + 2))
}

function fieldsOf({fields = {}}: Pick<Rule, 'fields'>, {captures, names}: Match): Finding['fields'] {
  const of = (field: Field): string | null => {
    const template = fields[field]
    const value = template === undefined ? captures[field] : filled(template, captures)
    return value === undefined ? null : named(field, value, names.has(field))
  }
  return {principal: of('principal'), action: of('action'), resource: of('resource'), role: of('role')}
}

/** A template with its words put in, `{word<@}` up to a character; undefined where one is missing. */
function filled(template: string, captures: Readonly<Record<string, string>>): string | undefined {
  let isWhole = true
  const value = template.replace(/\{(\w+)(?:<([^}]))?\}/g, (_, name: string, end: string | undefined) => {
    const word = end === undefined ? captures[name] : captures[name]?.split(end)[0]
    if (word === undefined) isWhole = false
    return word ?? ''
  })
  return isWhole ? value : undefined
}

/** Words that stand where a name would, and name nothing; and placeholders. */
const noNames =
  /^(?:(?:the|this|that|these|any|all|it|its|your|you|because|with|or|on|in|is|are|of|to|and|not|null|none|undefined|unknown|following|specified|provided|requested|n\/a|true|false|using|for|by|from|at|who|an?|error|resources?\.*|operation)|[.?…_-]{1,3}|\*{2,}|\.+|<[^<>]*>|\[[^[\]]*\]|\{\{?[^{}]*\}?\}|\$\{?\w+\}?|%[sv]|\(.*|required|sufficient)$/i
/** What a table may be called, and who was refused is not. */
const noPrincipals =
  /^(?:users?|roles?|account|caller|client|api|request|entity|identity|principal|service|arn|credentials|function|project|action|object|bucket|key|\d{3}):?$/i
/** Kinds of things; in quotes one may be called so. */
const kindsAlone = /^(?:project|account|bucket|topic|table|dataset|object|folder|secret|cluster|repository|registry|namespace)$/
/** The calls that libraries make for themselves. */
const noActions = /^(?:GetMetadata|operation|api|request|function|action|\w)$/i

/** The value where it names something, else null: a placeholder stands for a name and is none. */
function named(field: Field, value: string, isName: boolean): string | null {
  const text = withoutTail(plainOf(field, value.trim()))
  if (text === '' || noNames.test(text)) return null
  if (field === 'action' ? noActions.test(text) : field !== 'resource' && !isName && noPrincipals.test(text)) return null
  if (field === 'resource' && !isName && kindsAlone.test(text)) return null
  if (field === 'action' && (!/^[A-Za-z*"/][\w.:*/ {}()"-]*$/.test(text) || /:.*:/.test(text))) return null
  if ((field === 'principal' || field === 'role') && text.length < 2 && !/\w/.test(text)) return null
  return text
}

/** Without the stars of bold or slanted type; within an ARN two stars may stand for a name. */
function plainOf(field: Field, text: string): string {
  if (field === 'action') return text.replace(/^(?:\*\*|\.{2,}|…)|\*\*$/g, '')
  if (/^\*\w[\w.-]+\*$/.test(text)) return text.slice(1, -1)
  return text.startsWith('**') && text.endsWith('**') && /[^*]/.test(text) ? text.slice(2, -2) : text
}

/** Without the comma or the quote that closes what did not open in it, or half of an escape. */
function withoutTail(text: string): string {
  const last = text.at(-1) ?? ''
  if (last === '\\') return withoutTail(text.slice(0, -1))
  const isOpen = last !== '' && '"\'`'.includes(last) && text.split(last).length % 2 === 0
  return isOpen || last === ',' ? text.slice(0, -1) : text
}

/** Fills in the fields that are still missing from the place of a reading that is nearest to where the reason stands. */
function fillFrom(
  reading: Reading,
  message: Message,
  category: Category,
  {at, end}: Match,
  fields: Finding['fields'],
  words: Record<string, string>,
): void {
  if (reading.of && !reading.of.includes(category)) return
  if (reading.near && !reading.near.some(word => message.low.includes(word))) return
  let nearest: {fields: Finding['fields']; distance: number; captures: Match['captures']} | undefined
  for (const match of places(message, reading.match)) {
    const found = fieldsOf(reading, match)
    const distance = match.at >= at && match.at <= end ? 0 : match.at < at ? at - match.at : 2 * (match.at - at)
    const counts = Object.values(found).some(value => value !== null) || (!reading.fields && !hasField(match))
    if (counts && (!nearest || distance < nearest.distance)) nearest = {fields: found, distance, captures: match.captures}
  }
  if (!nearest) return
  for (const field of Object.keys(fields) as Field[]) fields[field] ??= nearest.fields[field]
  for (const [name, value] of Object.entries(nearest.captures)) words[name] ??= value
}

function hasField({captures}: Match): boolean {
  return ['principal', 'action', 'resource', 'role'].some(field => field in captures)
}

/** The encoded authorization message of EC2 and its like, or the beginning of one. */
function findEncoded(message: Message): string | null {
  for (const source of encodedForms) {
    for (const {captures} of places(message, source)) {
      const encoded = captures.encoded ?? ''
      if (encoded.length >= 12 || /^[A-Za-z0-9_-]+(?:\.{3,}|…)$/.test(encoded) || /^[<[*x]/i.test(encoded)) return encoded
    }
  }
  return null
}
