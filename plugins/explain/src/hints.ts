/**
 * The last words: what a text is about where no tool's form is known. Weak, so that any form goes before; better than to say nothing.
 */
import type {Explainer} from '@prod/sdk/explainer'

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
      unless: ['lock', 'cache expired'],
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
        `{token|credential|credentials|password|secret key|access key|signature|api key} {few:few}{${failed}}`,
        '{invalid|incorrect|wrong|bad|rejected|unknown} {few:few}{token|credential|password|secret key|access key|signature|api key|login}',
        'not a valid saml assertion',
        'did not contain a valid saml assertion',
      ],
      unless: ['unexpected token', 'syntaxerror', 'token <', 'token }', 'json'],
    },
    {
      category: 'credentials_missing',
      confidence: 0.505,
      match: [
        '{no|missing|without|not find|not found|not locate|not provided|not set|not configured} {few:few}{credential|access key|secret key|aws_access_key_id|aws_profile}',
        '{credential|access key|secret key|aws_access_key_id|aws_profile} {few:few}{missing|not set|not found|not provided|not configured|is empty|required}',
      ],
    },
    {
      category: 'unknown_denial',
      confidence: 0.5,
      match: ['permission {few:few}denied', 'access {few:few}denied', 'denied {few:few}access', 'not {few:few}authorized'],
      alone: true,
    },
  ],
}
