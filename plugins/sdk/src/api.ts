/**
 * Every call the broker answers, as data: method, path, who may call, JSON Schema of path parameters, query and body.
 * Streams are not here: they are one WebSocket each (wire.ts). Served, and described as OpenAPI 3.1, from this table.
 */
import type {JSONSchema} from 'json-schema-to-ts'
import type {CatalogView, FoundTargets} from './catalog-view.ts'
import type {Erasure, Freeze, Grant, Principal, Receipt, Request, Review, Run, Session, ToolClass} from './domain.ts'
import type {IssuedKit} from './kit.ts'
import type {Help, Ruling} from './ruling.ts'

/** `A` is what it answers; the input is path parameters, query and body in one object. */
export interface Endpoint<A = unknown, S extends JSONSchema = JSONSchema> {
  readonly method: 'GET' | 'POST'
  /** `/v1/requests/:id` */
  readonly path: string
  readonly summary: string
  /** `person`: DPoP-bound access token. `nobody`: anyone, e.g. the login calls and the log's public tiles. */
  readonly caller: 'person' | 'nobody'
  /** Schema of the whole input; keys that stand in `path` are taken from there, of a GET from the query, else from the body. */
  readonly input: S
  /** type only */
  readonly answer?: A
}

type Answered<E> = E extends {readonly answer?: infer A} ? A : never
type InputOf<E> = E extends {readonly input: infer S} ? Described<S> : never
/** The type a schema of this table describes. Only what the table uses: the general case takes the compiler too deep. */
type Described<S> = S extends {readonly enum: readonly (infer V)[]}
  ? V
  : S extends {readonly type: 'string'}
    ? string
    : S extends {readonly type: 'integer' | 'number'}
      ? number
      : S extends {readonly type: 'boolean'}
        ? boolean
        : S extends {readonly type: 'array'; readonly items: infer I}
          ? Described<I>[]
          : S extends {readonly type: 'object'; readonly properties: infer P}
            ? {[K in keyof P & RequiredOf<S>]: Described<P[K]>} & {[K in Exclude<keyof P, RequiredOf<S>>]?: Described<P[K]>}
            : unknown
type RequiredOf<S> = S extends {readonly required: readonly (infer K)[]} ? K : never

export type {Answered, InputOf}

function endpoint<A>() {
  return <const S extends JSONSchema>(definition: Omit<Endpoint<A, S>, 'answer'>): Endpoint<A, S> => definition
}

const none = {type: 'object', additionalProperties: false, properties: {}} as const
const id = {type: 'string', pattern: '^[a-z]{2,6}_[0-9a-z]{8,40}$'} as const
const withId = {type: 'object', additionalProperties: false, required: ['id'], properties: {id}} as const
const text = {type: 'string', maxLength: 4096} as const

export interface LoginConfiguration {
  /** the broker's own name, shown and pinned at first contact */
  name: string
  development: boolean
  issuer: string
  authorizationEndpoint: string
  clientId: string
  scopes: string[]
  /** whether the provider always names itself in its answer (RFC 9207): an answer without `iss` is refused then */
  issRequired?: boolean
  /** receipt key: JWK (Ed25519), pinned at login */
  receiptKey: Record<string, string>
  /** C2SP note verifier key of the log */
  logKey: string
  /** how the log came to that key, where it had others before: notes that the old key and the new one have signed, oldest first */
  handOvers?: string[]
  origin: string
}

export interface Tokens {
  accessToken: string
  refreshToken: string
  expiresInSeconds: number
  principal: Principal
  groups: string[]
  loggedInAt: string
  login: string
}

export interface WhoAmI {
  principal: Principal
  groups: string[]
  expiresAt: string
  loggedInAt: string
  grants: Grant[]
  /** the fleet-wide stop, while it is on */
  freeze: Freeze | null
}

/** What a grant provider gave for a grant. `credential` is secret: never in argv, files, logs, messages. */
export interface GrantCredentials {
  grant: string
  role: string
  provider: string
  credential: Record<string, string>
  /** ISO 8601 UTC: the grant's end */
  expiresAt: string
}

/** A grant that was ended, and what ended with it. */
export type RevokedGrant = Grant & {
  endedRuns: number
  endedSessions: number
  /** from the call until the far side refused a real call, in milliseconds; null: nothing was there to refuse, or it was not seen in time */
  refusedAfterMs?: number | null
}

export interface LogEntry {
  index: number
  /** canonical JSON of the envelope: what the leaf hash covers */
  envelope: string
  /** texts of the committed fields, with their salts; absent where erased */
  openings: Record<string, {salt: string; value: string}>
}

/** How far a spool was taken over; with `receipt` it is whole, and the machine that wrote it may forget it. */
export interface HandedIn {
  session: string
  /** the next entry that is wanted */
  next: number
  /** null: nobody has to look at it (a drill, or nothing was opened) */
  review: string | null
  /** what is wrong with it beside its bytes: security was told */
  faults: string[]
  /** compact JWS by the receipt key, `typ: prod-handed-in+jws`, payload `{session, next, head}` */
  receipt: string | null
}

/** The figures of one team or service. `shells` and `others` (commands and forwards) go by the same steps as the series. */
export interface MetricsPart {
  name: string
  /** who asked for anything in this time */
  people: number
  values: Record<string, number | null>
  shells: number[]
  others: number[]
}

/** One incident of the time, and what was done under `--incident`. */
export interface MetricsIncident {
  id: string
  startedAt: string
  /** null while it is open */
  resolvedAt: string | null
  restoreSeconds: number | null
  shells: number
  execs: number
  forwards: number
  /** from its beginning to the first that was done for it; null: nothing was */
  firstTouchSeconds: number | null
}

/** What `prod metrics` shows. The figures are those of `@prod/sdk/figures`; docs/metrics.md says what counts. Nobody is named. */
export interface MetricsReport {
  since: string
  until: string
  /** whose figures these are; null: everybody's, every service's */
  team: string | null
  service: string | null
  /** who asked for anything in this time */
  people: number
  values: Record<string, number | null>
  /** by days, beyond two weeks by weeks from Monday on; null where there was nothing to divide by */
  series: {name: string; unit: string; points: {at: string; value: number | null}[]}[]
  /** those that used most, first */
  teams: MetricsPart[]
  services: MetricsPart[]
  /** how many are left out since fewer people than that stand behind them */
  withheld: {teams: number; services: number; fewerThan: number}
  /** the latest first, 200 at most */
  incidents: MetricsIncident[]
}

export const api = {
  loginConfiguration: endpoint<LoginConfiguration>()({
    method: 'GET',
    path: '/v1/login/configuration',
    summary: 'what a client needs to log in',
    caller: 'nobody',
    input: none,
  }),
  login: endpoint<Tokens>()({
    method: 'POST',
    path: '/v1/login',
    summary: 'exchange an authorization code; the DPoP proof names the key',
    caller: 'nobody',
    input: {
      type: 'object',
      additionalProperties: false,
      required: ['code', 'verifier', 'salt', 'redirectUri'],
      properties: {
        code: text,
        verifier: {type: 'string', minLength: 43, maxLength: 128},
        salt: {type: 'string', minLength: 22, maxLength: 128},
        redirectUri: text,
        iss: text,
      },
    },
  }),
  refresh: endpoint<Tokens>()({
    method: 'POST',
    path: '/v1/login/refresh',
    summary: 'the next tokens of a login',
    caller: 'nobody',
    input: {type: 'object', additionalProperties: false, required: ['refreshToken'], properties: {refreshToken: text}},
  }),
  logout: endpoint<{ended: number}>()({
    method: 'POST',
    path: '/v1/logout',
    summary: 'end this login, or all of mine',
    caller: 'person',
    input: {type: 'object', additionalProperties: false, properties: {everywhere: {type: 'boolean'}}},
  }),
  whoami: endpoint<WhoAmI>()({method: 'GET', path: '/v1/whoami', summary: 'who is calling', caller: 'person', input: none}),
  catalog: endpoint<CatalogView>()({
    method: 'GET',
    path: '/v1/catalog',
    summary: 'tools, targets and roles, with what the caller may do',
    caller: 'person',
    input: none,
  }),

  findTargets: endpoint<FoundTargets>()({
    method: 'GET',
    path: '/v1/targets',
    summary: 'targets that those of the catalog stand for, by id, name, label or address, as far as the caller may use them',
    caller: 'person',
    input: {
      type: 'object',
      additionalProperties: false,
      required: ['text'],
      properties: {text: {type: 'string', maxLength: 256}, within: {type: 'string', maxLength: 256}},
    },
  }),

  explainUse: endpoint<Ruling>()({
    method: 'POST',
    path: '/v1/explain',
    summary: 'why a run or request of mine was refused, or what policy says of a use now; nothing is asked for by it',
    caller: 'person',
    input: {
      type: 'object',
      additionalProperties: false,
      properties: {
        id: {type: 'string', pattern: '^(?:run|req)_[0-9a-z]{8,40}$'},
        argv: {type: 'array', minItems: 1, maxItems: 1024, items: {type: 'string', maxLength: 65536}},
        targets: {type: 'array', maxItems: 64, items: {type: 'string', maxLength: 256}},
        role: {type: 'string', maxLength: 128},
        target: {type: 'string', maxLength: 256},
        use: {type: 'string', enum: ['shell', 'forward']},
        incident: {type: 'string', maxLength: 128},
      },
    },
  }),
  whoHelps: endpoint<Help>()({
    method: 'GET',
    path: '/v1/help',
    summary: 'roles that allow an action, who approves them and how fast, and who owns the resource',
    caller: 'person',
    input: {
      type: 'object',
      additionalProperties: false,
      required: ['action'],
      properties: {action: {type: 'string', maxLength: 256}, resource: {type: 'string', maxLength: 2048}},
    },
  }),

  createRequest: endpoint<Request>()({
    method: 'POST',
    path: '/v1/requests',
    summary: 'ask for a role for some time',
    caller: 'person',
    input: {
      type: 'object',
      additionalProperties: false,
      required: ['key', 'reason', 'durationSeconds'],
      properties: {
        key: {type: 'string', minLength: 16, maxLength: 64},
        role: {type: 'string', maxLength: 128},
        target: {type: 'string', maxLength: 256},
        reason: {type: 'string', maxLength: 65536},
        incident: {type: 'string', maxLength: 128},
        durationSeconds: {type: 'integer', minimum: 1, maximum: 86400},
        startAt: {type: 'string', maxLength: 40},
      },
    },
  }),
  listRequests: endpoint<{requests: Request[]}>()({
    method: 'GET',
    path: '/v1/requests',
    summary: 'my requests, and those I may decide',
    caller: 'person',
    input: {
      type: 'object',
      additionalProperties: false,
      properties: {state: {type: 'string', maxLength: 16}, mine: {type: 'string', enum: ['true', 'false']}},
    },
  }),
  showRequest: endpoint<Request>()({method: 'GET', path: '/v1/requests/:id', summary: 'one request', caller: 'person', input: withId}),
  requestDocument: endpoint<{document: string; digest: string}>()({
    method: 'GET',
    path: '/v1/requests/:id/document',
    summary: 'the approval document as RFC 8785 text; a view is recorded',
    caller: 'person',
    input: withId,
  }),
  approveRequest: endpoint<Request>()({
    method: 'POST',
    path: '/v1/requests/:id/approve',
    summary: 'approve what the digest names, signed by the approver',
    caller: 'person',
    input: {
      type: 'object',
      additionalProperties: false,
      required: ['id', 'digest', 'jws'],
      properties: {id, digest: {type: 'string', pattern: '^[0-9a-f]{64}$'}, jws: {type: 'string', maxLength: 8192}},
    },
  }),
  denyRequest: endpoint<Request>()({
    method: 'POST',
    path: '/v1/requests/:id/deny',
    summary: 'deny a pending request',
    caller: 'person',
    input: {type: 'object', additionalProperties: false, required: ['id', 'note'], properties: {id, note: text}},
  }),
  cancelRequest: endpoint<Request>()({
    method: 'POST',
    path: '/v1/requests/:id/cancel',
    summary: "cancel one's own request",
    caller: 'person',
    input: withId,
  }),

  listGrants: endpoint<{grants: Grant[]}>()({
    method: 'GET',
    path: '/v1/grants',
    summary: 'my grants, or all where I may approve their role',
    caller: 'person',
    input: {type: 'object', additionalProperties: false, properties: {all: {type: 'string', enum: ['true', 'false']}}},
  }),
  grantCredentials: endpoint<GrantCredentials>()({
    method: 'POST',
    path: '/v1/grants/:id/credentials',
    summary: 'a credential of my active grant, minted now; it ends with the grant at the latest',
    caller: 'person',
    input: {
      type: 'object',
      additionalProperties: false,
      required: ['id'],
      properties: {id, tool: {type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._+-]{0,62}$'}},
    },
  }),
  revokeGrant: endpoint<RevokedGrant>()({
    method: 'POST',
    path: '/v1/grants/:id/revoke',
    summary: "end a grant now; one's own is handed back",
    caller: 'person',
    input: {type: 'object', additionalProperties: false, required: ['id'], properties: {id, note: text}},
  }),

  showRun: endpoint<Run & {receipt: Receipt | null}>()({
    method: 'GET',
    path: '/v1/runs/:id',
    summary: 'one run, with its receipt',
    caller: 'person',
    input: withId,
  }),
  listRuns: endpoint<{runs: Run[]}>()({method: 'GET', path: '/v1/runs', summary: 'my runs, latest first', caller: 'person', input: none}),
  runOutput: endpoint<{chunks: string[]; next: number | null; truncated: boolean}>()({
    method: 'GET',
    path: '/v1/runs/:id/output',
    summary: 'stored output from a chunk on, some megabytes at a time: sealed, base64 age files; the read is recorded',
    caller: 'person',
    input: {
      type: 'object',
      additionalProperties: false,
      required: ['id'],
      properties: {id, from: {type: 'string', pattern: '^[0-9]{1,9}$'}},
    },
  }),
  endRun: endpoint<Run>()({
    method: 'POST',
    path: '/v1/runs/:id/end',
    summary: 'end a break-glass that runs',
    caller: 'person',
    input: {type: 'object', additionalProperties: false, required: ['id'], properties: {id, note: text}},
  }),

  listSessions: endpoint<{sessions: Session[]}>()({
    method: 'GET',
    path: '/v1/sessions',
    summary: 'sessions I may see, latest first',
    caller: 'person',
    input: none,
  }),
  showSession: endpoint<Session>()({method: 'GET', path: '/v1/sessions/:id', summary: 'one session', caller: 'person', input: withId}),
  recording: endpoint<{session: Session; chunks: string[]; next: number | null}>()({
    method: 'GET',
    path: '/v1/sessions/:id/recording',
    summary: 'sealed chunks from a number on, base64 age files, some megabytes at a time; the read is recorded',
    caller: 'person',
    input: {
      type: 'object',
      additionalProperties: false,
      required: ['id'],
      properties: {id, from: {type: 'string', pattern: '^[0-9]{1,9}$'}},
    },
  }),
  endSession: endpoint<Session>()({
    method: 'POST',
    path: '/v1/sessions/:id/end',
    summary: 'end a live session',
    caller: 'person',
    input: {type: 'object', additionalProperties: false, required: ['id'], properties: {id, note: text}},
  }),
  listReviews: endpoint<{reviews: Review[]}>()({
    method: 'GET',
    path: '/v1/reviews',
    summary: 'reviews that wait, and those done',
    caller: 'person',
    input: none,
  }),
  doneReview: endpoint<Review>()({
    method: 'POST',
    path: '/v1/reviews/:id/done',
    summary: 'file the review of a break-glass',
    caller: 'person',
    input: {
      type: 'object',
      additionalProperties: false,
      required: ['id', 'verdict', 'note'],
      properties: {id, verdict: {type: 'string', enum: ['ok', 'follow-up', 'violation']}, note: text},
    },
  }),
  breakGlassKit: endpoint<IssuedKit>()({
    method: 'POST',
    path: '/v1/break-glass/kit',
    summary: 'what I need to break glass when the broker is gone: a signed statement, bound to my login key, without any credential',
    caller: 'person',
    input: none,
  }),
  handIn: endpoint<HandedIn>()({
    method: 'POST',
    path: '/v1/break-glass/hand-in',
    summary: 'some entries of a spool that was written without the broker, with what they seal; safe to repeat',
    caller: 'person',
    input: {
      type: 'object',
      additionalProperties: false,
      required: ['kit', 'session', 'from', 'entries', 'chunks', 'last'],
      properties: {
        kit: {type: 'string', maxLength: 196_608},
        session: {type: 'string', pattern: '^ses_[0-9a-z]{17}$'},
        from: {type: 'integer', minimum: 0, maximum: 10_000_000},
        entries: {type: 'array', maxItems: 2000, items: {type: 'string', maxLength: 16_384}},
        chunks: {type: 'array', maxItems: 2000, items: {type: 'string', maxLength: 1_048_576}},
        last: {type: 'boolean'},
      },
    },
  }),

  showFreeze: endpoint<{freeze: Freeze | null}>()({
    method: 'GET',
    path: '/v1/freeze',
    summary: 'whether production is frozen',
    caller: 'person',
    input: none,
  }),
  freeze: endpoint<{freeze: Freeze; again: boolean}>()({
    method: 'POST',
    path: '/v1/freeze',
    summary: 'let nothing of class change, admin or shell start; with all, no read either',
    caller: 'person',
    input: {
      type: 'object',
      additionalProperties: false,
      required: ['reason'],
      properties: {reason: {type: 'string', maxLength: 65536}, all: {type: 'boolean'}},
    },
  }),
  liftFreeze: endpoint<{freeze: Freeze | null}>()({
    method: 'POST',
    path: '/v1/freeze/lift',
    summary: 'one of the two who lift a freeze; null once it is lifted',
    caller: 'person',
    input: {type: 'object', additionalProperties: false, required: ['reason'], properties: {reason: {type: 'string', maxLength: 65536}}},
  }),

  auditEntries: endpoint<{entries: LogEntry[]; size: number}>()({
    method: 'GET',
    path: '/v1/audit/entries',
    summary: 'entries of the log from an index on',
    caller: 'person',
    input: {
      type: 'object',
      additionalProperties: false,
      properties: {
        from: {type: 'string', pattern: '^[0-9]{1,12}$'},
        limit: {type: 'string', pattern: '^[0-9]{1,4}$'},
        type: {type: 'string', maxLength: 64},
        subject: {type: 'string', maxLength: 64},
        text: {type: 'string', maxLength: 256},
        newest: {type: 'string', enum: ['true', 'false']},
      },
    },
  }),
  askErasure: endpoint<Erasure>()({
    method: 'POST',
    path: '/v1/erasures',
    summary: 'ask that what is kept of a person, or of single runs and sessions, be erased; a second person agrees',
    caller: 'person',
    input: {
      type: 'object',
      additionalProperties: false,
      required: ['reason'],
      properties: {
        person: {type: 'string', minLength: 1, maxLength: 512},
        things: {type: 'array', minItems: 1, maxItems: 100, items: id},
        reason: {type: 'string', maxLength: 65536},
      },
    },
  }),
  agreeErasure: endpoint<Erasure>()({
    method: 'POST',
    path: '/v1/erasures/:id/agree',
    summary: 'the second of the two: it is erased, and the answer says how much',
    caller: 'person',
    input: {
      type: 'object',
      additionalProperties: false,
      required: ['id', 'reason'],
      properties: {id, reason: {type: 'string', maxLength: 65536}},
    },
  }),
  listErasures: endpoint<{erasures: Erasure[]}>()({
    method: 'GET',
    path: '/v1/erasures',
    summary: 'what was asked to be erased, and what has been',
    caller: 'person',
    input: none,
  }),
  logCheckpoint: endpoint<string>()({
    method: 'GET',
    path: '/v1/log/checkpoint',
    summary: 'the signed checkpoint (C2SP)',
    caller: 'nobody',
    input: none,
  }),
  metrics: endpoint<MetricsReport>()({
    method: 'GET',
    path: '/v1/metrics',
    summary: 'how far from zero-touch production',
    caller: 'person',
    input: {
      type: 'object',
      additionalProperties: false,
      properties: {
        since: {type: 'string', maxLength: 40},
        until: {type: 'string', maxLength: 40},
        team: {type: 'string', minLength: 1, maxLength: 128},
        service: {type: 'string', minLength: 1, maxLength: 128},
      },
    },
  }),
  importMetrics: endpoint<{imported: number}>()({
    method: 'POST',
    path: '/v1/metrics/import',
    summary: 'times of incidents, shells outside prod, standing access: each row an event of the log; the same id again replaces it',
    caller: 'person',
    input: {
      type: 'object',
      additionalProperties: false,
      required: ['kind', 'rows'],
      properties: {
        kind: {type: 'string', enum: ['incident', 'outside-shell', 'entitlement']},
        rows: {
          type: 'array',
          maxItems: 500 as number,
          items: {
            type: 'object',
            additionalProperties: false,
            required: ['id', 'from'],
            properties: {
              id: {type: 'string', pattern: '^[A-Za-z0-9][A-Za-z0-9._:/-]{0,62}$'},
              from: {type: 'string', maxLength: 40},
              to: {type: 'string', maxLength: 40},
              person: {type: 'string', minLength: 1, maxLength: 256},
              service: {type: 'string', minLength: 1, maxLength: 128},
              team: {type: 'string', minLength: 1, maxLength: 128},
            },
          },
        },
      },
    },
  }),
  usage: endpoint<{accepted: number}>()({
    method: 'POST',
    path: '/v1/usage',
    summary: "the CLI's own usage events: no arguments",
    caller: 'person',
    input: {
      type: 'object',
      additionalProperties: false,
      required: ['events'],
      properties: {
        batch: {type: 'string', pattern: '^[0-9a-z]{8,40}$'},
        events: {
          type: 'array',
          maxItems: 1000 as number,
          items: {
            type: 'object',
            additionalProperties: false,
            required: ['command', 'durationMs', 'exit', 'at'],
            properties: {
              command: {type: 'string', maxLength: 64},
              durationMs: {type: 'integer', minimum: 0, maximum: 1000000000},
              exit: {type: 'integer', minimum: 0, maximum: 255},
              at: {type: 'string', maxLength: 40},
              version: {type: 'string', maxLength: 32},
              platform: {type: 'string', maxLength: 32},
              tool: {type: 'string', maxLength: 64},
              role: {type: 'string', maxLength: 128},
              denied: {type: 'string', maxLength: 32},
              action: {type: 'string', maxLength: 128},
              answer: {type: 'integer', minimum: 1, maximum: 5},
            },
          },
        },
      },
    },
  }),
  doctor: endpoint<{checks: {name: string; ok: boolean; detail: string}[]}>()({
    method: 'GET',
    path: '/v1/doctor',
    summary: 'what this broker can and cannot do on its platform',
    caller: 'person',
    input: none,
  }),
} as const satisfies Record<string, Endpoint>

export type Api = typeof api
export type {ToolClass}
