import {ProdError} from '@prod/sdk/errors'
import type {TargetEntry, ToolEntry} from '../catalog/catalog.ts'
import type {Parts} from '../parts.ts'

/** A catalog address as its primitive and the primitive's own target. Throws TARGET_INVALID where no plugin answers for it. */
export function reach(parts: Pick<Parts, 'primitives'>, target: Pick<TargetEntry, 'address'>) {
  const colon = target.address.indexOf(':')
  const primitive = parts.primitives.get(target.address.slice(0, colon))
  if (!primitive) throw new ProdError('TARGET_INVALID', `no plugin of this broker reaches ${target.address}`, 'prod plugins')
  return {primitive, where: primitive.parse(target.address.slice(colon + 1))}
}

/**
 * The program of a tool as it is now. A digest that the catalog pins must match (TM-M4); one that it does not pin is read
 * now, and so becomes part of what is approved. Null where the target cannot say. Throws TOOL_UNAVAILABLE.
 */
export async function inspectProgram(
  parts: Pick<Parts, 'primitives'>,
  tool: ToolEntry,
  target: TargetEntry,
): Promise<{path: string; sha256: string | null}> {
  const {primitive, where} = reach(parts, target)
  const {path, sha256} = tool.program
  if (!primitive.inspect) return {path, sha256}
  const found = await primitive.inspect(where, sha256 === null ? {path} : {path, sha256})
  if (sha256 !== null && found.sha256 !== sha256) {
    throw new ProdError(
      'TOOL_UNAVAILABLE',
      `${path} is not the program that the catalog pins for ${tool.name}`,
      `prod tools show ${tool.name}`,
    )
  }
  return found
}
