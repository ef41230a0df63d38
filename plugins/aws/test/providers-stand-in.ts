/**
 * What AWS is for a broker, on a free port of this machine: STS and IAM with the conditions that moto_server does not look at. Written
 * from the API references and the IAM user guide's pages on how a request is evaluated, apart from the client.
 */
import {randomBytes} from 'node:crypto'
import {createServer, type IncomingMessage} from 'node:http'
import type {AddressInfo} from 'node:net'
import {answerIdentityCenter, type IdentityCenter, newIdentityCenter} from './providers-stand-in-sso.ts'

interface Statement {
  Effect: 'Allow' | 'Deny'
  Action?: string | string[]
  NotAction?: string | string[]
  Resource?: string | string[]
  NotResource?: string | string[]
  Condition?: Record<string, Record<string, string | string[]>>
}

interface Session {
  role: string
  secret: string
  token: string
  tags: Record<string, string>
  sourceIdentity: string
  sessionName: string
  policy: Statement[] | undefined
  issuedAt: number
  endsAt: number
}

/** One stand-in. Its fields may be changed while it runs. */
export interface BrokerStandIn {
  url: string
  /** roles by ARN: what they allow, who may assume them by access key, and how long they are given at most */
  roles: Map<string, {allows: Statement[]; trusts: Set<string>; maxSeconds: number; inline: Map<string, {text: string; from: number}>}>
  sessions: Map<string, Session>
  /** `Action role` of each call, with the access key's kind */
  calls: string[]
  /** how long a changed policy is not yet seen, by evaluation and by reading */
  settleMs: number
  /** so many further calls are throttled */
  throttled: number
  /** actions that are refused to everybody, or that fail with 500 */
  broken: Map<string, number>
  /** actions that come in and are never answered */
  hangs: Set<string>
  now(): number
  skipMs(ms: number): void
  /** every secret it has given out */
  secrets: Set<string>
  center: IdentityCenter
}

const account = '111122223333'
const list = (value: string | string[] | undefined): string[] => [value ?? []].flat()

export const roleArn = (name: string): string => `arn:aws:iam::${account}:role/${name}`

/** Starts one; it ends with the test. */
export async function startBrokerStandIn(onTestFinished: (finish: () => Promise<void>) => void): Promise<BrokerStandIn> {
  let skipped = 0
  const it: BrokerStandIn = {
    url: '',
    roles: new Map(),
    sessions: new Map(),
    calls: [],
    settleMs: 0,
    throttled: 0,
    broken: new Map(),
    hangs: new Set(),
    now: () => Date.now() + skipped,
    skipMs: ms => {
      skipped += ms
    },
    secrets: new Set(),
    center: newIdentityCenter(),
  }

  const seen = (arn: string): Statement[] =>
    [...(it.roles.get(arn)?.inline.values() ?? [])].flatMap(({text, from}) =>
      from + it.settleMs <= it.now() ? (JSON.parse(text) as {Statement: Statement[]}).Statement : [],
    )

  /** Explicit deny first, then what the role and the session's policy both allow. */
  const decide = (session: Session, action: string, resource: string, region: string): 'allowed' | 'explicit' | 'implicit' => {
    const context: Record<string, string> = {
      'aws:TokenIssueTime': new Date(Math.floor(session.issuedAt / 1000) * 1000).toISOString(),
      'aws:CurrentTime': new Date(it.now()).toISOString(),
      'aws:RequestedRegion': region,
      ...Object.fromEntries(Object.entries(session.tags).map(([key, value]) => [`aws:PrincipalTag/${key}`, value])),
    }
    const names = (patterns: string | string[] | undefined, text: string): boolean => list(patterns).some(one => like(one, text))
    const low = (patterns: string | string[] | undefined): string[] => list(patterns).map(one => one.toLowerCase())
    const fits = ({Action, NotAction, Resource, NotResource, Condition = {}}: Statement): boolean =>
      (NotAction === undefined ? names(low(Action), action.toLowerCase()) : !names(low(NotAction), action.toLowerCase())) &&
      (NotResource === undefined ? names(Resource, resource) : !names(NotResource, resource)) &&
      Object.entries(Condition).every(([operator, keys]) =>
        Object.entries(keys).every(([key, values]) => {
          const has = context[key]
          if (has === undefined) return false
          if (operator === 'StringEquals') return list(values).includes(has)
          if (operator === 'StringNotEquals') return !list(values).includes(has)
          if (operator === 'DateLessThan') return list(values).some(value => Date.parse(has) < Date.parse(value))
          throw new Error(`this stand-in knows no ${operator}`)
        }),
      )
    const [own, bound] = [[...(it.roles.get(session.role)?.allows ?? []), ...seen(session.role)], session.policy]
    const all = [...own, ...(bound ?? [])]
    if (all.some(one => one.Effect === 'Deny' && fits(one))) return 'explicit'
    const allows = (statements: Statement[]): boolean => statements.some(one => one.Effect === 'Allow' && fits(one))
    return allows(own) && (!bound || allows(bound)) ? 'allowed' : 'implicit'
  }

  type Answer = [status: number, body: string]
  const fail = (status: number, code: string, message: string): Answer => [
    status,
    `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`,
  ]

  const answerQuery = (form: URLSearchParams, authorization: string, token: string): Answer => {
    const action = form.get('Action') ?? ''
    const [, key = '', region = '', service = ''] = /Credential=([^/]+)\/\d{8}\/([^/]+)\/([^/]+)\//.exec(authorization) ?? []
    const by = it.sessions.get(key)
    const arn = form.get('RoleArn') ?? roleArn(form.get('RoleName') ?? '')
    it.calls.push(`${action} ${arn.split('/').at(-1)}${by ? ' (session)' : ''}`)
    if (key.startsWith('ASIA') && (!by || by.token !== token))
      return fail(403, 'InvalidClientTokenId', 'The security token included in the request is invalid')
    if (by && by.endsAt <= it.now()) return fail(403, 'ExpiredToken', 'The security token included in the request is expired')
    // "No permissions are required", whatever denies it: AWS STS API reference, GetCallerIdentity
    if (by && action === 'GetCallerIdentity')
      return [
        200,
        `<GetCallerIdentityResponse><GetCallerIdentityResult><UserId>AROA:${by.sessionName}</UserId><Account>${account}</Account><Arn>arn:aws:sts::${account}:assumed-role/${by.role.split('/').at(-1)}/${by.sessionName}</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`,
      ]
    if (by) {
      const decision = decide(by, `${service}:${action}`, arn, region)
      const why =
        decision === 'explicit'
          ? 'with an explicit deny in an identity-based policy'
          : `because no identity-based policy allows the ${service}:${action} action`
      if (decision !== 'allowed')
        return fail(403, 'AccessDenied', `User: ${by.role} is not authorized to perform: ${service}:${action} on resource: ${arn} ${why}`)
    }
    const role = it.roles.get(arn)
    const wrap = (inner: string): Answer => [200, `<${action}Response><${action}Result>${inner}</${action}Result></${action}Response>`]
    if (action === 'AssumeRole') {
      const person = form.get('SourceIdentity') ?? ''
      const seconds = Number(form.get('DurationSeconds') ?? 3600)
      if (!role?.trusts.has(by?.role ?? key))
        return fail(403, 'AccessDenied', `User: ${key} is not authorized to perform: sts:AssumeRole on resource: ${arn}`)
      if (seconds < 900 || seconds > role.maxSeconds)
        return fail(400, 'ValidationError', 'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.')
      if (person && !/^[\w+=,.@-]{2,64}$/.test(person))
        return fail(400, 'ValidationError', 'Value at sourceIdentity failed to satisfy constraint')
      if (!/^[\w+=,.@-]{2,64}$/.test(form.get('RoleSessionName') ?? ''))
        return fail(400, 'ValidationError', 'Value at roleSessionName failed to satisfy constraint')
      const policy = form.get('Policy')
      if (policy !== null && policy.length > 2048) return fail(400, 'PackedPolicyTooLarge', 'too large')
      const tags: Record<string, string> = {}
      for (let index = 1; form.has(`Tags.member.${index}.Key`); index++)
        tags[form.get(`Tags.member.${index}.Key`) as string] = form.get(`Tags.member.${index}.Value`) ?? ''
      const random = (): string => randomBytes(24).toString('base64url')
      const id = `ASIA${random().replace(/[-_]/g, 'X').slice(0, 16).toUpperCase()}`
      const session: Session = {
        role: arn,
        secret: random(),
        token: random(),
        tags,
        sourceIdentity: person,
        sessionName: form.get('RoleSessionName') ?? '',
        policy: policy === null ? undefined : (JSON.parse(policy) as {Statement: Statement[]}).Statement,
        issuedAt: it.now(),
        endsAt: it.now() + seconds * 1000,
      }
      it.sessions.set(id, session)
      it.secrets.add(session.secret).add(session.token)
      return wrap(
        `<Credentials><AccessKeyId>${id}</AccessKeyId><SecretAccessKey>${session.secret}</SecretAccessKey><SessionToken>${session.token}</SessionToken><Expiration>${new Date(session.endsAt).toISOString()}</Expiration></Credentials>`,
      )
    }
    if (!role) return fail(404, 'NoSuchEntity', `The role with name ${arn} cannot be found.`)
    const name = form.get('PolicyName') ?? ''
    switch (action) {
      case 'GetRole':
        return wrap(`<Role><Arn>${arn}</Arn></Role>`)
      case 'GetRolePolicy': {
        const held = role.inline.get(name)
        if (!held || held.from + it.settleMs > it.now()) return fail(404, 'NoSuchEntity', 'The role policy with that name cannot be found.')
        return wrap(
          `<RoleName>x</RoleName><PolicyName>${name}</PolicyName><PolicyDocument>${encodeURIComponent(held.text)}</PolicyDocument>`,
        )
      }
      case 'PutRolePolicy':
        if ((form.get('PolicyDocument') ?? '').length > 10_240)
          return fail(409, 'LimitExceeded', 'Maximum policy size of 10240 bytes exceeded')
        role.inline.set(name, {text: form.get('PolicyDocument') ?? '', from: it.now()})
        return wrap('')
      case 'DeleteRolePolicy':
        if (!role.inline.delete(name)) return fail(404, 'NoSuchEntity', 'The role policy with that name cannot be found.')
        return wrap('')
      default:
        return fail(400, 'InvalidAction', `Could not find operation ${action}`)
    }
  }

  const answer = async (request: IncomingMessage): Promise<Answer> => {
    let text = ''
    for await (const piece of request.setEncoding('utf8')) text += piece as string
    const target = String(request.headers['x-amz-target'] ?? '')
    const form = new URLSearchParams(text)
    const action = target ? (target.split('.')[1] ?? '') : (form.get('Action') ?? '')
    if (it.hangs.has(action)) {
      it.calls.push(action)
      return new Promise(() => {})
    }
    if (it.throttled > 0) {
      it.throttled -= 1
      return target
        ? [400, JSON.stringify({__type: 'ThrottlingException', message: 'Rate exceeded'})]
        : fail(400, 'Throttling', 'Rate exceeded')
    }
    const broken = it.broken.get(action)
    if (broken !== undefined)
      return target
        ? [broken, JSON.stringify({__type: 'InternalServerException'})]
        : fail(broken, broken === 403 ? 'AccessDenied' : 'ServiceFailure', 'no')
    if (target) return answerIdentityCenter(it.center, action, JSON.parse(text) as Record<string, unknown>)
    return answerQuery(form, request.headers.authorization ?? '', String(request.headers['x-amz-security-token'] ?? ''))
  }

  const server = createServer((request, response) => {
    void answer(request).then(([status, body]) =>
      response.writeHead(status, {'content-type': body.startsWith('<') ? 'text/xml' : 'application/x-amz-json-1.1'}).end(body),
    )
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  it.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  onTestFinished(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  return it
}

function like(pattern: string, text: string): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${source}$`).test(text)
}
