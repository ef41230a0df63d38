/**
 * The last words: what a text is about where no tool's form is known. Weak, so that any form goes before; better than to say nothing.
 */
import type {Explainer} from '@prod/sdk/explainer'

/** What a caller shows of itself. */
const token = 'token|jwt|credential|credentials|password|secret key|access key|signature|api key'
const failed = 'failed|failure|error|invalid|rejected|refused|not accepted|incorrect|wrong|unsuccessful'

export const hints: Explainer = {
  id: 'hints',
  rules: [
    {
      category: 'credentials_expired',
      confidence: 0.53,
      match: [
        '{token|credential|credentials|session|assertion|ticket|certificate|signature|key|login} {few:few}expired',
        'token expiry {few:few}is earlier than',
        '{expired|expiration of} {few:few}{token|credential|session|assertion|login}',
      ],
      // of "expired or invalid" only that it was not accepted is sure
      unless: ['lock', 'cache expired', 'invalid or expired', 'invalid or has expired', 'expired or invalid', 'expired or is invalid'],
    },
    {
      category: 'credentials_invalid',
      confidence: 0.51,
      match: [
        'error authenticating to idp',
        'error authenticating',
        'check your username and password',
        'authenticat{ion|e|ing} {few:few}{failed|failure|refused|rejected|denied|unsuccessful}',
        '{failed|unable|could not|cannot|error|failure} {few:few}{authenticate|authenticating|log in|login to|sign in}',
        `{${token}} {few:few}{${failed}}`,
        `{invalid|incorrect|wrong|bad|rejected|unknown} {few:few}{${token}|login}`,

        'not a valid saml assertion',
        'did not contain a valid saml assertion',
      ],
      unless: ['unexpected token', 'syntaxerror', 'token <', 'token }', 'json'],
    },
    {
      // surer than the 403 beside it
      category: 'credentials_invalid',
      confidence: 0.59,
      match: [
        '{provided|supplied|given|sent|your|access|bearer|api|the} {token|credentials|api key|jwt} {is|are|was|were} {invalid|not valid|not accepted|no longer valid|malformed}',
        '{invalid|bad|unknown|revoked} {access token|bearer token|api key|api token|auth token|client secret}',
      ],
      unless: ['unexpected token', 'kube'],
    },
    {
      category: 'credentials_missing',
      confidence: 0.6,
      match: [
        '{no|missing|without|set|provide|require|requires|needs|specify} {few:few}{aws_access_key_id|aws_secret_access_key|aws_session_token|google_application_credentials}',
        '{aws_access_key_id|aws_secret_access_key|aws_session_token|google_application_credentials} {few:few}{missing|not set|is required|not found|undefined|empty|must be set}',
      ],
      unless: ['expired', 'invalid'],
    },
    {
      category: 'credentials_missing',
      confidence: 0.6,
      match: [
        '{no|missing|without} {authorization|authentication|auth|access|bearer|api|id|session|} {token|header|key} {provided|supplied|found|given|present|sent|in}',
        '{missing|no} {authorization|authentication|auth} {token|header}',
        '{authorization|authentication|auth} {token|header|key} {is missing|missing|not provided|not found|was not provided|is required|required|not present|is not set}',
      ],
      unless: ['denied', 'forbidden', 'kube'],
    },
    {
      category: 'not_a_denial',
      confidence: 0.565,
      match: ['{status|code|error|http|returned|response} {few:few}404', '404 not found', '(404)'],
      unless: ['metadata', 'meta-data'],
    },
    {
      category: 'credentials_missing',
      confidence: 0.54,
      match: [
        'authentication required',
        'authentication is required',
        'login required',
        'login is required',
        'not logged in',
        'you must log in',
        'please log in',
      ],
      unless: ['proxy authentication', 'interactive authentication', 'denied', 'forbidden'],
    },
    {
      category: 'credentials_missing',
      confidence: 0.505,
      match: [
        '{no|missing|without|not find|not found|not locate|not provided|not set|not configured} {few:few}{credential|access key|secret key|aws_access_key_id|aws_profile}',
        '{credential|access key|secret key|aws_access_key_id|aws_profile} {few:few}{missing|not set|not found|not provided|not configured|is empty|required}',
        '{please|must|to|should} configure {few:few}credentials',
        "{could not|couldn't|cannot|can't|unable to|failed to|failure to|did not|didn't} {few:few}{find|load|read|resolve|obtain|retrieve|fetch|locate|determine|acquire} {few:few}credential",
      ],
    },
    {
      category: 'role_assume_denied',
      confidence: 0.64,
      match: [
        'assum{e|ing|ption of} {few:few}role {few:few}{failed|denied|refused|not allowed|not permitted|not possible}',
        'role {few:few}{cannot|could not|can not|may not|not be} {few:few}assumed',
        '{trust policy|trust relationship} {few:few}{not allow|not trust|not permit|missing|denies|denied|refuses}',
      ],
      unless: ['expired', 'multifactor', 'rate exceeded'],
    },
    {
      category: 'target_unreachable',
      confidence: 0.56,
      match: [
        "{ssm|ecs exec|exec agent|session manager|ssm agent|bastion|managed instance|target instance} {few:few}{not connected|not running|isn't running|not reachable|unreachable|offline|not online|not registered|not responding|not respond}",
        'instance i-{id} is {stopped|terminated|not running|hibernated}',
      ],
    },
    {
      category: 'throttled',
      confidence: 0.55,
      match: [
        '{status|code|error|http|response} {few:few}429',
        '{requests|calls|rate} {few:few}{throttled|limited|exceeded|too high|limit reached}',
      ],
      unless: ['quota', 'limit-'],
    },
    {
      category: 'credentials_missing',
      confidence: 0.52,
      match: [
        'instanceprofileprovider',
        'ec2rolerequesterror',
        'ec2metadataerror',
        'no ec2 instance role',
        'meta-data/iam/security-credentials',
        '{instance|container|ec2} metadata {few:few}{error|failed|timed out|not available|unavailable}',
        '{failed|unable|error|cannot} {few:few}{instance metadata|ec2 metadata|container credentials|instance profile credentials}',
      ],
    },
    {
      category: 'network_denied',
      confidence: 0.51,
      match: [
        '{lost|no|broken|dropped|failed} {few:few}connection',
        "{cannot|can't|could not|couldn't|unable to|failed to|not} {few:few}{reach|connect to|resolve|open a connection|establish}",
        'connection {few:few}{failed|lost|dropped|error|closed|reset|refused|timed out|not established}',
        'nameresolutionfailure',
        'dispatch failure',
        'dispatchfailure',
        'webexception with status {few:few}',
        'connectfailure',
        '{socket|tls|ssl|handshake|dns|proxy} {few:few}{error|failed|failure|closed|timed out|timeout|refused}',
        '{host|server|endpoint|network} {few:few}{unreachable|not reachable|not respond|unavailable|timed out}',
      ],
    },
    {
      category: 'credentials_invalid',
      confidence: 0.5,
      match: '{status|code|response|error|http|returned} {few:few}401',
      alone: true,
    },
    {
      category: 'unknown_denial',
      confidence: 0.5,
      match: [
        'permission {few:few}denied',
        'access {few:few}denied',
        'denied {few:few}access',
        'not {few:few}authorized',
        "{not|n't} have {few:few}{access to|permission}",
        'explicit deny',
        'verify that {few:few}has access to {resource}',
        '{status|code|response|error|http|returned} {few:few}403',
      ],
      alone: true,
    },
  ],
}
