/** Encoded authorization messages, read by AWS for whoever may: `sts:DecodeAuthorizationMessage`. */
import {ProdError} from '@prod/sdk/errors'
import {leastRoles} from '@prod/sdk/least-role'
import {obtain} from '../credentials/obtain.ts'
import {AwsRefused, query, textOf, type Way} from '../providers/call.ts'
import {ownKeys} from '../providers/own-keys.ts'
import {listRoles} from '../roles.ts'

const action = 'sts:DecodeAuthorizationMessage'
const mostRoles = 3

/**
 * The message in clear: JSON. By the named role, or by the credentials of this shell, or by a role of this machine that is known to allow
 * it; nobody is asked anything. Throws NOT_LOGGED_IN where no credentials are at hand, DENIED where none may, BAD_REQUEST for what is no
 * message, and what the role's own credentials throw.
 */
export async function decodeMessage(encoded: string, role: string | undefined): Promise<string> {
  if (role !== undefined) return decodeBy(encoded, await wayOf(role))
  const refused: unknown[] = []
  for await (const way of ways()) {
    try {
      return await decodeBy(encoded, way)
    } catch (error) {
      if (!(error instanceof ProdError) || error.code !== 'DENIED') throw error
      refused.push(error)
    }
  }
  if (refused.length > 0) throw refused[0]
  throw new ProdError('NOT_LOGGED_IN', 'no AWS credentials are at hand that could decode the message', 'prod explain --decode --role ROLE')
}

async function* ways(): AsyncGenerator<Way> {
  const region = process.env.AWS_REGION || process.env.AWS_DEFAULT_REGION || 'us-east-1'
  const keys = await ownKeys().catch(() => undefined)
  if (keys) yield {keys, region}
  const known = listRoles().roles.filter(({fault}) => fault === null)
  const able = leastRoles(
    known.map(one => ({...one, held: true})),
    [{action, resource: null}],
  )
  for (const {name} of able.slice(0, mostRoles)) {
    const way = await wayOf(name).catch(() => undefined)
    if (way) yield way
  }
}

async function wayOf(role: string): Promise<Way> {
  const {credentials, child} = await obtain(role, {asking: 'nobody'})
  const {AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken} = credentials
  return {keys: {accessKeyId, secretAccessKey, ...(sessionToken === undefined ? {} : {sessionToken})}, region: child.region ?? 'us-east-1'}
}

async function decodeBy(encoded: string, way: Way): Promise<string> {
  try {
    const decoded = textOf(await query('sts', way, 'DecodeAuthorizationMessage', {EncodedMessage: encoded}), 'DecodedMessage')
    if (decoded !== undefined) return decoded
  } catch (cause) {
    if (!(cause instanceof AwsRefused)) throw cause
    if (/InvalidAuthorizationMessage|ValidationError/.test(cause.code))
      throw new ProdError('BAD_REQUEST', 'AWS finds no message in it: it is cut short, or of another partition', 'give the whole text', {
        cause,
      })
    if (/Expired/.test(cause.code)) throw new ProdError('LOGIN_EXPIRED', 'the AWS credentials have ended', 'aws sso login', {cause})
    throw new ProdError('DENIED', `these credentials may not use ${action} (${cause.code})`, `prod roles --for ${action}`, {cause})
  }
  throw new ProdError('TARGET_UNREACHABLE', 'AWS answered without a message', 'the same command again')
}
