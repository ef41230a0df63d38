/** Session documents: whether what is there is what was approved, and whether it logs sessions (TM-X1, TM-X3). */
import {createHash} from 'node:crypto'
import {ProdError} from '@prod/sdk/errors'
import {AwsRefused, json, type Way} from './aws/call.ts'
import {interactive, preferences} from './permissions.ts'
import type {PinnedDocument} from './target.ts'

export {preferences} from './permissions.ts'

/** How strictly the documents of a use are looked at. */
export interface Demands {
  /** the document to be used; undefined: the account's preferences */
  document: PinnedDocument | undefined
  use: 'exec' | 'shell' | 'forward'
  /** the account logs the session, by this document or by its preferences */
  logged: boolean
  /** a document of the account's own is pinned */
  pinned: boolean
}

interface Content {
  sessionType?: string
  inputs?: Record<string, unknown>
  properties?: Record<string, {commands?: unknown; separateOutputStream?: unknown}>
}

/**
 * Looks at the document as it is now. Nothing is asked where nothing is demanded. Throws TARGET_INVALID for one that is missing, is
 * not the pinned one, logs nowhere, or would have a shell read what is quoted for none.
 */
export async function checkDocument(way: Way, {document, use, logged, pinned}: Demands): Promise<void> {
  // AWS's own cannot be edited, and those for ports are never logged
  const own = document === undefined || !document.name.startsWith('AWS-')
  if (document && own && (document.sha256 || pinned)) {
    const {text, content} = await fetchDocument(way, document.name)
    checkDigest(document, text, use)
    if (use === 'exec') checkCommand(document.name, content)
    if (use === 'shell' && !/^(?:Standard_Stream|InteractiveCommands)$/.test(content.sessionType ?? ''))
      throw new ProdError('TARGET_INVALID', `the document ${document.name} opens no shell but ${content.sessionType}`, 'shell=NAME@SHA256')
    if (logged && use !== 'forward') refuseUnlogged(document.name, content)
    return
  }
  if (!logged || use === 'forward') return
  const {content} = await fetchDocument(way, preferences).catch((error: unknown) => {
    if (error instanceof ProdError && error.code === 'TARGET_INVALID') throw unlogged('the account has no preferences for sessions')
    throw error
  })
  refuseUnlogged(preferences, content)
}

/**
 * The version of a document that Run Command or Automation is to take, so that what was looked at is what runs. Undefined: AWS's own,
 * which no account can edit. Throws TARGET_INVALID for one that is not the pinned one, or where `strict` says so is not pinned.
 */
export async function pinnedVersion(
  way: Way,
  document: PinnedDocument | undefined,
  {strict, key}: {strict: boolean; key: string},
): Promise<string | undefined> {
  if (document === undefined || document.name.startsWith('AWS-') || !(document.sha256 || strict)) return undefined
  const {text, version} = await fetchDocument(way, document.name)
  checkDigest(document, text, key)
  return version
}

function checkDigest({name, sha256}: PinnedDocument, text: string, key: string): void {
  const now = digestOf(text)
  if (sha256 === undefined)
    throw new ProdError(
      'TARGET_INVALID',
      `the document ${name} is not pinned: whoever may edit it decides what runs`,
      `in the address: ${key}=${name}@${now}`,
    )
  if (now !== sha256)
    throw new ProdError(
      'TARGET_INVALID',
      `the document ${name} is not the pinned one: its SHA-256 is ${now}`,
      'look at what was changed, then mend the target in the catalog',
    )
}

/** SHA-256 of a document's content, as `GetDocument` gives it. */
export function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

async function fetchDocument(way: Way, name: string): Promise<{text: string; content: Content; version: string | undefined}> {
  let text: string
  let version: string | undefined
  try {
    const answer = await json<{Content: string; DocumentVersion?: string}>('ssm', way, 'GetDocument', {Name: name, DocumentFormat: 'JSON'})
    text = answer.Content
    version = answer.DocumentVersion
  } catch (error) {
    if (error instanceof AwsRefused && /InvalidDocument/.test(error.code))
      throw new ProdError(
        'TARGET_INVALID',
        `there is no document ${name} in this account and region`,
        'docs/aws-sessions.md, "Documents"',
        {
          cause: error,
        },
      )
    throw error
  }
  try {
    return {text, content: JSON.parse(text) as Content, version}
  } catch (cause) {
    throw new ProdError('TARGET_INVALID', `the document ${name} cannot be read`, 'docs/aws-sessions.md, "Documents"', {cause})
  }
}

/** What is sent is quoted for a splitter of words: a document that gives it to a shell inside of other text would undo that. */
export function checkCommand(name: string, {sessionType, properties = {}}: Content): void {
  const mend = 'docs/aws-sessions.md, "Documents"'
  if (sessionType === 'InteractiveCommands')
    throw new ProdError(
      'TARGET_INVALID',
      `the document ${name} opens a terminal, which for programs AWS's own alone does`,
      `exec=${interactive} in the address of the target`,
    )
  if (sessionType !== 'NonInteractiveCommands')
    throw new ProdError('TARGET_INVALID', `the document ${name} runs no single command: its session type is ${sessionType}`, mend)
  for (const {commands} of Object.values(properties)) {
    if (typeof commands !== 'string' || !/^\{\{\s*command\s*\}\}$/.test(commands))
      throw new ProdError('TARGET_INVALID', `the document ${name} puts other text around {{ command }}`, mend)
  }
}

function refuseUnlogged(name: string, {inputs = {}}: Content): void {
  const says = (key: string): boolean => inputs[key] === true || inputs[key] === 'true'
  const bucket = typeof inputs.s3BucketName === 'string' && inputs.s3BucketName !== ''
  const group = typeof inputs.cloudWatchLogGroupName === 'string' && inputs.cloudWatchLogGroupName !== ''
  if (!bucket && !group) throw unlogged(`${name} logs sessions nowhere`)
  if ((bucket && !says('s3EncryptionEnabled')) || (group && !says('cloudWatchEncryptionEnabled')))
    throw unlogged(`${name} logs sessions without encryption`)
}

function unlogged(what: string): ProdError {
  return new ProdError(
    'TARGET_INVALID',
    `${what}, so nothing was opened`,
    'docs/aws-sessions.md, "Logging"; where the broker\'s own recording is enough: logging=broker in the address',
  )
}
