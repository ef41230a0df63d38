import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {grammarSchema} from '@prod/sdk/grammar/schema'
import {valueKinds} from '@prod/sdk/grammar/values'
import {expect, test} from 'vitest'

const page = readFileSync(join(import.meta.dirname, '../../../docs/policy.md'), 'utf8')

/** `a`, `b` in the first cell of a row, with all that the row says. */
function rowOf(name: string): string | undefined {
  return page
    .slice(page.indexOf('### Types'))
    .split('\n')
    .find(line => line.startsWith('| `') && (line.split('|')[1] ?? '').includes(`\`${name}\``))
}

test('the page on definitions names every type, with every field that it takes', () => {
  const missing = Object.entries(valueKinds).flatMap(([type, {fields}]) => {
    const row = rowOf(type)
    return row === undefined ? [type] : fields.filter(field => !row.includes(`\`${field}`)).map(field => `${type}.${field}`)
  })
  expect(missing).toEqual([])
})

test('the page on definitions names every field of a command, an option and an operand', () => {
  const {properties} = grammarSchema.properties.commands.items
  const option = grammarSchema.properties.options.additionalProperties.anyOf.find(
    choice => 'required' in choice && choice.required[0] === 'value',
  )
  const fields = [
    ...Object.keys(properties),
    ...Object.keys(properties.operands.items.properties),
    ...Object.keys(option && 'properties' in option ? option.properties : {}),
  ]
  const section = page.slice(page.indexOf('## A tool'), page.indexOf('## A target'))
  expect([...new Set(fields)].filter(field => !section.includes(`\`${field}`) && field !== 'summary')).toEqual([])
})
