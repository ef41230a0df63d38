/** Where a person's AWS files are. Light: the fast path loads it. */
import {statSync} from 'node:fs'
import {join} from 'node:path'

/** Where the files are. */
export interface AwsPaths {
  config: string
  credentials: string
  /** tokens of IAM Identity Center, one file a session; the AWS CLI and every SDK know the place */
  tokens: string
}

/** `AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE`, else `~/.aws`; inside a child of ours, what they were outside. Pure. */
export function awsPaths(env: NodeJS.ProcessEnv): AwsPaths {
  const home = env.HOME || env.USERPROFILE || process.getBuiltinModule('node:os').homedir()
  const own = (name: string): string => join(home, '.aws', name)
  const given = (path: string | undefined): string | undefined => (path?.startsWith('~/') ? join(home, path.slice(2)) : path) || undefined
  return {
    config: given(env.PROD_AWS_CONFIG_FILE) ?? given(env.AWS_CONFIG_FILE) ?? own('config'),
    credentials: given(env.PROD_AWS_CREDENTIALS_FILE) ?? given(env.AWS_SHARED_CREDENTIALS_FILE) ?? own('credentials'),
    tokens: own('sso/cache'),
  }
}

/** What tells one state of a file from another: changed at, size; absent is a state too. */
export function fileStates({config, credentials}: AwsPaths): string {
  const state = (path: string): string => {
    try {
      const stat = statSync(path, {throwIfNoEntry: false})
      return stat ? `${path} ${stat.mtimeMs} ${stat.size} ${stat.ino}` : `${path} -`
    } catch (error) {
      return `${path} ${(error as NodeJS.ErrnoException).code}`
    }
  }
  return `${state(config)}\n${state(credentials)}`
}
