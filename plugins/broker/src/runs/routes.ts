import {readFile} from 'node:fs/promises'
import {join} from 'node:path'
import type {Run} from '@prod/sdk'
import {api} from '@prod/sdk/api'
import {ProdError} from '@prod/sdk/errors'
import type {FastifyInstance} from 'fastify'
import {about} from '../audit/refusals.ts'
import {handle} from '../http/handle.ts'
import type {Caller, Parts} from '../parts.ts'
import {person} from '../requests/create.ts'
import {samePerson} from '../requests/state.ts'
import {mayReadAudit} from '../requests/view.ts'
import {chunkName} from '../sessions/recorder.ts'
import {maySee} from '../sessions/view.ts'
import {makeReceipt} from './receipt.ts'
import {type RunRecord, showRun} from './record.ts'

/** Runs: one's own, and for those who read the log. */
export function runRoutes(app: FastifyInstance, parts: Parts): void {
  handle(app, parts, api.showRun, async ({id}, caller) => {
    const run = await findRun(parts, caller, id)
    return {...showRun(run), receipt: await makeReceipt(parts, run)}
  })
  handle(app, parts, api.listRuns, async (_, caller): Promise<{runs: Run[]}> => {
    const owner = `${caller.principal.iss}#${caller.principal.sub}`
    return {runs: (await parts.store.list<RunRecord>({kind: 'run', owner, newest: true, limit: 100})).map(one => showRun(one.value))}
  })
  handle(app, parts, api.runOutput, async ({id}, caller) => {
    const run = await findRun(parts, caller, id)
    const allowed = samePerson(caller.principal, run.principal) || maySee(parts, caller, run, 'readRecording')
    if (!allowed)
      throw about(new ProdError('RUN_NOT_FOUND', `there is no run ${id}`, 'prod request ls'), {type: 'output.refused', subject: id})
    await parts.store.commit({
      events: [
        {type: 'output.read', by: person(caller), subject: id, correlation: caller.correlation, personal: {name: caller.principal.name}},
      ],
    })
    if (run.erased) throw new ProdError('NOT_FOUND', `the output of ${id} is gone: its time is over`, `prod audit search --subject ${id}`)
    if (run.outputChunks === 0) throw new ProdError('NOT_FOUND', `no output of ${id} is kept`, 'the catalog’s retention says so')
    const chunks: string[] = []
    for (let number = 0; number < run.outputChunks; number++) {
      const bytes = await readFile(join(parts.config.dir, 'outputs', id, chunkName(number))).catch(() => undefined)
      if (!bytes) {
        parts.alarm('stored output is missing', {run: id, chunk: number})
        throw new ProdError('NOT_FOUND', `a part of the output of ${id} is missing`, 'tell whoever runs the broker')
      }
      chunks.push(bytes.toString('base64'))
    }
    return {chunks, truncated: run.truncated}
  })
}

async function findRun(parts: Parts, caller: Caller, id: string): Promise<RunRecord> {
  const stored = await parts.store.find<RunRecord>('run', id)
  if (!stored || !(samePerson(caller.principal, stored.value.principal) || mayReadAudit(parts, caller))) {
    throw new ProdError('RUN_NOT_FOUND', `there is no run ${id}`, 'prod request ls')
  }
  return stored.value
}
