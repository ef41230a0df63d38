/** The words of a session's beginning, §9 and §10. */

import {parseObject} from './frame.ts'
import type {Seal} from './seal.ts'
import {createSeal, dataKeyBytes} from './seal.ts'

export type SessionType = 'Standard_Stream' | 'InteractiveCommands' | 'NonInteractiveCommands' | 'Port'

/** What the agent said of itself and of the session. */
export interface Greeting {
  agentVersion: string
  sessionType: SessionType
  /** of a Port session: the document's properties; else empty */
  properties: Record<string, string>
}

/** How keys of KMS are had: the caller's business, with the credential of the use and in the session's region. */
export interface Kms {
  /** GenerateDataKey, 64 bytes; `plaintext` is wiped after use. What it rejects with is not shown but for its name. */
  generate(request: {
    keyId: string
    context: Record<string, string>
    signal: AbortSignal
  }): Promise<{plaintext: Uint8Array; ciphertext: Uint8Array}>
  /** a session that is not encrypted is refused */
  required?: boolean
  /** the only key to use, where it is known: the agent's wish alone could name anybody's */
  keyId?: string
}

/** What answers a handshake need to know of the session. */
export interface HandshakeTerms {
  clientVersion: string
  sessionId: string
  /** the Target as given to StartSession, or `ecs:…` */
  targetId: string
  /** the session types that the caller can use */
  expected: readonly SessionType[]
  kms?: Kms
  signal: AbortSignal
}

/** The answer, and what follows from it. */
export interface HandshakeAnswer {
  /** JSON to send as HandshakeResponse */
  response: string
  greeting?: Greeting
  seal?: Seal
  /** why the session cannot be; the answer tells the agent too, which then ends it */
  failed?: string
}

interface Processed {
  ActionType: string
  ActionStatus: 1 | 2 | 3
  ActionResult: Record<string, unknown> | null
  Error: string
}

/** Answers a HandshakeRequest: one entry for each wish, in its order; 1 done, 2 failed, 3 not supported. Never throws. */
export async function answerHandshake(payload: Uint8Array, terms: HandshakeTerms): Promise<HandshakeAnswer> {
  const request = parseObject(payload) ?? {}
  const wishes = Array.isArray(request.RequestedClientActions) ? request.RequestedClientActions.slice(0, 32) : []
  const processed: Processed[] = []
  const answer: Omit<HandshakeAnswer, 'response'> = {}
  const refuse = (action: string, status: 2 | 3, why: string) => {
    processed.push({ActionType: action, ActionStatus: status, ActionResult: null, Error: why})
    answer.failed ??= why
  }
  const agentVersion = typeof request.AgentVersion === 'string' ? request.AgentVersion : ''
  for (const wish of wishes) {
    const {ActionType, ActionParameters} = (typeof wish === 'object' && wish !== null ? wish : {}) as Record<string, unknown>
    const action = typeof ActionType === 'string' ? ActionType : ''
    const parameters = (typeof ActionParameters === 'object' && ActionParameters !== null ? ActionParameters : {}) as Record<
      string,
      unknown
    >
    if (action === 'SessionType') {
      const sessionType = terms.expected.find(type => type === parameters.SessionType)
      if (!sessionType) refuse(action, 3, `session type ${String(parameters.SessionType).slice(0, 64)} is not what was asked for`)
      else {
        answer.greeting = {agentVersion, sessionType, properties: textsOf(parameters.Properties)}
        processed.push({ActionType: action, ActionStatus: 1, ActionResult: null, Error: ''})
      }
    } else if (action === 'KMSEncryption') {
      const made = await makeKey(parameters, terms)
      if (typeof made === 'string') refuse(action, 2, made)
      else {
        answer.seal = made.seal
        processed.push({ActionType: action, ActionStatus: 1, ActionResult: made.result, Error: ''})
      }
    } else refuse(action, 3, `action ${action.slice(0, 64)} is not known`)
  }
  if (!answer.greeting) answer.failed ??= 'the agent named no session type'
  if (terms.kms?.required && !answer.seal) answer.failed ??= 'the agent did not ask for encryption, and this session must be encrypted'
  return {...answer, response: JSON.stringify({ClientVersion: terms.clientVersion, ProcessedClientActions: processed, Errors: null})}
}

/** The answer to EncChallengeRequest: the agent's bytes, sealed by us; undefined where it was not the agent who sealed them. */
export function answerChallenge(payload: Uint8Array, seal: Seal): string | undefined {
  const challenge = parseObject(payload)?.Challenge
  if (typeof challenge !== 'string') return undefined
  const opened = seal.open(Buffer.from(challenge, 'base64'))
  return opened && JSON.stringify({Challenge: seal.seal(opened).toString('base64')})
}

async function makeKey(
  parameters: Record<string, unknown>,
  {kms, sessionId, targetId, signal}: HandshakeTerms,
): Promise<{seal: Seal; result: Record<string, unknown>} | string> {
  const {KMSKeyId: keyId, Challenge: challenge} = parameters
  if (typeof keyId !== 'string' || keyId === '') return 'the agent named no key of KMS'
  if (!kms) return 'this client has no way to KMS'
  if (kms.keyId !== undefined && kms.keyId !== keyId) return 'the agent named another key of KMS than the one that is configured'
  const isChallenged = typeof challenge === 'string' && challenge !== ''
  // the challenge goes in as it came: the agent decrypts with the same context
  const context = {
    'aws:ssm:SessionId': sessionId,
    'aws:ssm:TargetId': targetId,
    ...(isChallenged ? {'aws:ssm:RandomChallenge': challenge} : {}),
  }
  try {
    const {plaintext, ciphertext} = await kms.generate({keyId, context, signal})
    if (plaintext.length !== dataKeyBytes) return 'KMS gave a data key of another length'
    return {
      seal: createSeal(plaintext),
      result: {
        KMSCipherTextKey: Buffer.from(ciphertext).toString('base64'),
        KMSCipherTextHash: null,
        ...(isChallenged ? {ChallengeAcknowledgement: true} : {}),
      },
    }
  } catch (error) {
    const {name, code} = error as {name?: unknown; code?: unknown}
    const what = [code, name].find(text => typeof text === 'string' && /^[A-Za-z_.]{1,64}$/.test(text)) ?? 'Error'
    return `KMS gave no data key (kms:GenerateDataKey): ${what}`
  }
}

function textsOf(properties: unknown): Record<string, string> {
  if (typeof properties !== 'object' || properties === null) return {}
  return Object.fromEntries(Object.entries(properties).filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}
