/** An encoded authorization message, read by AWS, and what it adds to the explanation. */
import {ProdError} from '@prod/sdk/errors'
import {encodedIn, explain} from '@prod/sdk/explain/explain'
import type {Explainer, Explanation} from '@prod/sdk/explainer'
import {roleSources} from '../catalog/local-roles.ts'

/** What STS tells; all of it may be missing. */
interface Decoded {
  explicitDeny?: boolean
  context?: {principal?: {arn?: string}; action?: string; resource?: string}
}

/** Explains a text whose message is decoded first: the reason and what was refused come from the message. Throws what the decoding throws. */
export async function decodeDenial(
  text: string,
  explainers: readonly Explainer[],
  {pjson, role}: {pjson: object; role: string | undefined},
): Promise<{explanation: Explanation; decoded: unknown}> {
  const encoded = encodedIn(text)
  if (encoded === null) throw new ProdError('BAD_REQUEST', 'there is no encoded authorization message in this text', 'prod explain TEXT')
  const source = (await roleSources({pjson})).find(({decodeMessage}) => decodeMessage !== undefined)
  if (!source?.decodeMessage) throw new ProdError('TOOL_UNAVAILABLE', 'no plugin here decodes such a message', 'prod plugins')
  const message = await source.decodeMessage(encoded, role)
  return {explanation: decodedExplanation(explain(text, explainers), message, explainers), decoded: JSON.parse(message)}
}

/** The explanation with what the message says. What the text itself named stays. */
function decodedExplanation(given: Explanation, message: string, explainers: readonly Explainer[]): Explanation {
  const {explicitDeny, context} = JSON.parse(message) as Decoded
  const principal = given.principal ?? context?.principal?.arn ?? null
  const action = given.action?.includes(':') ? given.action : (context?.action ?? given.action)
  const resource = given.resource ?? context?.resource ?? null
  // said as AWS says it in clear, so that one table explains both
  const clear = `User: ${principal ?? 'unknown'} is not authorized to perform: ${action ?? 'null'}${resource === null ? '' : ` on resource: ${resource}`}`
  const why = explicitDeny === true ? ' with an explicit deny' : explicitDeny === false ? ' because no identity-based policy allows it' : ''
  const decoded = explain(clear + why, explainers)
  const known = given.category === 'unknown_denial' || given.category === 'action_not_allowed'
  return {...(known ? decoded : given), principal, action, resource, encoded: true}
}
