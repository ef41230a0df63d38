/** The roles that a person has, for `prod roles`: an entry of its own, since every list of roles loads it. */
import type {RoleSource} from '@prod/sdk/role-source'
import {listRoles} from './roles.ts'

/** Profiles of `~/.aws` and roles of IAM Identity Center. What asks AWS loads when it is asked. */
export const roleSource: RoleSource = {
  id: 'aws',
  list: async () => listRoles(),
  credential: async role => {
    const {credentials} = await (await import('./credentials/obtain.ts')).obtain(role, {fresh: true})
    const {Version: _, ...credential} = credentials
    return credential
  },
  decodeMessage: async (encoded, role) => (await import('./iam/decode.ts')).decodeMessage(encoded, role),
  watchRefusal: async (client, grant) => (await import('./granted/refused.ts')).watchRefusal(client, grant),
  refresh: async progress => (await import('./identity-center/refresh.ts')).refreshAll(progress),
}
