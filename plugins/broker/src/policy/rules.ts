/** Cedar files cut into single policies, each with an id that says where it stands. */
import {type DetailedError, type PolicyJson, policyToJson} from '@cedar-policy/cedar-wasm/nodejs'
import type {Finding} from '../catalog/finding.ts'
import type {BundleFile} from '../catalog/read.ts'

/** One policy of a bundle. */
export interface Rule {
  /** `global/web.cedar#web-status` by its `@id`, else `global/web.cedar:12` by its line: unique in a bundle */
  id: string
  /** the service whose directory it lies in; null: global */
  service: string | null
  file: string
  text: string
  /** where `text` begins in its file, in UTF-16 units */
  start: number
  json: PolicyJson
}

/** All policies of the `.cedar` files; what does not parse, and a permit in a service's directory, is a finding (TM-L1). */
export function readRules(files: readonly BundleFile[], services: ReadonlySet<string>, findings: Finding[]): Rule[] {
  const rules = new Map<string, Rule>()
  for (const file of files.filter(({name}) => name.endsWith('.cedar'))) {
    const [, folder, owner] = file.name.split('/')
    const service = folder === 'services' ? (owner as string) : null
    const refuse = (offset: number, message: string, mend?: string): void => {
      findings.push({file: file.name, ...placeIn(file.text, offset), message, ...(mend ? {mend} : {})})
    }
    if (service !== null && !services.has(service))
      refuse(0, `there is no service ${service}`, 'name the folder after a service of the catalog')

    for (const {text, start} of splitPolicies(file.text)) {
      const parsed = policyToJson(text)
      if (parsed.type === 'failure') {
        for (const error of parsed.errors) refuse(start + offsetIn(text, error), lineOf(error), error.help ?? undefined)
        continue
      }
      const annotated = parsed.json.annotations?.id
      const place = file.name.slice('policy/'.length)
      const id = annotated ? `${place}#${annotated}` : `${place}:${placeIn(file.text, start).line}`
      if (annotated !== undefined && !/^[a-z0-9][a-z0-9-]{0,63}$/.test(annotated))
        refuse(start, `@id(${JSON.stringify(annotated)}) is no id`, 'lower-case words with dashes')
      if (rules.has(id)) refuse(start, `there are two rules ${id}`, 'give each an @id("…") of its own')
      if (service !== null && parsed.json.effect === 'permit')
        refuse(start, "a service's directory may only forbid", 'permits belong in policy/global')
      rules.set(id, {id, service, file: file.name, text, start, json: parsed.json})
    }
  }
  return [...rules.values()]
}

/** Line and column (from 1) of an offset in UTF-16 units. Pure. */
export function placeIn(text: string, offset: number): {line: number; column: number} {
  const before = text.slice(0, offset)
  const line = before.split('\n').length
  return {line, column: offset - before.lastIndexOf('\n')}
}

/** Cedar counts bytes; we count UTF-16 units. Pure. */
export function offsetIn(text: string, error: DetailedError): number {
  const bytes = error.sourceLocations?.[0]?.start ?? 0
  return Buffer.from(text).subarray(0, bytes).toString().length
}

/** Cedar's own sentence without the policy's inner name. Pure. */
export function lineOf({message}: DetailedError): string {
  return message.replace(/^for policy `[^`]*`, /, '')
}

/** Cuts a file at each `;` that stands outside of strings and comments. Pure; text after the last `;` is a policy too, a faulty one. */
export function splitPolicies(text: string): {text: string; start: number}[] {
  const policies: {text: string; start: number}[] = []
  let start = -1
  for (let at = 0; at < text.length; at++) {
    const sign = text[at] as string
    if (sign === '/' && text[at + 1] === '/') {
      const end = text.indexOf('\n', at)
      at = end < 0 ? text.length : end
      continue
    }
    if (start < 0 && !/\s/.test(sign)) start = at
    if (sign === '"') {
      for (at++; at < text.length && text[at] !== '"'; at++) if (text[at] === '\\') at++
    } else if (sign === ';') {
      policies.push({text: text.slice(start, at + 1), start})
      start = -1
    }
  }
  if (start >= 0) policies.push({text: text.slice(start), start})
  return policies
}
