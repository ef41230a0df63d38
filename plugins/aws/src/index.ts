/** The plugin: the AWS roles that a person has. What asks AWS loads when it is asked. */
import type {GrantProvider} from '@prod/sdk/grant-provider'
import {awsIdentityCenter, awsSts} from './grant-providers.ts'

export {roleSource} from './role-source.ts'

/** For a broker whose configuration names the plugin. */
export const grantProviders: readonly GrantProvider<never>[] = [awsSts as GrantProvider<never>, awsIdentityCenter as GrantProvider<never>]
