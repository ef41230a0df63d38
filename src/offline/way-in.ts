/** The way to a target from this machine: the shipped primitive, and a credential through the person's own login. Both are found by name, and load here. */
import type {Access, Channel, Primitive, TerminalSize} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import type {KitClaims, KitTarget} from '@prod/sdk/kit'
import type {Plugin} from '@prod/sdk/plugin'
import {roleSources} from '../catalog/local-roles.ts'

/** Opens a shell on the target; `end` gives back what was set up for it. */
export interface WayIn {
  open(session: string, size: TerminalSize, signal: AbortSignal): Promise<Channel>
  end(): Promise<void>
}

/**
 * Gets ready: reads the address and takes a fresh credential of the role that the kit names. Throws TOOL_UNAVAILABLE, TARGET_INVALID, and what the
 * role's source throws.
 */
export async function findWayIn(config: {pjson: object}, claims: KitClaims, target: KitTarget, term: string): Promise<WayIn> {
  const colon = target.address.indexOf(':')
  const primitive = await findPrimitive(config, target.address.slice(0, colon))
  const where: unknown = primitive.parse(target.address.slice(colon + 1))
  const source = (await roleSources(config)).find(one => one.credential)
  if (!source?.credential)
    throw new ProdError('TOOL_UNAVAILABLE', 'no plugin of this prod takes the roles that a person has', 'prod plugins')
  const take = source.credential.bind(source)
  const credential = await take(target.role)
  const stop = await primitive.start?.({development: claims.development, hide: []})
  const {iss, sub} = claims.principal
  const opened = new Set<string>()
  return {
    open(session, size, signal) {
      opened.add(session)
      const access: Access = {id: session, principal: `${iss}#${sub}`, credential, renew: () => take(target.role)}
      const seconds = claims.maxSeconds
      return primitive.open(
        where,
        {
          kind: 'shell',
          size,
          env: {TERM: term, PS1: `[BREAK-GLASS ${target.name}] \\u@\\h:\\w\\$ `},
          limits: {
            wallSeconds: seconds,
            cpuSeconds: seconds,
            memoryBytes: 8 * 1024 ** 3,
            processes: 1024,
            fileBytes: 64 * 1024 ** 3,
            outputBytes: Number.MAX_SAFE_INTEGER,
          },
          ...(target.shellAs === null ? {} : {runAs: target.shellAs}),
        },
        access,
        signal,
      )
    },
    async end() {
      // what is left of it at the far side is ended by the credential that it has
      await Promise.all([...opened].map(async session => primitive.release?.(session)).map(released => released.catch(() => {})))
      await stop?.()
    },
  }
}

async function findPrimitive({pjson}: {pjson: object}, id: string): Promise<Primitive> {
  const {oclif} = pjson as {oclif?: {primitives?: string[]}}
  const plugins = await Promise.all((oclif?.primitives ?? []).map(name => import(name) as Promise<Plugin>))
  const found = plugins.flatMap(({primitive, primitives = []}) => [primitive ?? [], primitives].flat()).find(one => one.id === id)
  if (found) return found
  throw new ProdError('TOOL_UNAVAILABLE', `this prod has no way in by ${id} of its own`, 'prod plugins')
}
