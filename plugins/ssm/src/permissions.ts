import type {Permission, Use} from '@prod/sdk'
import {partitionOf} from './aws/call.ts'
import type {Target} from './target.ts'

/** AWS's document that runs a text at a terminal; a program by it has input, signals and a status, since those are carried over that. */
export const interactive = 'AWS-StartInteractiveCommand'

/** The document of each use: what the target names, else AWS's own. */
export function documentOf(target: Target, use: Use): string | undefined {
  if (use.kind === 'exec') return target.exec?.name ?? 'AWS-StartNonInteractiveCommand'
  if (use.kind === 'forward')
    return isInstance(use.to.host) ? 'AWS-StartPortForwardingSession' : 'AWS-StartPortForwardingSessionToRemoteHost'
  if (use.runAs !== undefined) return interactive
  return target.shell?.name
}

/** Session Manager passes input on to a terminal alone. Pure. */
export function lacksStdin(target: Target): {why: string; instead: string} | undefined {
  const name = target.exec?.name ?? 'AWS-StartNonInteractiveCommand'
  if (name === interactive) return undefined
  return {
    why: `Session Manager passes none on to a program by the document ${name}`,
    instead: `exec=${interactive} in the address of the target`,
  }
}

/** Whether a forward goes to the instance itself. */
export function isInstance(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
}

/** What an account's preferences for shells are called; StartSession takes them where no document is named. */
export const preferences = 'SSM-SessionManagerRunShell'

/**
 * The least one use needs (TM-X1): the session on this instance with this document, whose explicit permission is asked for; the data
 * channel, resuming and ending of one's own session; a data key for this instance alone; looking at what is pinned. Pure.
 */
export function permissions(target: Target, use: Use): Permission[] {
  const {region, instanceId, tags} = target
  const arn = (service: string, rest: string, account = target.account ?? '*'): string =>
    `arn:${partitionOf(region)}:${service}:${region}:${account}:${rest}`
  const document = documentOf(target, use) ?? preferences
  const documentArn = arn('ssm', `document/${document}`, document.startsWith('AWS-') ? '*' : undefined)
  const instance = instanceId.startsWith('mi-') ? arn('ssm', `managed-instance/${instanceId}`) : arn('ec2', `instance/${instanceId}`)
  const tagged = Object.entries(tags).map(([key, value]) => [`ssm:resourceTag/${key}`, value] as const)
  return [
    {
      kind: 'aws',
      actions: ['ssm:StartSession'],
      resources: [instance],
      conditions: {
        BoolIfExists: {'ssm:SessionDocumentAccessCheck': 'true'},
        ...(tagged.length > 0 ? {StringEquals: Object.fromEntries(tagged)} : {}),
      },
    },
    {kind: 'aws', actions: ['ssm:StartSession'], resources: [documentArn]},
    // what is pinned, or says whether the account logs sessions; AWS's own documents leave that to the preferences
    ...(use.kind === 'forward'
      ? []
      : [
          {
            kind: 'aws',
            actions: ['ssm:GetDocument'],
            resources: [document.startsWith('AWS-') ? arn('ssm', `document/${preferences}`) : documentArn],
          },
        ]),
    {
      kind: 'aws',
      actions: ['ssmmessages:OpenDataChannel', 'ssm:ResumeSession', 'ssm:TerminateSession'],
      // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of IAM
      resources: [arn('ssm', 'session/${aws:userid}-*')],
    },
    // Port sessions are never encrypted by a key of the account's
    ...(use.kind === 'forward'
      ? []
      : [
          {
            kind: 'aws',
            actions: ['kms:GenerateDataKey'],
            resources: [arn('kms', 'key/*', '*')],
            conditions: {StringEquals: {'kms:EncryptionContext:aws:ssm:TargetId': instanceId}},
          },
        ]),
    {
      kind: 'aws',
      actions: [
        'ssm:DescribeInstanceInformation',
        ...(tagged.length > 0 || target.account !== undefined
          ? [instanceId.startsWith('mi-') ? 'ssm:ListTagsForResource' : 'ec2:DescribeInstances']
          : []),
      ],
      resources: ['*'],
    },
  ]
}

/** What looking takes: AWS bounds none of it by resource. Pure. */
export function discoverPermissions(): Permission[] {
  return [{kind: 'aws', actions: ['ec2:DescribeInstances', 'ssm:DescribeInstanceInformation'], resources: ['*']}]
}
