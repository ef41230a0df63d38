/** YAML as the bundle reads it: version 1.2, core schema, no tags of its own, no doubled keys, few aliases (TM-A8). */
import {isMap, isNode, isPair, LineCounter, parseAllDocuments, visit} from 'yaml'
import type {Finding} from './finding.ts'
import type {BundleFile} from './read.ts'

/** The data of one file and where each part of it stands. */
export interface YamlFile {
  file: string
  data: unknown
  /** line and column of the value at a path (of its nearest known parent) */
  at(path: readonly (string | number)[]): {line: number; column: number}
}

const maxAliases = 20
const maxDepth = 40
const maxBrackets = 500

/** Parses one document. Whatever the parser dislikes, warnings too, is a finding, and then there is no data. */
export function parseYaml({name, text}: BundleFile, findings: Finding[]): YamlFile | undefined {
  const refuse = (message: string, mend?: string, at: {line?: number; column?: number} = {}): undefined => {
    findings.push({file: name, ...at, message, ...(mend ? {mend} : {})})
  }
  if (tooDeep(text)) return refuse(`is nested too deep`)
  const lines = new LineCounter()
  const documents = parseAllDocuments(text, {
    version: '1.2',
    schema: 'core',
    strict: true,
    uniqueKeys: true,
    merge: false,
    prettyErrors: false,
    lineCounter: lines,
  })
  const document = documents[0]
  if (!('length' in documents) || !document || documents.length !== 1)
    return refuse('holds not exactly one document', 'one thing for each file')

  const faults = [...document.errors, ...document.warnings]
  for (const fault of faults) refuse(lowerFirst(fault.message), undefined, place(lines, fault.pos[0]))
  if (faults.length > 0) return undefined

  let aliases = 0
  let odd: {offset: number; what: string} | undefined
  visit(document, {
    Alias: () => {
      aliases++
    },
    Node: (_, node) => {
      if (isNode(node) && node.tag && !node.tag.startsWith('tag:yaml.org,2002:'))
        odd ??= {offset: node.range?.[0] ?? 0, what: `has the tag ${node.tag}`}
    },
  })
  if (odd) return refuse(odd.what, 'plain values only', place(lines, odd.offset))
  if (aliases > maxAliases) return refuse(`has more than ${maxAliases} aliases`, 'write the values out')

  let data: unknown
  try {
    data = document.toJS({maxAliasCount: 100})
  } catch {
    return refuse('its aliases unfold to too much', 'write the values out')
  }
  return {
    file: name,
    data,
    at(path) {
      for (let length = path.length; length >= 0; length--) {
        const node = document.getIn(path.slice(0, length), true)
        if (!isNode(node) || !node.range) continue
        const parent = length > 0 ? document.getIn(path.slice(0, length - 1), true) : undefined
        const pair = isMap(parent)
          ? parent.items.find(item => isPair(item) && String(isNode(item.key) ? item.key.toJSON() : item.key) === String(path[length - 1]))
          : undefined
        const key = pair && isNode(pair.key) ? pair.key.range?.[0] : undefined
        return place(lines, key ?? node.range[0])
      }
      return {line: 1, column: 1}
    },
  }
}

/** `commands[1].options`. Pure. */
export function showPath(path: readonly (string | number)[]): string {
  return path.map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`)).join('')
}

function place(lines: LineCounter, offset: number): {line: number; column: number} {
  const {line, col} = lines.linePos(offset)
  return {line: Math.max(line, 1), column: Math.max(col, 1)}
}

/** A bound on nesting that costs no recursion: open brackets, and steps of indentation and dashes. */
function tooDeep(text: string): boolean {
  let brackets = 0
  for (const line of text.split('\n')) {
    const indent = /^[ \-?:]*/.exec(line)?.[0] ?? ''
    if (indent.replaceAll(/ /g, '').length > maxDepth || indent.length > 16 * maxDepth) return true
    for (const sign of line) {
      if (sign === '[' || sign === '{') brackets++
      else if (sign === ']' || sign === '}') brackets = Math.max(0, brackets - 1)
      if (brackets > maxBrackets) return true
    }
  }
  return false
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}
