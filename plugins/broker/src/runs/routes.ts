import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import type {Run} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {ProdError} from '@prod/sdk/errors'
import {chunkName} from '@prod/sdk/recorder'
import type {FastifyInstance} from 'fastify'
import {about} from '../audit/refusals.ts'
import {handle} from '../http/handle.ts'
import type {Caller, Parts} from '../parts.ts'
import {person} from '../requests/create.ts'
import {samePerson} from '../requests/state.ts'
import {mayReadAudit} from '../requests/view.ts'
import {listChunks} from '../sessions/record.ts'
import {maySee, readSealed} from '../sessions/view.ts'
import type {LiveSet} from '../streams/live-set.ts'
import {makeReceipt} from './receipt.ts'
import {erasedWords, type RunRecord, showRun} from './record.ts'

/** Runs: one's own, and for those who read the log. */
export function runRoutes(app: FastifyInstance, parts: Parts, set: LiveSet): void {
  handle(app, parts, api.showRun, async ({id}, caller) => {
    const run = await findRun(parts, caller, id)
    return {...showRun(run), receipt: await makeReceipt(parts, run)}
  })
  handle(app, parts, api.listRuns, async (_, caller): Promise<{runs: Run[]}> => {
    const owner = `${caller.principal.iss}#${caller.principal.sub}`
    return {runs: (await parts.store.list<RunRecord>({kind: 'run', owner, newest: true, limit: 100})).map(one => showRun(one.value))}
  })
  handle(app, parts, api.endRun, (input, caller) => endLoudRun(parts, set, caller, input))
  handle(app, parts, api.runOutput, async ({id, from = '0'}, caller) => {
    const run = await findRun(parts, caller, id)
    const allowed = samePerson(caller.principal, run.principal) || maySee(parts, caller, run, 'readRecording')
    if (!allowed)
      throw about(new ProdError('RUN_NOT_FOUND', `there is no run ${id}`, 'prod request ls'), {type: 'output.refused', subject: id})
    await parts.store.commit({
      events: [
        {type: 'output.read', by: person(caller), subject: id, correlation: caller.correlation, personal: {name: caller.principal.name}},
      ],
    })
    if (run.erased) throw new ProdError('NOT_FOUND', `the output of ${id} ${erasedWords(run.erased)}`, `prod audit search --subject ${id}`)
    if (run.outputChunks === 0) throw new ProdError('NOT_FOUND', `no output of ${id} is kept`, 'the catalog’s retention says so')
    // of a break-glass the log has each chunk
    if (run.breakGlass)
      return {...(await readSealed(parts, join('outputs', id), id, await listChunks(parts, id), Number(from))), truncated: run.truncated}
    const chunks: string[] = []
    for (let number = 0; number < run.outputChunks; number++) {
      const bytes = await readFile(join(parts.config.dir, 'outputs', id, chunkName(number))).catch(() => undefined)
      if (!bytes) {
        parts.alarm('stored output is missing', {run: id, chunk: number})
        throw new ProdError('NOT_FOUND', `a part of the output of ${id} is missing`, 'tell whoever runs the broker')
      }
      chunks.push(bytes.toString('base64'))
    }
    return {chunks, next: null, truncated: run.truncated}
  })
}

/** A break-glass is seen by those who look after such: as a session is. */
function seesLoud(parts: Parts, caller: Caller, run: RunRecord): boolean {
  return run.breakGlass && (['watch', 'review', 'readRecording'] as const).some(action => maySee(parts, caller, run, action))
}

/** Ends a break-glass that runs: its owner, or whoever may watch there. */
async function endLoudRun(parts: Parts, set: LiveSet, caller: Caller, {id, note}: {id: string; note?: string}): Promise<Run> {
  const run = await findRun(parts, caller, id)
  if (!run.breakGlass || !(samePerson(caller.principal, run.principal) || maySee(parts, caller, run, 'watch')))
    throw about(new ProdError('DENIED', 'policy does not let you end this run', `prod audit search --subject ${id}`), {
      type: 'run.end-refused',
      subject: id,
    })
  const entry = set.find(id)
  if (!entry) throw new ProdError('ALREADY_DECIDED', `${id} is over`, `prod sessions play ${id}`)
  await parts.store.commit({
    events: [
      {
        type: 'run.end-asked',
        by: person(caller),
        subject: id,
        correlation: caller.correlation,
        personal: {name: caller.principal.name, ...(note === undefined ? {} : {note})},
      },
    ],
  })
  await entry.live.end(`ended by ${caller.principal.name}`)
  await entry.ended
  return showRun((await parts.store.find<RunRecord>('run', id))?.value ?? run)
}

async function findRun(parts: Parts, caller: Caller, id: string): Promise<RunRecord> {
  const stored = await parts.store.find<RunRecord>('run', id)
  if (
    !stored ||
    !(samePerson(caller.principal, stored.value.principal) || mayReadAudit(parts, caller) || seesLoud(parts, caller, stored.value))
  ) {
    throw new ProdError('RUN_NOT_FOUND', `there is no run ${id}`, 'prod request ls')
  }
  return stored.value
}
