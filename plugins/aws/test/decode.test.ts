/** `sts:DecodeAuthorizationMessage` against a stand-in that answers by the documented form and checks who calls. */

import {mkdtempSync, rmSync} from 'node:fs'
import {createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {afterAll, afterEach, beforeAll, beforeEach, expect, test, vi} from 'vitest'

const clear = '{"allowed":false,"explicitDeny":true,"context":{"action":"ec2:RunInstances"}}'
const calls: {body: string; authorization: string}[] = []
let url = ''
const server = createServer((request, response) => {
  let body = ''
  request.on('data', chunk => {
    body += chunk
  })
  request.on('end', () => {
    const authorization = request.headers.authorization ?? ''
    calls.push({body, authorization})
    const refuse = (code: string) =>
      response
        .writeHead(code === 'AccessDenied' ? 403 : 400)
        .end(`<ErrorResponse><Error><Code>${code}</Code><Message>no</Message></Error></ErrorResponse>`)
    if (authorization.includes('Credential=AKIANONE/')) return refuse('AccessDenied')
    if (!body.includes('EncodedMessage=whole-message_')) return refuse('InvalidAuthorizationMessageException')
    const escaped = clear.replaceAll('"', '&quot;')
    response.end(
      `<DecodeAuthorizationMessageResponse><DecodeAuthorizationMessageResult><DecodedMessage>${escaped}</DecodedMessage></DecodeAuthorizationMessageResult></DecodeAuthorizationMessageResponse>`,
    )
  })
})
/** As a program of its own does: what holds credentials is loaded anew. */
async function decodeMessage(encoded: string): Promise<string> {
  vi.resetModules()
  return (await import('../src/iam/decode.ts')).decodeMessage(encoded, undefined)
}

const home = mkdtempSync(join(tmpdir(), 'prod-decode-'))

beforeAll(async () => {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => {
  server.close()
  rmSync(home, {recursive: true, force: true})
})
beforeEach(() => {
  for (const [name, value] of Object.entries({
    HOME: home,
    AWS_CONFIG_FILE: join(home, 'config'),
    AWS_SHARED_CREDENTIALS_FILE: join(home, 'credentials'),
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_ENDPOINT_URL_STS: url,
    AWS_REGION: 'eu-west-1',
    AWS_PROFILE: '',
    AWS_ACCESS_KEY_ID: 'AKIASOME',
    AWS_SECRET_ACCESS_KEY: 'secret',
    AWS_SESSION_TOKEN: '',
  }))
    vi.stubEnv(name, value === '' ? undefined : value)
})
afterEach(() => {
  vi.unstubAllEnvs()
})

test('a message is read by the credentials of this shell, signed, and comes back in clear', async () => {
  expect(await decodeMessage('whole-message_')).toBe(clear)
  expect(calls.at(-1)?.body).toContain('Action=DecodeAuthorizationMessage')
  expect(calls.at(-1)?.authorization).toContain('Credential=AKIASOME/')
})

test('who may not decode is told so, and which role could', async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIANONE')
  await expect(decodeMessage('whole-message_')).rejects.toMatchObject({
    code: 'DENIED',
    hint: 'prod roles --for sts:DecodeAuthorizationMessage',
  })
})

test('a message that was cut short, and a machine without credentials, are said to be that', async () => {
  await expect(decodeMessage('cut')).rejects.toMatchObject({code: 'BAD_REQUEST'})
  vi.stubEnv('AWS_ACCESS_KEY_ID', undefined)
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', undefined)
  await expect(decodeMessage('whole-message_')).rejects.toMatchObject({code: 'NOT_LOGGED_IN'})
})
