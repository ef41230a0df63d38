/** The plugin: the AWS roles that a person has. What asks AWS loads when it is asked. */
import type {RoleSource} from '@prod/sdk/role-source'
import {listRoles} from './roles.ts'

/** Profiles of `~/.aws` and roles of IAM Identity Center. */
export const roleSource: RoleSource = {
  id: 'aws',
  list: async () => listRoles(),
  refresh: async progress => (await import('./identity-center/refresh.ts')).refreshAll(progress),
}
