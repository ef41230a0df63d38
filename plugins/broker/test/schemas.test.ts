import {api} from '@prod/sdk/api'
import {Ajv} from 'ajv'
import {expect, test} from 'vitest'
import {roleSchema, serviceSchema, targetSchema, testsSchema, toolSchema} from '../src/catalog/schemas.ts'
import {configSchema} from '../src/config.ts'
import {overridesSchema} from '../src/policy/overrides.ts'
import {clientMessageSchema, firstMessageSchema} from '../src/streams/schemas.ts'

const ajv = new Ajv()
const schemas = {
  serviceSchema,
  targetSchema,
  roleSchema,
  toolSchema,
  testsSchema,
  overridesSchema,
  configSchema,
  firstMessageSchema,
  clientMessageSchema,
  ...Object.fromEntries(Object.entries(api).map(([name, {input}]) => [`api.${name}`, input])),
}

// where they are used they are taken to be schemas
test.each(Object.entries(schemas))('TM-A13: %s is a JSON Schema', (_, schema) => {
  void ajv.validateSchema(schema)
  expect(ajv.errors ?? []).toEqual([])
})
