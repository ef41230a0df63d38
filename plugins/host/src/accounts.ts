import {execFile} from 'node:child_process'
import {readFileSync} from 'node:fs'
import {promisify} from 'node:util'
import {ProdError} from '@prod/sdk/errors'

/** One OS account, from the machine's user database. */
export interface Account {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

const execute = promisify(execFile)

/** The account called `name`. Throws TOOL_UNAVAILABLE where the machine has none. */
export async function findAccount(name: string): Promise<Account> {
  if (!/^[A-Za-z_][A-Za-z0-9_.-]{0,63}\$?$/.test(name))
    throw new ProdError('TOOL_UNAVAILABLE', `${JSON.stringify(name)} is no name of an account`, 'prod tools')
  const local = line(readFileSync('/etc/passwd', 'utf8'), name)
  // accounts of a directory service are not in the file
  const far =
    local ??
    line(
      (await execute('getent', ['passwd', name], {env: {PATH: '/usr/bin:/bin'}, timeout: 5000}).catch(() => ({stdout: ''}))).stdout,
      name,
    )
  if (!far) throw new ProdError('TOOL_UNAVAILABLE', `this machine has no account ${name}`, 'prod doctor')
  return far
}

function line(passwd: string, name: string): Account | undefined {
  for (const entry of passwd.split('\n')) {
    const [found, , uid, gid] = entry.split(':')
    if (found === name && uid && gid) return {name, uid: Number(uid), gid: Number(gid)}
  }
  return undefined
}

/**
 * Under which account a use runs: null means the runner's own, which development alone allows (TM-H9).
 * @throws TOOL_UNAVAILABLE where that account cannot be had
 */
export async function accountFor(runAs: string | undefined, development: boolean): Promise<Account | null> {
  const own = process.getuid?.() ?? 0
  const account = runAs === undefined ? null : await findAccount(runAs)
  if (account === null || account.uid === own) {
    if (development) return null
    const whose = account === null ? 'the catalog names no account for this' : `${account.name} is the broker's own account`
    throw new ProdError('TOOL_UNAVAILABLE', `${whose}, and nothing runs under the broker's own power`, 'prod doctor')
  }
  if (own !== 0)
    throw new ProdError('TOOL_UNAVAILABLE', `this broker cannot become ${account.name}: it does not run as root`, 'prod doctor')
  return account
}
