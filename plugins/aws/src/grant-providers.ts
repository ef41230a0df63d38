/** What a broker confers at AWS. What asks AWS loads when it is asked. */
import {defineGrantProvider, type GrantProvider} from '@prod/sdk/grant-provider'
import {type CenterRole, parseCenterRole} from './providers/center-role.ts'
import {parseStsRole, type StsRole} from './providers/sts-role.ts'

/** Sessions of an IAM role. */
export const awsSts: GrantProvider<StsRole> = defineGrantProvider<StsRole>({
  id: 'aws-sts',
  summary: 'a session of an IAM role, for the person and the grant alone',
  usesAllows: true,
  reachesTargets: true,
  parse: parseStsRole,
  reach: ({account, resources, regions}) => ({account, resources, regions}),
  confer: async (grant, role, bounds) => (await import('./providers/sts.ts')).confer(grant, role, bounds),
  revoke: async (grant, role) => (await import('./providers/sts.ts')).revoke(grant, role),
  async *list(known) {
    yield* (await import('./providers/sts.ts')).list(known)
  },
  refused: async (grant, role, signal) => (await import('./providers/sts.ts')).refused(grant, role, signal),
})

/** Account assignments of IAM Identity Center. */
export const awsIdentityCenter: GrantProvider<CenterRole> = defineGrantProvider<CenterRole>({
  id: 'aws-identity-center',
  summary: 'a permission set of IAM Identity Center in one account, for the person alone',
  parse: parseCenterRole,
  reach: ({account}) => ({account}),
  confer: async (grant, role) => (await import('./providers/center.ts')).confer(grant, role),
  revoke: async (grant, role, known) => (await import('./providers/center.ts')).revoke(grant, role, known),
  async *list(known) {
    yield* (await import('./providers/center.ts')).list(known)
  },
})
