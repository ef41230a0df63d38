/** AWS Systems Manager and EC2 Instance Connect: instances that do not answer. Source: StartSession, SendCommand, "Troubleshooting Session Manager". */
import type {Explainer} from '@prod/sdk/explainer'

export const ssm: Explainer = {
  id: 'ssm',
  rules: [
    {
      category: 'target_unreachable',
      confidence: 0.955,
      match: [
        'targetnotconnected) when calling the {action} operation: {resource} is not connected',
        'targetnotconnected: {resource} is not connected',
        'the startsession operation: {resource} is not connected',
        'instances [[{resource}]] not in a valid state',
        'instances not in a valid state',
        'instances {resource} not in a valid state',
      ],
    },
    {
      category: 'target_unreachable',
      confidence: 0.95,
      match: [
        'targetnotconnected',
        'not in a valid state for account',
        'invalidinstanceid:',
        'invalidinstanceid)',
        'invalidinstanceidexception',
        'instance {resource} is not connected',
        '{resource} is not connected',
        '{resource} is not registered with ssm',
        '{resource} is not managed by',
        'is not a managed instance',
        'instance is not managed',
        'ssm agent is not {running|installed|online|connected|registered|responding}',
        "ssm agent isn't {running|installed|online|connected|registered}",
        'ssm agent not {running|installed|online|connected|registered}',
        'ssm agent is offline',
        'instance is not {online|registered|connected}',
        'instance {resource} is not {online|registered|running}',
        'ping status {is |: |}connection',
        'ec2instancestateinvalid',
        'ec2instancenotfound',
        'ec2instanceunavailable',
        'the instance is not running',
        'deliverytimedout',
        'delivery timed out',
        'undeliverable',
        'requires advanced-instances tier',
        'enable advanced-instances tier',
        'ec2 instance connect endpoint',
      ],
    },
    {
      category: 'target_unreachable',
      confidence: 0.95,
      match: [
        'failed to create websocket for datachannel',
        'setting up data channel with id',
        'encountered error while initiating handshake',
      ],
      unless: ['dial tcp', 'i/o timeout', 'no such host', 'connection refused', 'not authorized to perform'],
    },
  ],
  readings: [
    {match: 'for target: {resource}'},
    {match: 'instances [[{resource}]]'},
    {match: '--target {resource}', of: ['target_unreachable']},
  ],
}
