/** From a command line to the IAM actions it needs. Pure: what is not known is said, never guessed. */
import {basename} from 'node:path'
import {operationActions} from './operations.ts'
import {iamPrefix} from './services.ts'

/** The actions of a command, or why they are not known. */
export type Needs = {actions: readonly string[]} | {unknown: string}

/** Options that stand before the service, or anywhere; those that take a value. */
const withValue = new Set([
  '--ca-bundle',
  '--cli-binary-format',
  '--cli-connect-timeout',
  '--cli-read-timeout',
  '--color',
  '--endpoint-url',
  '--output',
  '--profile',
  '--query',
  '--region',
])

/** Commands of the CLI that speak to no service. */
const local = new Set(['configure', 'help', 'history', 'login', 'logout', 'sso'])

/** What `aws SERVICE OPERATION …` needs. Any other program is unknown: nobody can tell what it will ask. */
export function actionsOf(argv: readonly string[]): Needs {
  const [program = ''] = argv
  if (!/^aws2?(\.exe|\.cmd)?$/.test(basename(program)))
    return {unknown: `what ${basename(program) || 'the command'} asks AWS for is not known`}
  const {service, operation, rest} = operationOf(argv)
  if (service === undefined || local.has(service)) return {actions: []}
  if (operation === undefined || operation === 'help' || rest.includes('help')) return {actions: []}
  if (service === 's3') return highLevel(operation, rest)
  const prefix = iamPrefix(service)
  if (prefix === undefined) return {unknown: `the service ${service} is not known`}
  const actions = operationActions(service, prefix, operation, rest)
  return actions ? {actions} : {unknown: `what aws ${service} ${operation} needs is not known`}
}

/** Service and operation of an `aws` command, and the words after them. */
export function operationOf(argv: readonly string[]): {
  service: string | undefined
  operation: string | undefined
  rest: readonly string[]
} {
  const [service, afterService] = nextWord(argv.slice(1))
  const [operation, rest] = nextWord(afterService)
  return {service, operation, rest}
}

/** The next word that is no option, and what follows it. */
function nextWord(words: readonly string[]): [word: string | undefined, rest: readonly string[]] {
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string
    if (!word.startsWith('-')) return [word, words.slice(at + 1)]
    if (withValue.has(word)) at += 1
  }
  return [undefined, []]
}

/** Options of `aws s3` that take a value. */
const s3WithValue = new Set([
  ...withValue,
  '--acl',
  '--cache-control',
  '--checksum-algorithm',
  '--checksum-mode',
  '--content-disposition',
  '--content-encoding',
  '--content-language',
  '--content-type',
  '--copy-props',
  '--error-document',
  '--exclude',
  '--expected-size',
  '--expires',
  '--expires-in',
  '--grants',
  '--include',
  '--index-document',
  '--metadata',
  '--metadata-directive',
  '--page-size',
  '--request-payer',
  '--source-region',
  '--sse',
  '--sse-c',
  '--sse-c-copy-source',
  '--sse-c-copy-source-key',
  '--sse-c-key',
  '--sse-kms-key-id',
  '--storage-class',
  '--website-redirect',
])

/** Paths and flags of `aws s3 COMMAND …`. */
export function s3Words(rest: readonly string[]): {paths: string[]; flags: Set<string>} {
  const paths: string[] = []
  const flags = new Set<string>()
  for (let at = 0; at < rest.length; at++) {
    const word = rest[at] as string
    // `-` is stdin or stdout
    if (word === '-' || !word.startsWith('-')) paths.push(word)
    else {
      flags.add(word.split('=')[0] as string)
      if (s3WithValue.has(word)) at += 1
    }
  }
  return {paths, flags}
}

/** `aws s3 …`: commands that make several calls. Source: the AWS CLI's user guide, "Using high-level s3 commands". */
function highLevel(command: string, rest: readonly string[]): Needs {
  const {paths, flags} = s3Words(rest)
  const [from, to] = paths.map(path => path.startsWith('s3://'))
  const many = flags.has('--recursive') || command === 'sync'
  const actions = new Set<string>()
  const add = (...names: string[]): void => {
    for (const name of names) actions.add(`s3:${name}`)
  }
  switch (command) {
    case 'ls':
      add(paths.length === 0 || paths[0] === 's3://' ? 'ListAllMyBuckets' : 'ListBucket')
      break
    case 'cp':
    case 'mv':
    case 'sync':
      if (paths.length !== 2 || !(from || to)) return {unknown: `aws s3 ${command} takes two paths, one of them s3://`}
      if (many) add('ListBucket')
      if (from) add('GetObject')
      if (to) add('PutObject')
      if (to && (flags.has('--acl') || flags.has('--grants'))) add('PutObjectAcl')
      if ((from && command === 'mv') || (to && flags.has('--delete'))) add('DeleteObject')
      break
    case 'rm':
      if (many) add('ListBucket')
      add('DeleteObject')
      break
    case 'mb':
      add('CreateBucket')
      break
    case 'rb':
      if (flags.has('--force')) add('ListBucket', 'DeleteObject')
      add('DeleteBucket')
      break
    case 'presign':
      add('GetObject')
      break
    case 'website':
      add('PutBucketWebsite')
      break
    default:
      return {unknown: `what aws s3 ${command} needs is not known`}
  }
  return {actions: [...actions]}
}
