/** The broker's configuration: one JSON or YAML file, schema-checked; unknown or doubled keys stop the start (TM-G5). */
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
    | {kind: 'oidc'; issuer: string; clientId: string; clientSecretFile: string | null; scopes: string[]; groupsClaim: string; personClaim: string}
    | {kind: 'dev'; clientId: string; issuerPort: number}
  store: {kind: 'sqlite'}
  catalogDir: string
  policyDir: string
  plugins: string[]
  channels: {name: string; notifier: string; config: Record<string, unknown>}[]
  /** names of two channels that must accept a break-glass alert */
  alertChannels: string[]
  /** where break-glass may come from */
  places: string[]
  /** age recipients of recordings */
  recordingRecipients: string[]
  breakGlass: {freshLoginSeconds: number; maxSeconds: number; reviewDueHours: number; incidentPattern: string}
  requestSeconds: number
  approvalSeconds: number
  retentionDays: {output: number; recordings: number}
}
