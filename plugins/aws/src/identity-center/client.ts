import type {Portal} from '../config/profile.ts'
import {callPortal} from './call.ts'

/** A client registered with the portal. */
export interface Client {
  clientId: string
  clientSecret: string
  registrationExpiresAt: string
}

/** What CreateToken answers. Source: the IAM Identity Center OIDC API Reference. */
export interface TokenAnswer {
  accessToken: string
  expiresIn: number
  refreshToken?: string
}

/** Registers with the portal. Source: RegisterClient of the IAM Identity Center OIDC API. Throws Refused, TARGET_UNREACHABLE. */
export async function register(
  {oidcEndpoint, scopes, startUrl}: Portal,
  how: {grantTypes: string[]; redirectUris?: string[]},
): Promise<Client> {
  const {clientId, clientSecret, clientSecretExpiresAt} = await callPortal<{
    clientId: string
    clientSecret: string
    clientSecretExpiresAt: number
  }>(`${oidcEndpoint}/client/register`, {
    method: 'POST',
    body: {clientName: 'prod', clientType: 'public', scopes, issuerUrl: startUrl, ...how},
  })
  return {clientId, clientSecret, registrationExpiresAt: new Date(clientSecretExpiresAt * 1000).toISOString().replace(/\.\d+Z$/, 'Z')}
}
