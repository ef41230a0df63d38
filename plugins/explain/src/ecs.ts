/** Amazon ECS: Exec that is not on, and tasks that cannot fetch what they need. Source: "Using ECS Exec", "Stopped task error codes". */
import type {Explainer} from '@prod/sdk/explainer'

export const ecs: Explainer = {
  id: 'ecs',
  rules: [
    {
      category: 'target_unreachable',
      confidence: 0.955,
      match: [
        'execute command was not enabled',
        'execute command is not enabled',
        'execute command agent is not running',
        "execute command agent isn't running",
        'execute command failed because',
        'execute command failed due to an internal error',
        'the execute command failed',
        'executecommandagent',
        'ecs exec is not enabled',
        'ecs exec not enabled',
        'targetnotconnectedexception',
        'cannotstartmanagedagent',
        'failed to start managed agent',
        'exec enabled for task | no',
        'managed agent status | stopped',
        'managed agent status | 1. stopped',
        'execute command agent is stopped',
      ],
    },
    {
      category: 'role_assume_denied',
      confidence: 0.98,
      match: [
        'ecs was unable to assume {the |}role {role}',
        'ecs was unable to assume',
        'unable to assume the service linked role',
        'unable to assume the service-linked role',
        'unable to assume the role {role}',
      ],
    },
    {
      category: 'network_denied',
      confidence: 0.86,
      match: ['check your task network configuration', 'there is a connection issue between the task and'],
    },
    {
      category: 'unknown_denial',
      confidence: 0.61,
      match: [
        'unable to pull secrets or registry auth',
        'cannotpullcontainererror',
        'cannotpullecrcontainererror',
        'resourceinitializationerror',
      ],
      near: ['denied', 'forbidden', 'not authorized', 'unauthorized', '403'],
    },
    {
      category: 'not_a_denial',
      confidence: 0.53,
      match: [
        'clusternotfoundexception',
        'servicenotfoundexception',
        'servicenotactiveexception',
        'is unable to place a task',
        'manifest unknown',
        'essential container in task exited',
      ],
    },
  ],
  readings: [
    {match: 'failed to fetch secret {resource} from'},
    {match: 'cannotpullcontainererror: {any:text} pull access denied for {resource},', fields: {resource: '{resource}'}},
    {match: 'unable to retrieve secret from asm: {any:text} arn:{rest}', fields: {}},
    {match: 'fetching secret data from {any:text}: {resource}:', fields: {}},
  ],
}
