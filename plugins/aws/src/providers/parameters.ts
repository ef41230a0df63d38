/** Reads the `parameters` of a catalog role, field by field. Pure. */
import {ProdError} from '@prod/sdk/errors'

/** What one field may be: a text of this form, or a list of such. */
export interface Field {
  form: RegExp
  list?: boolean
  required?: boolean
}

/** The parameters as they are, checked: no other field, each of its form. Throws CATALOG_INVALID. */
export function readParameters<K extends string>(
  provider: string,
  given: Record<string, unknown>,
  fields: Record<K, Field>,
  example: string,
): Partial<Record<K, string & string[]>> {
  const refuse = (why: string): ProdError => new ProdError('CATALOG_INVALID', `a role of provider ${provider}: ${why}`, example)
  for (const key of Object.keys(given)) if (!Object.hasOwn(fields, key)) throw refuse(`there is no parameter ${key}`)
  for (const [key, {form, list, required}] of Object.entries<Field>(fields)) {
    const value = given[key]
    if (value === undefined && !required) continue
    const texts = list ? value : [value]
    if (
      !Array.isArray(texts) ||
      (list && (texts.length === 0 || texts.length > 100)) ||
      !texts.every(text => typeof text === 'string' && form.test(text))
    )
      throw refuse(value === undefined ? `${key} is missing` : `${key} is not ${list ? 'a list of such' : 'of its form'}`)
  }
  return given as Partial<Record<K, string & string[]>>
}
