/** What a person has decided for the CLI: `config.json` in the config folder, read and written by `prod config` and `prod login`. */
import {join} from 'node:path'
import {ProdError} from '../errors.ts'
import {type Broker, brokerOrigin} from '../session.ts'
import {places, readPrivate, writePrivate} from './places.ts'

/** The file. Whatever is left out has the value that {@link settings} names. */
export interface Config {
  /** by name; `caFile` is a PEM file of the CAs that may vouch for it */
  brokers?: Record<string, {url: string; caFile?: string}>
  /** the one that is meant where none is named */
  broker?: string
  telemetry?: 'on' | 'off'
  credentialStore?: 'keychain' | 'file'
  explainAfterFailure?: 'on' | 'off'
  askAfterSession?: 'on' | 'off'
}

type Setting = 'broker' | 'telemetry' | 'credentialStore' | 'explainAfterFailure' | 'askAfterSession'

/** Each setting that has one value: what it means, what it may be, what holds where nothing is set. Brokers are `brokers.NAME.url`, `brokers.NAME.caFile`. */
export const settings: Record<Setting, {means: string; values?: readonly string[]; otherwise: string | undefined}> = {
  broker: {means: 'name of the broker that is meant where none is named', otherwise: undefined},
  telemetry: {
    means: "send the CLI's own usage events (command, duration, exit status) to the broker",
    values: ['on', 'off'],
    otherwise: 'on',
  },
  credentialStore: {means: 'where logins are kept; file: plain, 0600', values: ['keychain', 'file'], otherwise: undefined},
  explainAfterFailure: {means: 'explain a denial after a failed exec, assume or shell', values: ['on', 'off'], otherwise: 'on'},
  askAfterSession: {means: 'ask after a shell how it went: one key, or none', values: ['on', 'off'], otherwise: 'on'},
}

/** A name a broker may have. */
const brokerName = /^[a-z0-9][a-z0-9._-]{0,63}$/

/** Where the file is. */
export function configPath(env: NodeJS.ProcessEnv = process.env): string {
  return join(places(env).config, 'config.json')
}

/** The decisions so far. Throws CONFIG_INVALID where the file is no valid configuration, or others could have written it. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const path = configPath(env)
  const text = readPrivate(path)
  if (text === undefined) return {}
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw new ProdError('CONFIG_INVALID', `${path} is not JSON`, `cat ${path}`, {cause})
  }
  return check(parsed, path)
}

function check(value: unknown, path: string): Config {
  const bad = (what: string): never => {
    throw new ProdError('CONFIG_INVALID', `${path}: ${what}`, 'prod config ls')
  }
  const isObject = (what: unknown): what is Record<string, unknown> => typeof what === 'object' && what !== null && !Array.isArray(what)
  if (!isObject(value)) return bad('is not an object')
  for (const [key, given] of Object.entries(value)) {
    if (key === 'brokers') {
      if (!isObject(given)) return bad('brokers is not an object')
      for (const [name, broker] of Object.entries(given)) {
        if (!brokerName.test(name)) bad(`brokers: ${name} is no name for a broker`)
        if (!isObject(broker) || typeof broker.url !== 'string') return bad(`brokers.${name} has no url`)
        brokerOrigin(broker.url)
        for (const [part, text] of Object.entries(broker))
          if (!['url', 'caFile'].includes(part) || typeof text !== 'string') bad(`brokers.${name}.${part} is not known`)
      }
    } else if (Object.hasOwn(settings, key)) {
      const {values} = settings[key as Setting]
      if (typeof given !== 'string' || (values && !values.includes(given))) bad(`${key} must be ${values ? values.join(' or ') : 'a text'}`)
    } else bad(`${key} is not known`)
  }
  return value as Config
}

/** Writes the decisions, checked. Throws CONFIG_INVALID, INSECURE_URL. */
export function writeConfig(config: Config, env: NodeJS.ProcessEnv = process.env): void {
  const path = configPath(env)
  writePrivate(path, `${JSON.stringify(check(config, path), undefined, 2)}\n`)
}

/** All that is set, as `key` → value: `broker`, `brokers.NAME.url`. Pure. */
export function listConfig({brokers = {}, ...rest}: Config): Record<string, string> {
  const list: Record<string, string> = {...rest}
  for (const [name, broker] of Object.entries(brokers))
    for (const [part, text] of Object.entries(broker)) list[`brokers.${name}.${part}`] = text
  return list
}

/** The configuration with one key set, or taken out where `value` is undefined. Throws USAGE for a key or value that cannot be. Pure. */
export function changeConfig(config: Config, key: string, value: string | undefined): Config {
  const [, name, part] = /^brokers\.(.+)\.(url|caFile)$/.exec(key) ?? /^brokers\.([^.]+)$/.exec(key) ?? []
  if (name !== undefined) return changeBroker(config, name, part as 'url' | 'caFile' | undefined, value)
  if (!Object.hasOwn(settings, key)) throw new ProdError('USAGE', `there is no setting ${key}`, 'prod config ls')
  const {values} = settings[key as Setting]
  if (value === undefined) {
    const {[key as Setting]: _, ...rest} = config
    return rest
  }
  if (values && !values.includes(value))
    throw new ProdError('USAGE', `${key} must be ${values.join(' or ')}`, `prod config set ${key} ${values[0]}`)
  if (key === 'broker' && !config.brokers?.[value]) throw new ProdError('USAGE', `there is no broker ${value}`, 'prod login --broker URL')
  return {...config, [key]: value}
}

function changeBroker(config: Config, name: string, part: 'url' | 'caFile' | undefined, value: string | undefined): Config {
  if (!brokerName.test(name))
    throw new ProdError(
      'USAGE',
      `${name} is no name for a broker: small letters, digits, . _ -`,
      'prod config set brokers.main.url https://prod.example',
    )
  const {[name]: old, ...others} = config.brokers ?? {}
  if (value === undefined && part !== 'caFile') {
    const {broker, ...rest} = {...config, brokers: others}
    return broker === undefined || broker === name ? rest : {...rest, broker}
  }
  if (value === undefined) return old ? {...config, brokers: {...others, [name]: {url: old.url}}} : config
  if (part === undefined) throw new ProdError('USAGE', 'a broker is set by its url', `prod config set brokers.${name}.url ${value}`)
  const url = part === 'url' ? brokerOrigin(value) : old?.url
  if (url === undefined)
    throw new ProdError('USAGE', `there is no broker ${name}`, `prod config set brokers.${name}.url https://prod.example`)
  const caFile = part === 'caFile' ? value : old?.caFile
  return {...config, brokers: {...others, [name]: {url, ...(caFile === undefined ? {} : {caFile})}}}
}

/**
 * The broker that is meant: `--broker`, else `PROD_BROKER`, else the configured one, else the only one. A URL counts as itself and is named by
 * its host. Throws USAGE where none is meant or the name is not known, INSECURE_URL. Pure.
 */
export function chooseBroker(config: Config, named: string | undefined, env: NodeJS.ProcessEnv = process.env): Broker {
  const brokers = config.brokers ?? {}
  const only = Object.keys(brokers).length === 1 ? Object.keys(brokers)[0] : undefined
  const meant = named || env.PROD_BROKER || config.broker || only
  if (meant === undefined) throw new ProdError('USAGE', 'no broker is known yet', 'prod login --broker https://prod.example')
  const known = Object.hasOwn(brokers, meant) ? brokers[meant] : undefined
  if (known) return {name: meant, ...known, url: brokerOrigin(known.url)}
  if (!meant.includes('://') && !meant.includes(':') && !meant.includes('.'))
    throw new ProdError('USAGE', `there is no broker ${meant}`, 'prod config ls')
  const url = brokerOrigin(meant)
  const [name, same] = Object.entries(brokers).find(([, broker]) => brokerOrigin(broker.url) === url) ?? []
  return name !== undefined && same ? {name, ...same, url} : {name: new URL(url).host, url}
}
