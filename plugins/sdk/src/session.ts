/** One person's login at one broker, as the clients use it. `cli/credentials.ts` opens it. */
import {readFileSync} from 'node:fs'
import type {Principal} from './domain.ts'
import type {LoginKey} from './dpop.ts'
import {ProdError} from './errors.ts'

/** A broker as the configuration knows it. */
export interface Broker {
  readonly name: string
  /** the origin: `https://prod.example`, or `http://127.0.0.1:8443` of a development broker */
  readonly url: string
  /** PEM file of the CAs that may vouch for it, instead of the public ones */
  readonly caFile?: string
}

export interface Session {
  readonly broker: Broker
  readonly principal: Principal
  readonly groups: string[]
  /** id of the login at the broker */
  readonly login: string
  readonly loggedInAt: string
  readonly key: LoginKey
  /** when the access token is due to be renewed: before its end, in milliseconds of this machine's clock */
  readonly renewAt: number
  /** end of the access token, in milliseconds of this machine's clock */
  readonly tokenEndsAt: number
  /** An access token that is good for a while, renewed first where due. Throws LOGIN_EXPIRED, NOT_LOGGED_IN, BROKER_UNREACHABLE. */
  token(): Promise<string>
  /** The next token after the broker refused `refused`; another process may have fetched it already. */
  renew(refused: string): Promise<string>
}

/** What an approver signs (TM-W8). `digest` is computed by the signer from the bytes that were shown. */
export interface ApprovalStatement {
  digest: string
  request: string
  decision: 'approve' | 'deny'
  /** how the approver was sure it is them: `login` for the login key */
  assurance: string
}

/** Signs an approval with the login key: compact JWS, `typ: prod-approval+jws`, payload `{digest, request, decision, assurance, iat}`. */
export function signApproval(session: Session, {digest, request, decision, assurance}: ApprovalStatement): string {
  const iat = Math.floor(Date.now() / 1000)
  return session.key.sign({typ: 'prod-approval+jws', kid: session.key.thumbprint}, {digest, request, decision, assurance, iat})
}

/** The origin in what a person or a file gave as a broker's URL. Throws INSECURE_URL, USAGE. Pure (TM-Q8). */
export function brokerOrigin(text: string): string {
  const url = URL.parse(text.includes('://') ? text : `https://${text}`)
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.pathname !== '/' || url.search || url.hash) {
    throw new ProdError('USAGE', `${text} is not the URL of a broker`, 'prod login --broker https://prod.example')
  }
  if (url.protocol === 'http:' && !isLoopback(url)) {
    throw new ProdError('INSECURE_URL', `${url.origin} is not https`, `prod login --broker https://${url.host}`)
  }
  return url.origin
}

/** Whether a URL names this machine by a literal address, which no name server can move. Pure. */
export function isLoopback({hostname}: URL): boolean {
  return hostname === '127.0.0.1' || hostname === '[::1]'
}

/** TLS towards a broker, said in full so that nothing around can weaken it (TM-Q8): no option of ours turns checks off. */
export interface Trust {
  rejectUnauthorized: true
  minVersion: 'TLSv1.2'
  ca?: string | string[]
}

/** Throws INSECURE_URL where checks are turned off around us, CONFIG_INVALID where the CA file cannot be read. */
export function trust({name, url, caFile}: Broker): Trust {
  const {env} = process
  if (env.NODE_TLS_REJECT_UNAUTHORIZED === '0') {
    throw new ProdError(
      'INSECURE_URL',
      'NODE_TLS_REJECT_UNAUTHORIZED=0 would turn certificate checks off',
      'unset NODE_TLS_REJECT_UNAUTHORIZED',
    )
  }
  const checks = {rejectUnauthorized: true, minVersion: 'TLSv1.2'} as const
  if (url.startsWith('http:')) return checks
  if (caFile !== undefined) {
    try {
      return {...checks, ca: readFileSync(caFile, 'utf8')}
    } catch (cause) {
      throw new ProdError('CONFIG_INVALID', `the CA file of ${name} cannot be read: ${caFile}`, 'prod config', {cause})
    }
  }
  // who is trusted comes from the configuration, not from what stands around; naming the roots costs time, so only then
  const meddled = env.NODE_EXTRA_CA_CERTS || env.NODE_USE_SYSTEM_CA || /-ca\b/.test(env.NODE_OPTIONS ?? '')
  return meddled ? {...checks, ca: [...process.getBuiltinModule('node:tls').rootCertificates]} : checks
}
