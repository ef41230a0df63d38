/** The inline policy that refuses revoked grants on a role: which grants, until when. Pure but for its reader's time. */

/** Name of the inline policy. */
export const denyName = 'prod-revoked'

/** Revoked grants, each with the moment after which no session of it can live: seconds since 1970. */
export type Revoked = ReadonlyMap<string, number>

interface Statement {
  Sid?: string
  Condition?: {StringEquals?: Record<string, string | string[]>}
}

/** Ends are rounded up to this, so that many grants share a statement: IAM gives a role 10,240 characters of inline policies. */
const stepSeconds = 900
const mostCharacters = 10_000
/** Of these, how many the uses of targets may fill: their credentials never left the broker's machine, and a grant's did (TM-N4). */
const mostOfUses = 7000

/** The end of a grant, as it stands in the policy. */
export function denyUntil(expiresAt: string): number {
  return Math.ceil(Date.parse(expiresAt) / 1000 / stepSeconds + 1) * stepSeconds
}

/** What the policy says; what is not ours in it says nothing. */
export function readDeny(document: string): Map<string, number> {
  const revoked = new Map<string, number>()
  const {Statement: statements = []} = JSON.parse(document) as {Statement?: Statement[]}
  for (const {Sid = '', Condition} of statements) {
    const [, until] = /^until(\d{9,12})$/.exec(Sid) ?? []
    if (until === undefined) continue
    for (const grant of [Condition?.StringEquals?.['aws:PrincipalTag/prod-grant'] ?? []].flat()) revoked.set(grant, Number(until))
  }
  return revoked
}

/**
 * The policy, undefined where nobody is left to be refused. A session is known by its tag, which it cannot change, and by its issue
 * before the end: a grant that was revoked is never conferred again, so no later session is meant.
 */
export function writeDeny(revoked: Revoked, nowSeconds: number): string | undefined {
  const left = [...revoked].filter(([, until]) => until > nowSeconds)
  if (left.length === 0) return undefined
  const byEnd = [...Map.groupBy(left, ([, until]) => until)].sort(([a], [b]) => a - b)
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: byEnd.map(([until, grants]) => ({
      Sid: `until${until}`,
      Effect: 'Deny',
      Action: '*',
      Resource: '*',
      Condition: {
        StringEquals: {'aws:PrincipalTag/prod-grant': grants.map(([grant]) => grant).sort()},
        DateLessThan: {'aws:TokenIssueTime': `${new Date(until * 1000).toISOString().slice(0, 19)}Z`},
      },
    })),
  })
}

/** Whether IAM takes no more, or no more of what is put in now. */
export function isTooLong(document: string, added: Revoked): boolean {
  const isOfUses = added.size > 0 && [...added.keys()].every(id => !id.startsWith('grant_'))
  return document.length > (isOfUses ? mostOfUses : mostCharacters)
}
