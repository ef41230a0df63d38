/** The administration of IAM Identity Center, as its API reference tells it: assignments come and go by statuses that are asked for. */

/** One instance. Its fields may be changed while it runs. */
export interface IdentityCenter {
  /** user names, with their ids */
  users: Map<string, string>
  /** assignments: `account permissionSet userId` */
  assignments: Set<string>
  /** how often a status says IN_PROGRESS before it says how it ended */
  slowness: number
  /** so many further changes end as FAILED */
  failing: number
  /** inline policies of permission sets */
  inline: Map<string, string>
  /** what was provisioned: `permissionSet account` */
  provisioned: string[]
  statuses: Map<string, {left: number; act: () => void; failed: boolean; kind: 'creation' | 'deletion' | 'provisioning'}>
  calls: string[]
}

/** An empty one. */
export function newIdentityCenter(): IdentityCenter {
  return {
    users: new Map(),
    assignments: new Set(),
    slowness: 1,
    failing: 0,
    inline: new Map(),
    provisioned: [],
    statuses: new Map(),
    calls: [],
  }
}

/** One call. */
export function answerIdentityCenter(center: IdentityCenter, action: string, body: Record<string, unknown>): [number, string] {
  center.calls.push(action)
  const ok = (value: object): [number, string] => [200, JSON.stringify(value)]
  const fail = (type: string, message: string): [number, string] => [400, JSON.stringify({__type: type, message})]
  const key = `${body.TargetId} ${body.PermissionSetArn} ${body.PrincipalId}`
  const begin = (kind: 'creation' | 'deletion' | 'provisioning', act: () => void): {RequestId: string; Status: string} => {
    const id = `request-${center.statuses.size + 1}`
    const failed = center.failing > 0
    if (failed) center.failing -= 1
    center.statuses.set(id, {left: center.slowness, act, failed, kind})
    return {RequestId: id, Status: 'IN_PROGRESS'}
  }
  const status = (kind: string, id: string, name: string): [number, string] => {
    const one = center.statuses.get(id)
    if (!one || one.kind !== kind) return fail('ResourceNotFoundException', 'no such request')
    if (one.left > 0) {
      one.left -= 1
      return ok({[name]: {RequestId: id, Status: 'IN_PROGRESS'}})
    }
    if (one.failed) return ok({[name]: {RequestId: id, Status: 'FAILED', FailureReason: 'Received a 404 status error'}})
    one.act()
    return ok({[name]: {RequestId: id, Status: 'SUCCEEDED'}})
  }
  switch (action) {
    case 'GetUserId': {
      const {UniqueAttribute} = body.AlternateIdentifier as {UniqueAttribute: {AttributePath: string; AttributeValue: string}}
      const id = center.users.get(UniqueAttribute.AttributeValue)
      return id === undefined
        ? fail('ResourceNotFoundException', 'USER not found.')
        : ok({UserId: id, IdentityStoreId: body.IdentityStoreId})
    }
    case 'CreateAccountAssignment':
      return ok({AccountAssignmentCreationStatus: begin('creation', () => center.assignments.add(key))})
    case 'DeleteAccountAssignment':
      return ok({AccountAssignmentDeletionStatus: begin('deletion', () => center.assignments.delete(key))})
    case 'DescribeAccountAssignmentCreationStatus':
      return status('creation', String(body.AccountAssignmentCreationRequestId), 'AccountAssignmentCreationStatus')
    case 'DescribeAccountAssignmentDeletionStatus':
      return status('deletion', String(body.AccountAssignmentDeletionRequestId), 'AccountAssignmentDeletionStatus')
    case 'ListAccountAssignments': {
      const all = [...center.assignments]
        .map(one => one.split(' '))
        .filter(([account, set]) => account === body.AccountId && set === body.PermissionSetArn)
        .map(([, set, user]) => ({AccountId: body.AccountId, PermissionSetArn: set, PrincipalType: 'USER', PrincipalId: user}))
      const from = Number(body.NextToken ?? 0)
      return ok({AccountAssignments: all.slice(from, from + 2), ...(from + 2 < all.length ? {NextToken: String(from + 2)} : {})})
    }
    case 'GetInlinePolicyForPermissionSet':
      return ok({InlinePolicy: center.inline.get(String(body.PermissionSetArn)) ?? ''})
    case 'PutInlinePolicyToPermissionSet':
      center.inline.set(String(body.PermissionSetArn), String(body.InlinePolicy))
      return ok({})
    case 'DeleteInlinePolicyFromPermissionSet':
      center.inline.delete(String(body.PermissionSetArn))
      return ok({})
    case 'ProvisionPermissionSet':
      return ok({
        PermissionSetProvisioningStatus: begin('provisioning', () => center.provisioned.push(`${body.PermissionSetArn} ${body.TargetId}`)),
      })
    case 'DescribePermissionSetProvisioningStatus':
      return status('provisioning', String(body.ProvisionPermissionSetRequestId), 'PermissionSetProvisioningStatus')
    default:
      return fail('UnknownOperationException', action)
  }
}
