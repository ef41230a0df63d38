/** The built-in provider: a member of a Cedar group while the grant lives. What it holds are `membership` records. */
import {defineGrantProvider, type GrantProvider} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import type {Store} from '../stores/store.ts'
import {type Membership, sealMembership} from './membership.ts'
import {type GrantRecord, isOver} from './state.ts'

/** The provider `group`, on this store. Role parameters: `{group: NAME}`. */
export function groupProvider(store: Store, key: Uint8Array): GrantProvider<{group: string}> {
  return defineGrantProvider({
    id: 'group',
    summary: 'membership of a policy group',
    parse(parameters) {
      const {group, ...rest} = parameters
      if (typeof group !== 'string' || !/^[a-z][a-z0-9-]{0,62}$/.test(group) || Object.keys(rest).length > 0) {
        throw new ProdError(
          'CATALOG_INVALID',
          'a role of provider group takes one parameter: group, a lower-case name',
          'parameters: {group: web-operators}',
        )
      }
      return {group}
    },
    async confer(grant, {group}) {
      const owner = grant.principal.person || `${grant.principal.iss}#${grant.principal.sub}`
      const value = sealMembership(key, {person: owner, group, grant: grant.id, expiresAt: grant.expiresAt})
      for (;;) {
        const [held, known] = [await store.find<Membership>('membership', grant.id), await store.find<GrantRecord>('grant', grant.id)]
        if (held || !known || isOver(known.value)) break
        // a grant that ends meanwhile is never conferred
        const saved = await store.commit({
          expect: [{kind: 'grant', id: grant.id, version: known.version}],
          put: [{kind: 'membership', id: grant.id, version: 0, value, index: {owner, dueAt: grant.expiresAt}}],
          events: [
            {
              type: 'membership.added',
              by: 'broker',
              subject: grant.id,
              data: {group, expiresAt: grant.expiresAt},
              personal: {person: owner},
            },
          ],
        })
        if (saved.ok) break
      }
      return {id: grant.id, principal: `${grant.principal.iss}#${grant.principal.sub}`, credential: {}}
    },
    async revoke(grant, {group}) {
      const held = await store.find<Membership>('membership', grant.id)
      if (!held) return
      await store.commit({
        remove: [{kind: 'membership', id: grant.id, version: held.version}],
        events: [{type: 'membership.removed', by: 'broker', subject: grant.id, data: {group}, personal: {person: held.value.person}}],
      })
    },
    async *list() {
      for (const {value} of await store.list<Membership>({kind: 'membership'})) yield {grant: value.grant, expiresAt: value.expiresAt}
    },
  })
}
