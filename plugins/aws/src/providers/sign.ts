/** AWS Signature Version 4 for a POST of a body to `/`. Source: IAM user guide, "Create a signed AWS API request". Pure. */
import {createHash, createHmac} from 'node:crypto'

/** As the SDK's providers give them. */
export interface Keys {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string
  expiration?: Date
}

/** The headers of the call, its signature among them. */
export function signedHeaders(
  {
    host,
    service,
    region,
    body,
    headers,
    at,
  }: {host: string; service: string; region: string; body: string; headers: Record<string, string>; at: Date},
  {accessKeyId, secretAccessKey, sessionToken}: Keys,
): Record<string, string> {
  const time = at.toISOString().replace(/[-:]|\.\d{3}/g, '')
  const day = time.slice(0, 8)
  const all: Record<string, string> = {
    ...headers,
    host,
    'x-amz-date': time,
    ...(sessionToken === undefined ? {} : {'x-amz-security-token': sessionToken}),
  }
  const names = Object.keys(all).sort()
  const canonical = ['POST', '/', '', ...names.map(name => `${name}:${all[name]}`), '', names.join(';'), sha256(body)].join('\n')
  const scope = `${day}/${region}/${service}/aws4_request`
  const key = [day, region, service, 'aws4_request'].reduce<string | Buffer>(
    (by, text) => hmac(by, text).digest(),
    `AWS4${secretAccessKey}`,
  )
  const signature = hmac(key, ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n')).digest('hex')
  const {host: _, ...sent} = all
  return {
    ...sent,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text)
