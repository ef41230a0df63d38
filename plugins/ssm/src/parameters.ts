/** From the words of a tool to the parameters of a document: `--Name value`, `--Name=value`; one that stands there again is a list. */
import {ProdError} from '@prod/sdk/errors'

/** Reads all words after the tool's own name. Pure. Throws ARGV_INVALID with the position. */
export function parametersOf(argv: readonly string[]): Record<string, string[]> {
  const parameters: Record<string, string[]> = {}
  for (let at = 1; at < argv.length; at++) {
    const word = argv[at] as string
    const [, name, joined] = /^--([A-Za-z][A-Za-z0-9_-]{0,99})(?:=(.*))?$/s.exec(word) ?? []
    const position = at
    const value = joined ?? argv[++at]
    if (!name || value === undefined) {
      throw new ProdError('ARGV_INVALID', `${JSON.stringify(word)} is no parameter with its value`, 'options: {--InstanceId: …}', {
        position,
      })
    }
    // Systems Manager would put a value from elsewhere in its place, which nobody saw (TM-H4)
    if (value.includes('{{'))
      throw new ProdError('ARGV_INVALID', `the value of ${name} holds {{, which Systems Manager reads as a reference`, 'the value itself', {
        position: at,
      })
    if (Object.hasOwn(parameters, name)) parameters[name]?.push(value)
    else Object.defineProperty(parameters, name, {value: [value], enumerable: true, configurable: true, writable: true})
  }
  return parameters
}
