/** The first message on a data channel (section 2.4). */

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** What is wrong with a token message (section 2.4); the token may be used once. */
export function tokenFault(text: string, it: {token: string; tokenFrom: number}, now: number, tokenMs: number): string | undefined {
  let message: Record<string, unknown>
  try {
    message = JSON.parse(text) as Record<string, unknown>
  } catch {
    return 'the token message is not JSON'
  }
  if (message.MessageSchemaVersion !== '1.0') return 'MessageSchemaVersion is not 1.0'
  for (const name of ['RequestId', 'ClientId']) if (!uuid.test(String(message[name]))) return `${name} is not a UUID`
  if (!/^\d+(\.\d+)+$/.test(String(message.ClientVersion))) return 'ClientVersion is missing'
  if (it.token === '' || message.TokenValue !== it.token) return 'the token is not valid'
  if (tokenMs > 0 && now - it.tokenFrom > tokenMs) return 'the token has expired'
  it.token = ''
  return undefined
}
