/** What happened, in one sentence for each category. */
import type {Category} from '../explainer.ts'
import type {Finding} from './finding.ts'

/** `{who}`, `{what}`, `{on}` and `{role}` stand for what the message names, else for plain words. No full stop: it is put at the end. */
const sentences: Readonly<Record<Category, string>> = {
  role_assume_denied: '{who} may not take {role}: its trust policy, sts:AssumeRole or the assignment is missing',
  action_not_allowed: '{who} has no policy that allows {what}{on}: the role lacks the action',
  explicit_deny_identity:
    'a Deny statement stops {who} from {what}{on}; another role without that statement may do it, a further grant will not',
  scp_deny: 'a service control policy of the organization stops {what}{on}; no role in the account helps',
  rcp_deny: 'a resource control policy of the organization that owns it stops {what}{on}; no role helps',
  permissions_boundary: 'the permissions boundary of {who} stops {what}{on}; a further policy on the role does not help',
  session_policy: 'the policy of this session stops {what}{on}; the role itself may allow it',
  resource_policy: 'the policy of the resource itself stops {what}{on}; its owner decides',
  vpc_endpoint_policy: 'the policy of the VPC endpoint on the way stops {what}{on}; no role helps',
  kms_key: '{who} may not use the KMS key that this needs',
  credentials_expired: 'the credentials are past their end',
  credentials_missing: 'the tool found no credentials',
  credentials_invalid: 'the credentials were sent and not accepted',
  mfa_required: 'a second factor is missing or was not accepted',
  clock_skew: 'this machine’s clock is too far from the service’s',
  sso_session_expired: 'the SSO login has ended',
  target_unreachable: 'the far end does not answer{on}: it is stopped, not registered, or not set up for this way in',
  k8s_rbac: 'Kubernetes knows {who} and does not allow {what}{on}: a role binding is missing',
  k8s_unauthenticated: 'Kubernetes does not know who is calling',
  gcp_iam: 'Google Cloud does not allow {who} {what}{on}',
  gcp_unauthenticated: 'there is no usable Google login',
  db_auth: 'the database refuses {who}: login, password or privilege',
  network_denied: 'there is no connection{to}: a timeout, a refusal, a proxy or a private endpoint',
  throttled: 'too many requests: the same will pass later',
  not_a_denial: 'this is no denial: something is missing, invalid or switched off, and no role cures it',
  unknown_denial: 'access was denied{on}, and the text does not say why',
}

/** One sentence of what a finding means. A bare "explicit deny" says that the type of the policy is not known. Pure. */
export function summarise({category, fields, by, words, confidence, says}: Finding): string {
  const {principal, action, resource, role} = fields
  const known: Readonly<Record<string, string>> = {
    who: principal ?? 'the caller',
    what: action ?? 'this',
    on: resource === null ? '' : ` on ${resource}`,
    to: resource === null ? '' : ` to ${resource}`,
    role: role ?? 'this role',
  }
  if (category === 'explicit_deny_identity' && words.bare !== undefined)
    return `an explicit deny stops ${known.what}${known.on}; the text does not say in which kind of policy.`
  if (category === 'not_a_denial' && by === '' && confidence < 0.3) return 'nothing in this text speaks of denied access.'
  return `${(says ?? sentences[category]).replace(/\{(\w+)\}/g, (_, name: string) => known[name] ?? '')}.`
}
