/** The query protocols: forms in, XML out (STS, IAM, EC2). */

/** A value of an answer; a list is written as the elements of its service's lists. */
export type Value = string | number | boolean | undefined | Value[] | {[name: string]: Value}

/** `Filter.1.Value.2=x` and its like as nested data; numbers are places of a list. */
export function readForm(text: string): Record<string, unknown> {
  const root: Record<string, unknown> = {}
  for (const [path, value] of new URLSearchParams(text)) {
    const parts = path.split('.')
    let at = root
    for (const part of parts.slice(0, -1)) {
      at[part] ??= {}
      at = at[part] as Record<string, unknown>
    }
    at[parts.at(-1) as string] = value
  }
  return lists(root) as Record<string, unknown>
}

/** Objects whose keys are all numbers become lists; `member` of STS is left out. */
function lists(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value)
  const [only] = entries
  if (entries.length === 1 && only?.[0] === 'member') return lists(only[1])
  if (entries.length > 0 && entries.every(([key]) => /^\d+$/.test(key)))
    return entries.sort(([a], [b]) => Number(a) - Number(b)).map(([, one]) => lists(one))
  return Object.fromEntries(entries.map(([key, one]) => [key, lists(one)]))
}

const escaped = (text: string): string => text.replace(/[&<>"\r\n]/g, char => `&#${char.charCodeAt(0)};`)

/** The elements of a value. `item` is what an element of a list is called. */
export function elements(value: Value, item: string): string {
  if (value === undefined) return ''
  if (Array.isArray(value)) return value.map(one => `<${item}>${elements(one, item)}</${item}>`).join('')
  if (typeof value === 'object')
    return Object.entries(value)
      .map(([name, one]) => (one === undefined ? '' : `<${name}>${elements(one, item)}</${name}>`))
      .join('')
  return escaped(String(value))
}
