/** The log, read: tiles and checkpoint by anybody, entries by whom policy lets read them, and each such read recorded. */
import {api, type LogEntry} from '@prod/sdk/api'
import {ProdError} from '@prod/sdk/errors'
import {parseTilePath, tileHashes} from '@prod/sdk/log/tiles'
import type {FastifyInstance} from 'fastify'
import {handle} from '../http/handle.ts'
import type {Caller, Parts} from '../parts.ts'
import {person} from '../requests/create.ts'
import {mayReadAudit} from '../requests/view.ts'
import {about} from './refusals.ts'

const maxEntries = 1000

/** `/v1/audit/…` and the C2SP layout under `/v1/log/…`. */
export function auditRoutes(app: FastifyInstance, parts: Parts): void {
  handle(app, parts, api.auditEntries, (input, caller) => readEntries(parts, caller, input))
  handle(app, parts, api.logCheckpoint, () => parts.store.checkpoint())
  app.get('/v1/log/tile/*', async (request, reply) => {
    const path = `tile/${(request.params as {'*': string})['*']}`
    const name = parseTilePath(path)
    // Entry bundles hold what people did: they are not public.
    if (!name || name.level === 'entries') throw new ProdError('NOT_FOUND', 'there is no such tile')
    const size = await parts.store.logSize()
    const have = tileHashes(size, name.level as number, name.index)
    const bytes = have >= name.width ? await parts.store.tile(name.level as number, name.index, name.width) : undefined
    if (!bytes) throw new ProdError('NOT_FOUND', 'there is no such tile')
    return reply.type('application/octet-stream').send(Buffer.from(bytes))
  })
}

async function readEntries(
  parts: Parts,
  caller: Caller,
  {
    from,
    limit,
    type,
    subject,
    text,
    newest,
  }: {from?: string; limit?: string; type?: string; subject?: string; text?: string; newest?: string},
): Promise<{entries: LogEntry[]; size: number}> {
  if (!mayReadAudit(parts, caller)) {
    throw about(new ProdError('DENIED', 'policy does not let you read the log', 'prod whoami'), {type: 'audit.refused', subject: 'log'})
  }
  await parts.store.commit({
    events: [
      {
        type: 'audit.read',
        by: person(caller),
        subject: 'log',
        correlation: caller.correlation,
        data: {from: from ?? null, limit: limit ?? null, type: type ?? null, subject: subject ?? null},
        personal: {name: caller.principal.name, ...(text === undefined ? {} : {text})},
      },
    ],
  })
  const size = await parts.store.logSize()
  const entries = await parts.store.entries({
    from: Number(from ?? 0),
    limit: Math.min(maxEntries, Number(limit ?? maxEntries)),
    newest: newest === 'true',
    ...(type === undefined ? {} : {type}),
    ...(subject === undefined ? {} : {subject}),
    ...(text === undefined ? {} : {text}),
  })
  return {entries, size}
}
