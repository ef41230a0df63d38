/** The rights of somebody at this moment, and what must still hold when that which leans on them is written (TM-N4). */
import {grantedGroups, readGroups, refuseEnded, storedLogin} from '../identity/logins.ts'
import type {Caller, Parts} from '../parts.ts'
import type {Expect} from '../stores/store.ts'

/** Groups read afresh, for the caller's login must not have ended; `expect` fails the commit once login or a granted group has changed. Throws LOGIN_EXPIRED. */
export async function rightsNow(parts: Parts, caller: Caller): Promise<{caller: Caller; expect: Expect[]}> {
  const before = await storedLogin(parts, caller.login)
  refuseEnded(parts, before?.value)
  const {groups} = await readGroups(parts, before.value)
  // read after the groups, which may have been written into it
  const login = await storedLogin(parts, caller.login)
  refuseEnded(parts, login?.value)
  const {groups: granted, memberships} = await grantedGroups(parts, login.value)
  return {
    caller: {...caller, groups: [...new Set([...groups, ...granted])]},
    expect: [{kind: 'login', id: caller.login, version: login.version}, ...memberships],
  }
}
