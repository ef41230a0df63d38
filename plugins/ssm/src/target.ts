import {ProdError} from '@prod/sdk/errors'

/** A session document of Systems Manager, and what its content must be. */
export interface PinnedDocument {
  readonly name: string
  /** SHA-256 of its content, lower-case hex; absent: only AWS's own need none */
  readonly sha256?: string
}

/**
 * One managed instance, written `region/instance-id[?pins]`. Source: `Target` of AWS Systems Manager's StartSession.
 * The pins say what must be so when it is used; they stand in the address, so in what people approve. `region/*?tag:…` stands for all
 * instances with these tags: it is looked among, and one of them is used.
 */
export interface Target {
  readonly region: string
  /** `i-…` of EC2, `mi-…` of any other machine; `*`: any with the tags */
  readonly instanceId: string
  /** `account=111122223333`: the account that it must belong to */
  readonly account?: string
  /** `tag:Name=web-1`: tags that it must have, and with these values */
  readonly tags: Readonly<Record<string, string>>
  /** `exec=NAME[@sha256]`: the document that runs programs */
  readonly exec?: PinnedDocument
  /** `shell=NAME[@sha256]`: the document that opens shells; absent: the account's preferences */
  readonly shell?: PinnedDocument
  /** `logging=broker`: the broker's recording is enough, the account need not log sessions itself */
  readonly logging?: 'broker'
}

const regionName = '[a-z]{2}(?:-[a-z]+)+-\\d'
const form = new RegExp(`^(${regionName})/(\\*|m?i-[0-9a-f]{8,17})(?:\\?(.+))?$`)
const documentForm = /^([a-zA-Z0-9_.-]{3,128})(?:@([0-9a-f]{64}))?$/
const example = 'prod shell ssm:eu-west-1/i-0a1b2c3d4e5f67890'

/** Reads the part after `ssm:`. Pure. Throws TARGET_INVALID. */
export function parse(text: string): Target {
  const [, region, instanceId, query] = form.exec(text) ?? []
  if (!region || !instanceId) throw new ProdError('TARGET_INVALID', `${JSON.stringify(text)} does not name an instance`, example)
  const tags: Record<string, string> = {}
  const pins: Partial<Record<'account' | 'exec' | 'shell' | 'logging', string>> = {}
  for (const [key, value] of readPins(query)) {
    if (key.startsWith('tag:') && key.length > 4) tags[key.slice(4)] = value
    else if (key === 'account' || key === 'exec' || key === 'shell' || key === 'logging') pins[key] = value
    else
      throw new ProdError('TARGET_INVALID', `an instance has no ${JSON.stringify(key)}: account, tag:NAME, exec, shell, logging`, example)
  }
  const {account, exec, shell, logging} = pins
  if (instanceId === '*' && Object.keys(tags).length === 0)
    throw new ProdError('TARGET_INVALID', 'all instances of an account are no target: name a tag', 'ssm:eu-west-1/*?tag:Role=web')
  if (account !== undefined) checkAccount(account)
  if (logging !== undefined && logging !== 'broker')
    throw new ProdError('TARGET_INVALID', 'logging is broker, or is left out', `${example}?logging=broker`)
  return {
    region,
    instanceId,
    tags,
    ...(account === undefined ? {} : {account}),
    ...(exec === undefined ? {} : {exec: readDocument(exec)}),
    ...(shell === undefined ? {} : {shell: readDocument(shell)}),
    ...(logging === undefined ? {} : {logging}),
  }
}

/** The machine, as every way in to instances calls it; undefined for all with a tag. Pure. */
export function machine({region, instanceId}: Pick<Target, 'region' | 'instanceId'>): string | undefined {
  return instanceId === '*' ? undefined : `aws:${region}/${instanceId}`
}

/** `key=value` joined by `&`, percent-encoded, each key once. Pure. Throws TARGET_INVALID. */
export function readPins(query: string | undefined): Map<string, string> {
  const pins = new Map<string, string>()
  for (const part of query?.split('&') ?? []) {
    const at = part.indexOf('=')
    if (at < 1 || at === part.length - 1) throw new ProdError('TARGET_INVALID', `${JSON.stringify(part)} is not key=value`, example)
    let key: string
    let value: string
    try {
      key = decodeURIComponent(part.slice(0, at))
      // a share, such as 25%, is what it looks like
      const written = part.slice(at + 1)
      value = /^\d{1,3}%$/.test(written) ? written : decodeURIComponent(written)
    } catch (cause) {
      throw new ProdError('TARGET_INVALID', `${JSON.stringify(part)} is not percent-encoded text`, example, {cause})
    }
    if (/[\u0000-\u001f\u007f]/.test(key + value)) throw new ProdError('TARGET_INVALID', 'a pin holds a control character', example)
    if (pins.has(key)) throw new ProdError('TARGET_INVALID', `${key} stands there twice`, example)
    pins.set(key, value)
  }
  return pins
}

/** Throws TARGET_INVALID for what is no account number. */
export function checkAccount(account: string): void {
  if (!/^\d{12}$/.test(account)) throw new ProdError('TARGET_INVALID', `${JSON.stringify(account)} is no account: twelve digits`, example)
}

/** `NAME` or `NAME@sha256`. Pure. Throws TARGET_INVALID. */
export function readDocument(text: string): PinnedDocument {
  const [, name, sha256] = documentForm.exec(text) ?? []
  if (!name)
    throw new ProdError(
      'TARGET_INVALID',
      `${JSON.stringify(text)} is no document: its name, then @ and the SHA-256 of its content`,
      example,
    )
  return {name, ...(sha256 === undefined ? {} : {sha256})}
}
