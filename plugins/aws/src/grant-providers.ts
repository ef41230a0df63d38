/** What a broker confers at AWS. What asks AWS loads when it is asked. */
import {defineGrantProvider, type GrantProvider} from '@prod/sdk/grant-provider'
import {parseStsRole, type StsRole} from './providers/sts-role.ts'

/** Sessions of an IAM role. */
export const awsSts: GrantProvider<StsRole> = defineGrantProvider<StsRole>({
  id: 'aws-sts',
  summary: 'a session of an IAM role, for the person and the grant alone',
  usesAllows: true,
  parse: parseStsRole,
  confer: async (grant, role) => (await import('./providers/sts.ts')).confer(grant, role),
  revoke: async (grant, role) => (await import('./providers/sts.ts')).revoke(grant, role),
  async *list(known) {
    yield* (await import('./providers/sts.ts')).list(known)
  },
  refused: async (grant, role, signal) => (await import('./providers/sts.ts')).refused(grant, role, signal),
})
