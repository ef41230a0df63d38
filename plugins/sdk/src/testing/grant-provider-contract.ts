/** What every grant provider must do, as tests: confer, it works, revoke, it is refused; nothing outlives the grant. */
import {describe, expect, test} from 'vitest'
import type {Grant} from '../domain.ts'
import type {Conferred, GrantProvider, Known} from '../grant-provider.ts'
import type {Access} from '../primitive.ts'

/** What the suite needs to know of one grant provider. */
export interface GrantProviderContract<R> {
  provider: GrantProvider<R>
  /** parameters of a role that can be conferred now */
  parameters: Record<string, unknown>
  /** parameters that `parse` must refuse */
  badParameters: Record<string, unknown>[]
  /** Whether what `confer` gave does what the role allows, at the far side, now. */
  works(grant: Grant, role: R, access: Access): Promise<boolean>
  /** Lets the far side's clock pass `moment`. Absent where only revoking ends things there. */
  passTime?(moment: Date): Promise<void>
  /** how long the far side may take to notice, in milliseconds; default 0 */
  settleMilliseconds?: number
}

/** Registers the suite. Each test uses grants of its own and revokes them. */
export function grantProviderContract<R>(options: GrantProviderContract<R>): void {
  const {provider, parameters} = options
  const role = () => provider.parse(structuredClone(parameters))

  /** Waits until the far side says `expected`, for as long as it may take. */
  const works = async (grant: Grant, access: Access, expected: boolean): Promise<boolean> => {
    const until = performance.now() + (options.settleMilliseconds ?? 0)
    for (;;) {
      const now = await options.works(grant, role(), access)
      if (now === expected || performance.now() >= until) return now
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }
  // as the store would
  const grants = new Map<string, Grant>()
  const conferred = (grant: Grant): Promise<Access> => {
    grants.set(grant.id, {...grant, state: grants.get(grant.id)?.state ?? grant.state})
    return provider.confer(grant, role())
  }
  const known = (): Known<R> => ({roles: [role()], grants: [...grants.values()].map(grant => ({grant, role: role()}))})
  const revoked = (grant: Grant): Promise<void> => {
    if (grants.has(grant.id)) grants.set(grant.id, {...grant, state: 'revoked'})
    return provider.revoke(grant, role(), async () => known())
  }
  const listed = async (id: string): Promise<Conferred[]> => {
    const found: Conferred[] = []
    for await (const conferred of provider.list(async () => known())) if (conferred.grant === id) found.push(conferred)
    return found
  }

  describe(`grant provider ${provider.id}`, () => {
    test('reads the parameters of a role the same way twice', () => {
      expect(provider.parse(parameters)).toEqual(provider.parse(structuredClone(parameters)))
    })

    test.each([...options.badParameters, {'no-such-parameter': 1}])('refuses the parameters %j', bad => {
      expect(() => provider.parse(bad)).toThrow(expect.objectContaining({code: 'CATALOG_INVALID'}))
    })

    test('what it confers works until it is revoked, and then does not', async () => {
      const grant = newGrant(provider.id)
      const access = await conferred(grant)
      expect(await works(grant, access, true)).toBe(true)
      await revoked(grant)
      expect(await works(grant, access, false)).toBe(false)
    })

    test('conferring twice is one right, and one revocation ends it', async () => {
      const grant = newGrant(provider.id)
      const first = await conferred(grant)
      const second = await conferred(grant)
      expect(await works(grant, second, true)).toBe(true)
      expect((await listed(grant.id)).length).toBeLessThanOrEqual(1)
      await revoked(grant)
      expect(await works(grant, first, false)).toBe(false)
      expect(await works(grant, second, false)).toBe(false)
    })

    test('revoking twice, or what was never conferred, is fine', async () => {
      const grant = newGrant(provider.id)
      await revoked(grant)
      await conferred(grant)
      await revoked(grant)
      await revoked(grant)
      expect(await listed(grant.id)).toEqual([])
    })

    test('ending one grant does not cut another on the same role', async () => {
      const [kept, ended] = [newGrant(provider.id), newGrant(provider.id)]
      const access = await conferred(kept)
      await conferred(ended)
      await revoked(ended)
      expect(await works(kept, access, true)).toBe(true)
      await revoked(kept)
    })

    test('lists what the far side holds, and no more after it was revoked', async () => {
      const grant = newGrant(provider.id)
      await conferred(grant)
      for (const {expiresAt} of await listed(grant.id)) {
        if (expiresAt !== null) expect(Date.parse(expiresAt)).toBeLessThanOrEqual(Date.parse(grant.expiresAt))
      }
      await revoked(grant)
      expect(await listed(grant.id)).toEqual([])
    })

    test.skipIf(!options.passTime)('nothing outlives the grant, though nobody revokes', async () => {
      const grant = newGrant(provider.id)
      const access = await conferred(grant)
      await options.passTime?.(new Date(Date.parse(grant.expiresAt) + 1000))
      expect(await works(grant, access, false)).toBe(false)
      await revoked(grant)
    })
  })
}

let count = 0

function newGrant(provider: string): Grant {
  const now = Date.now()
  count += 1
  return {
    id: `grant_contract${now.toString(36)}${count}`,
    state: 'active',
    request: `req_contract${count}`,
    principal: {iss: 'https://idp.example', sub: 'contract', person: 'contract', name: 'contract'},
    role: 'contract',
    provider,
    startsAt: new Date(now).toISOString(),
    expiresAt: new Date(now + 3_600_000).toISOString(),
    endedAt: null,
  }
}
