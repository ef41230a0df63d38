/** Where the tools' own wrapping names the operation that failed, in every technology that goes through them. */
import type {Reading} from '../explainer.ts'

/** The operation of an API as CLI, boto3, the Go, PHP, .NET and Rust SDKs and CloudTrail write it. */
export const wrappers: readonly Reading[] = [
  {match: 'error calling {action}: '},
  {match: 'when calling the {action} operation'},
  {match: 'when calling the {action} api'},
  {match: 'an error occurred ({code}) when calling {the |}{action}', fields: {action: '{action}'}},
  {match: 'the {action} operation:'},
  {match: 'operation error {service:text}: {action},'},
  {match: 'while calling {action} on '},
  {match: 'error details - {action} error: '},
  {match: 'call failed: {action}({{}'},
  {match: '{fails|failed|on|in|during} the {action} call'},
  {
    match: 'Error executing "{action}" on "{resource}"',
    of: ['unknown_denial', 'action_not_allowed', 'explicit_deny_identity', 'resource_policy', 'kms_key', 'network_denied'],
  },
  {match: 'Error executing "{action}"'},
  {match: '"eventName": "{action}"'},
  {match: '"eventName":"{action}"'},
  {match: '{action} request is not allowed'},
  {match: '--profile {profile}'},
  {match: 'profile: {profile}'},
]

/** What stands before an encoded authorization message. */
export const encodedForms: readonly string[] = [
  'encoded authorization failure message: {encoded}',
  'encoded authorization message: {encoded}',
  'encoded failure message: {encoded}',
  'decode-authorization-message --encoded-message {encoded}',
]
