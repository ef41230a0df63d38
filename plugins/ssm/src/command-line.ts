import type {Use} from '@prod/sdk'
import {fixedEnvironment} from '@prod/sdk/environment'
import {ProdError} from '@prod/sdk/errors'
import {quoteWords} from './quote.ts'

/**
 * The one text that a document takes, for a program and its arguments: what the catalog fixed, and argv quoted word by word (TM-H5).
 * The environment is built from nothing (TM-H8); another account by sudo, which asks for no password. Pure. Throws TOOL_UNAVAILABLE.
 */
export function commandLine({program, argv, env, runAs}: Extract<Use, {kind: 'exec'}>): string {
  if (!program.path.startsWith('/')) throw new ProdError('TOOL_UNAVAILABLE', `${program.path} is no absolute path`, 'prod tools')
  const variables = Object.entries({...fixedEnvironment, HOME: '/', ...env}).map(([name, value]) => {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      throw new ProdError('TOOL_UNAVAILABLE', `${JSON.stringify(name)} is no variable`, 'prod tools')
    return `${name}=${value}`
  })
  const words = [...asAccount(runAs), '/usr/bin/env', '-i', ...variables, program.path, ...argv.slice(1)]
  if (words.some(word => word.includes('\0'))) throw new ProdError('TOOL_UNAVAILABLE', 'an argument holds a NUL', 'prod tools')
  return quoteWords(words)
}

/** The text that opens a login shell of an account. Pure. */
export function loginShell(runAs: string): string {
  return quoteWords([...asAccount(runAs).slice(0, -1), '-i'])
}

function asAccount(runAs: string | undefined): string[] {
  if (runAs === undefined) return []
  if (!/^[a-z_][a-z0-9_-]{0,31}$/.test(runAs))
    throw new ProdError('TOOL_UNAVAILABLE', `${JSON.stringify(runAs)} is no account`, 'prod tools')
  return ['/usr/bin/sudo', '-n', '-u', runAs, '--']
}
