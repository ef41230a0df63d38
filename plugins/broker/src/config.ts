/** The broker's configuration: one JSON or YAML file, schema-checked; unknown or doubled keys stop the start (TM-G5). */
import {constants} from 'node:fs'
import {lstat, open} from 'node:fs/promises'
import {dirname, resolve} from 'node:path'
import type {ToolClass} from '@prod/sdk'
import {canonical, sha256} from '@prod/sdk/document'
import {ProdError} from '@prod/sdk/errors'
import type {RunLimit} from '@prod/sdk/grammar/grammar'
import {runLimitSchema} from '@prod/sdk/grammar/schema'
import {Ajv} from 'ajv'
import ipaddr from 'ipaddr.js'
import {parseDocument} from 'yaml'

/** A plugin to load: a shipped one by its name; any other with its version and its integrity, as `prod plugins --json` prints it. */
export type PluginChoice = string | {name: string; version: string; integrity: string}

/** What a broker runs with. */
export interface Config {
  /** data folder: store, keys, recordings, outputs */
  dir: string
  listen: {host: string; port: number; metricsPort: number}
  /** the one origin clients use: `https://prod.example`; also what Host and Origin must say */
  origin: string
  tls: {certFile: string; keyFile: string} | null
  name: string
  development: boolean
  trustedProxies: string[]
  identity:
    | {
        kind: 'oidc'
        issuer: string
        clientId: string
        clientSecretFile: string | null
        /** PEM file of the CAs that may vouch for the provider, instead of the public ones */
        caFile: string | null
        scopes: string[]
        groupsClaim: string
        personClaim: string
      }
    | {kind: 'dev'; clientId: string; issuerPort: number}
  store: {kind: 'sqlite'}
  /** plain folders, or else `policy`: exactly one of the two */
  catalogDir: string | null
  policyDir: string | null
  /** a signed bundle: its file, whose signatures count and how many it needs; only reading is allowed under one that is older */
  policy: {bundle: string; keys: string[]; signatures: number; maxAgeHours: number | null} | null
  plugins: PluginChoice[]
  channels: {name: string; notifier: string; config: Record<string, unknown>}[]
  /** names of two channels that must accept a break-glass alert */
  alertChannels: string[]
  /** where break-glass may come from */
  places: string[]
  /** age recipients of recordings */
  recordingRecipients: string[]
  /** `alertSeconds`: how long alerts are tried before it is given up; `remindSeconds`: how often an open session is told again */
  breakGlass: {
    freshLoginSeconds: number
    maxSeconds: number
    reviewDueHours: number
    incidentPattern: string
    alertSeconds: number
    /** whether a second person may stand in for alerts that were not accepted: the last resort, when every channel is dead */
    withoutAlerts: boolean
    remindSeconds: number
    /** hours after a login that its kit for a break-glass without the broker is good; 0: nobody gets one */
    kitHours: number
  }
  /** how long a forward lasts at most, and how many connections go through those of one person at once */
  forward: {maxSeconds: number; connections: number}
  requestSeconds: number
  approvalSeconds: number
  /** of stored output, unless its class has a time of its own; of recordings */
  retentionDays: {output: number; recordings: number} & Partial<Record<ToolClass, number>>
  /** how often things may start, all commands together; without `class` it is about `change`, `admin` and `shell` */
  limits: (RunLimit & {class?: ToolClass[]})[]
  /**
   * `teams`: groups that are teams, `*` for any text; none: every group. `minPeople`: figures of fewer are shown to nobody but who may read the log.
   * `otlp`: where the figures are sent, with headers from a file of JSON; null: nowhere
   */
  metrics: {teams: string[]; minPeople: number; otlp: {url: string; headersFile: string | null; everySeconds: number} | null}
}

const text = {type: 'string', minLength: 1, maxLength: 4096}
const name = {type: 'string', pattern: '^[a-z][a-z0-9-]{0,62}$'}
const port = {type: 'integer', minimum: 0, maximum: 65535}
const seconds = (maximum: number) => ({type: 'integer', minimum: 1, maximum})

/** The file's form; docs/operating.md describes each key. */
export const configSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['dir', 'origin', 'identity', 'channels', 'alertChannels', 'places', 'recordingRecipients'],
  properties: {
    dir: text,
    listen: {type: 'object', additionalProperties: false, properties: {host: text, port, metricsPort: port}},
    origin: {type: 'string', pattern: '^https://[^/?#@]+$'},
    tls: {type: 'object', additionalProperties: false, required: ['certFile', 'keyFile'], properties: {certFile: text, keyFile: text}},
    name: text,
    trustedProxies: {type: 'array', items: text},
    identity: {
      type: 'object',
      additionalProperties: false,
      required: ['kind', 'issuer', 'clientId', 'personClaim'],
      properties: {
        kind: {const: 'oidc'},
        issuer: {type: 'string', pattern: '^https://'},
        clientId: text,
        clientSecretFile: text,
        caFile: text,
        scopes: {type: 'array', items: text},
        groupsClaim: text,
        personClaim: text,
      },
    },
    store: {type: 'object', additionalProperties: false, required: ['kind'], properties: {kind: {const: 'sqlite'}}},
    catalogDir: text,
    policyDir: text,
    policy: {
      type: 'object',
      additionalProperties: false,
      required: ['bundle', 'keys'],
      properties: {
        bundle: text,
        keys: {type: 'array', items: text, minItems: 1, maxItems: 20, uniqueItems: true},
        signatures: {type: 'integer', minimum: 1, maximum: 20},
        maxAgeHours: {type: 'integer', minimum: 1, maximum: 8760},
      },
    },
    plugins: {
      type: 'array',
      uniqueItems: true,
      items: {
        oneOf: [
          text,
          {
            type: 'object',
            additionalProperties: false,
            required: ['name', 'version', 'integrity'],
            properties: {name: text, version: text, integrity: {type: 'string', pattern: '^sha256-[A-Za-z0-9+/]{43}=$'}},
          },
        ],
      },
    },
    channels: {
      type: 'array',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['name', 'notifier', 'config'],
        properties: {name, notifier: name, config: {type: 'object'}},
      },
    },
    alertChannels: {type: 'array', items: name, uniqueItems: true, minItems: 2},
    places: {type: 'array', items: text},
    recordingRecipients: {type: 'array', items: {type: 'string', pattern: '^age1'}, minItems: 1},
    breakGlass: {
      type: 'object',
      additionalProperties: false,
      properties: {
        freshLoginSeconds: seconds(3600),
        maxSeconds: seconds(3600),
        reviewDueHours: {type: 'integer', minimum: 1, maximum: 720},
        incidentPattern: text,
        alertSeconds: seconds(60),
        withoutAlerts: {type: 'boolean'},
        remindSeconds: seconds(900),
        kitHours: {type: 'integer', minimum: 0, maximum: 24},
      },
    },
    forward: {
      type: 'object',
      additionalProperties: false,
      properties: {maxSeconds: seconds(86_400), connections: {type: 'integer', minimum: 1, maximum: 2000}},
    },
    requestSeconds: seconds(86_400),
    approvalSeconds: seconds(86_400),
    limits: {
      type: 'array',
      maxItems: 20,
      items: {
        ...runLimitSchema,
        properties: {
          class: {type: 'array', minItems: 1, uniqueItems: true, items: {enum: ['read', 'change', 'admin', 'shell']}},
          ...runLimitSchema.properties,
        },
      },
    },
    metrics: {
      type: 'object',
      additionalProperties: false,
      properties: {
        teams: {type: 'array', items: {type: 'string', minLength: 1, maxLength: 128}, maxItems: 100, uniqueItems: true},
        minPeople: {type: 'integer', minimum: 1, maximum: 1000},
        otlp: {
          type: 'object',
          additionalProperties: false,
          required: ['url'],
          properties: {
            url: {type: 'string', pattern: '^https://[^/?#@]+(?:/[^?#@]*)?$', maxLength: 1024},
            headersFile: text,
            everySeconds: {type: 'integer', minimum: 10, maximum: 3600},
          },
        },
      },
    },
    retentionDays: {
      type: 'object',
      additionalProperties: false,
      properties: {
        output: {type: 'integer', minimum: 0},
        recordings: {type: 'integer', minimum: 1},
        read: {type: 'integer', minimum: 0},
        change: {type: 'integer', minimum: 0},
        admin: {type: 'integer', minimum: 0},
        shell: {type: 'integer', minimum: 0},
      },
    },
  },
} as const

/** What a configuration has where the file is silent. */
export const defaults = {
  trustedProxies: [],
  store: {kind: 'sqlite'},
  plugins: ['@prod/host', '@prod/webhook'],
  breakGlass: {
    freshLoginSeconds: 900,
    maxSeconds: 3600,
    reviewDueHours: 72,
    incidentPattern: '[A-Z]{2,10}-[0-9]{1,8}',
    alertSeconds: 60,
    withoutAlerts: false,
    remindSeconds: 900,
    kitHours: 12,
  },
  forward: {maxSeconds: 28_800, connections: 256},
  requestSeconds: 3600,
  approvalSeconds: 900,
  retentionDays: {output: 30, recordings: 365},
  limits: [{per: '1h', perPerson: 60, total: 600}],
  metrics: {teams: [] as string[], minPeople: 5, otlp: null},
} satisfies Partial<Config>

const maxConfigBytes = 1024 * 1024

/** Reads a configuration file; relative paths in it are relative to it. Throws CONFIG_INVALID with every finding. */
export async function readConfig(path: string): Promise<Config> {
  const base = dirname(resolve(path))
  const said = await readClosed(path)
  const document = parseDocument(said, {schema: 'core', uniqueKeys: true, merge: false})
  // of our own schema, which is tested to be one (http/handle.ts)
  const check = new Ajv({meta: false, validateSchema: false, allErrors: true}).compile(configSchema)
  const faults = document.errors.map(error => error.message.split('\n')[0] as string)
  let value: unknown
  try {
    value = faults.length > 0 ? undefined : document.toJS({maxAliasCount: 0})
  } catch {
    faults.push('it has aliases: write the values out')
  }
  if (faults.length === 0 && !check(value)) {
    for (const error of check.errors ?? []) {
      const extra = error.keyword === 'additionalProperties' ? `: ${(error.params as {additionalProperty: string}).additionalProperty}` : ''
      faults.push(`${error.instancePath || 'the file'} ${error.message}${extra}`)
    }
  }
  if (faults.length > 0) throw new ProdError('CONFIG_INVALID', `${path}: ${faults.join('; ')}`, 'see docs/operating.md')
  const folders = ['catalogDir', 'policyDir'].filter(key => Object.hasOwn(value as object, key)).length
  if (folders !== (Object.hasOwn(value as object, 'policy') ? 0 : 2)) {
    throw new ProdError(
      'CONFIG_INVALID',
      `${path}: policy comes either signed, policy: {bundle, keys}, or from folders, catalogDir and policyDir`,
      'prod policy build --dir DIR --out FILE',
    )
  }
  // biome-ignore lint/suspicious/noExplicitAny: the schema has been checked
  const given = value as any
  const config: Config = {
    ...defaults,
    ...given,
    name: given.name ?? new URL(given.origin).hostname,
    development: false,
    dir: resolve(base, given.dir),
    catalogDir: given.catalogDir === undefined ? null : resolve(base, given.catalogDir),
    policyDir: given.policyDir === undefined ? null : resolve(base, given.policyDir),
    policy: given.policy ? {signatures: 1, maxAgeHours: null, ...given.policy, bundle: resolve(base, given.policy.bundle)} : null,
    listen: {host: '127.0.0.1', port: 8443, metricsPort: 9464, ...given.listen},
    tls: given.tls ? {certFile: resolve(base, given.tls.certFile), keyFile: resolve(base, given.tls.keyFile)} : null,
    identity: {
      clientSecretFile: null,
      caFile: null,
      scopes: ['openid', 'profile', 'email', 'groups', 'offline_access'],
      groupsClaim: 'groups',
      ...given.identity,
      ...(given.identity.clientSecretFile ? {clientSecretFile: resolve(base, given.identity.clientSecretFile)} : {}),
      ...(given.identity.caFile ? {caFile: resolve(base, given.identity.caFile)} : {}),
    },
    breakGlass: {...defaults.breakGlass, ...given.breakGlass},
    forward: {...defaults.forward, ...given.forward},
    retentionDays: {...defaults.retentionDays, ...given.retentionDays},
    metrics: {
      ...defaults.metrics,
      ...given.metrics,
      otlp: given.metrics?.otlp
        ? {
            everySeconds: 60,
            ...given.metrics.otlp,
            headersFile: given.metrics.otlp.headersFile === undefined ? null : resolve(base, given.metrics.otlp.headersFile),
          }
        : null,
    },
  }
  for (const place of config.places) {
    if (!ipaddr.isValidCIDR(place)) throw new ProdError('CONFIG_INVALID', `${path}: ${place} is no CIDR range`, 'places: ["10.1.2.0/24"]')
  }
  for (const channel of config.alertChannels) {
    if (!config.channels.some(one => one.name === channel))
      throw new ProdError('CONFIG_INVALID', `${path}: the alert channel ${channel} is not among the channels`, 'channels: [{name: …}]')
  }
  return config
}

/** A file of this user or root that nobody else may write, not a link. */
async function readClosed(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch(error => {
    throw new ProdError('CONFIG_INVALID', `${path} cannot be opened: ${error.code}`, 'prod broker start --config FILE')
  })
  try {
    const info = await file.stat()
    if (!info.isFile() || info.size > maxConfigBytes)
      throw new ProdError('CONFIG_INVALID', `${path} is no configuration file`, 'see docs/operating.md')
    if ((info.mode & 0o022) !== 0 || (info.uid !== 0 && info.uid !== process.getuid?.())) {
      throw new ProdError('CONFIG_INVALID', `${path} can be written by others`, `chmod 600 ${path}`)
    }
    // whoever may write the folder may put another file there; in a sticky one only what is their own
    if (((await lstat(dirname(path))).mode & 0o1002) === 0o002)
      throw new ProdError('CONFIG_INVALID', `the folder of ${path} can be written by others`, `chmod o-w ${dirname(path)}`)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

/** SHA-256 of what a broker runs with, for the log (TM-G5). It names files of secrets, never their content. */
export function configDigest(config: Config): string {
  return sha256(canonical(config))
}
