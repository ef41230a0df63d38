/**
 * Sessions that a person began by an assignment live on when it is gone, for as long as the permission set says. A deny in its inline
 * policy ends them: by the user and the time of issue. Source: IAM Identity Center user guide, "Revoke active IAM role sessions".
 */
import {ProdError} from '@prod/sdk/errors'
import {failure, json, type Way} from './call.ts'
import type {CenterRole} from './center-role.ts'
import {inTurn} from './in-turn.ts'
import {type Status, settled} from './settled.ts'

interface Statement {
  Sid?: string
  Condition?: {StringEquals?: Record<string, string>}
}
interface Policy {
  Version: string
  Statement: Statement[]
}

/** The longest session that a permission set can give. */
const longestSeconds = 12 * 3600
const mostCharacters = 32_768
const sidOf = (atSeconds: number): string => `prodrevoked${atSeconds}`

/**
 * Refuses what this user began before now. One refusal a user: a later one holds for the earlier sessions too. `since`: one that was
 * put after this moment serves already.
 */
export function denySessions(way: Way, role: CenterRole, user: string, since: string | null): Promise<void> {
  const now = Math.floor(Date.now() / 1000)
  const isOf = (one: Statement): boolean => atOf(one) !== undefined && one.Condition?.StringEquals?.['identitystore:userId'] === user
  const serves = (one: Statement): boolean => since !== null && isOf(one) && (atOf(one) ?? 0) * 1000 >= Date.parse(since)
  return changePolicy(way, role, statements =>
    statements.some(serves)
      ? statements
      : [
          ...statements.filter(one => !isOf(one)),
          {
            Sid: `${sidOf(now)}u${user.replace(/[^A-Za-z0-9]/g, '')}`,
            Effect: 'Deny',
            Action: '*',
            Resource: '*',
            Condition: {
              StringEquals: {'identitystore:userId': user},
              DateLessThan: {'aws:TokenIssueTime': `${new Date((now + 1) * 1000).toISOString().slice(0, 19)}Z`},
            },
          },
        ],
  )
}

/** Takes out refusals whose sessions have ended. */
export function sweepSessions(way: Way, role: CenterRole): Promise<void> {
  const until = Math.floor(Date.now() / 1000) - longestSeconds
  return changePolicy(way, role, statements => statements.filter(one => (atOf(one) ?? until) >= until))
}

/** When it was put; undefined for a statement that is not ours. */
function atOf({Sid = ''}: Statement): number | undefined {
  const [, at] = /^prodrevoked(\d{9,12})u/.exec(Sid) ?? []
  return at === undefined ? undefined : Number(at)
}

/** Reads the policy, changes our statements in it, and provisions the account. The operator's own statements stay as they are. */
function changePolicy(way: Way, role: CenterRole, change: (statements: Statement[]) => Statement[]): Promise<void> {
  const {instance, permissionSet, account} = role
  const set = {InstanceArn: instance, PermissionSetArn: permissionSet}
  // one policy for all accounts
  return inTurn(`policy ${permissionSet}`, async () => {
    try {
      const {InlinePolicy} = await json<{InlinePolicy?: string}>('sso', way, 'GetInlinePolicyForPermissionSet', set)
      const policy: Policy = InlinePolicy ? (JSON.parse(InlinePolicy) as Policy) : {Version: '2012-10-17', Statement: []}
      const before = [policy.Statement].flat()
      const after = change(before)
      if (after.length === before.length && after.every((one, at) => one === before[at])) return
      const text = JSON.stringify({...policy, Statement: after})
      if (text.length > mostCharacters)
        throw new ProdError('LIMIT_REACHED', 'the permission set’s policy has no room for another refusal', 'shorten its inline policy')
      if (after.length === 0) await json('sso', way, 'DeleteInlinePolicyFromPermissionSet', set)
      else await json('sso', way, 'PutInlinePolicyToPermissionSet', {...set, InlinePolicy: text})
      const target = {TargetType: 'AWS_ACCOUNT', TargetId: account}
      const name = 'PermissionSetProvisioningStatus'
      const begun = await json<Record<string, Status>>('sso', way, 'ProvisionPermissionSet', {...set, ...target})
      await settled(begun[name], async request => {
        const asked = {InstanceArn: instance, ProvisionPermissionSetRequestId: request}
        return (await json<Record<string, Status>>('sso', way, 'DescribePermissionSetProvisioningStatus', asked))[name]
      })
    } catch (error) {
      throw failure(error, 'the broker may not change the policy of the permission set')
    }
  })
}
