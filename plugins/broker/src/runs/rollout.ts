/** What the store keeps of a run on many targets: that it goes on, which targets have begun, and how it ended. */
import type {ApprovalDocument} from '@prod/sdk'
import type {RolloutTarget, ServerMessage} from '@prod/sdk/wire'
import type {Parts} from '../parts.ts'
import {putRequest} from '../requests/create.ts'
import type {RequestRecord} from '../requests/state.ts'
import type {Put} from '../stores/store.ts'
import type {RunRecord} from './record.ts'

/** Version 1 while it goes on: every start leans on that. */
export interface RolloutRecord {
  request: string
  state: 'running' | 'over'
  instance: string
  endedBy: string | null
  /** once it is over */
  targets: RolloutTarget[]
}

/** The record as the store writes it. */
export function putRollout(value: RolloutRecord, version: number): Put {
  return {kind: 'rollout', id: value.request, version, value, index: {state: value.state}}
}

/** That a target has begun: written with its start, once. */
export function putBegun(request: string, target: string, run: string): Put {
  return {kind: 'rollout', id: `${request}/${target}`, version: 0, value: {run}}
}

/** How one stands that does not go on here: what its record says, and the records of its runs. */
export async function storedRollout(parts: Parts, request: RequestRecord): Promise<ServerMessage & {type: 'rollout'}> {
  const document = JSON.parse(request.document) as ApprovalDocument
  const stored = await parts.store.find<RolloutRecord>('rollout', request.id)
  const {batch = 1, pauseSeconds = 0, stopOnError = true} = document.rollout ?? {}
  const told = new Map(stored?.value.targets.map(one => [one.target, one]))
  const targets = await Promise.all(
    document.targets.map(async ({name, environment}): Promise<RolloutTarget> => {
      const known = told.get(name)
      const begun = await parts.store.find<{run: string}>('rollout', `${request.id}/${name}`)
      const run = begun && (await parts.store.find<RunRecord>('run', begun.value.run))?.value
      if (!run) return known ?? {target: name, environment, state: 'left', run: null, exit: null, endedBy: null, error: null}
      return {
        target: name,
        environment,
        state: run.state === 'started' ? 'running' : 'ended',
        run: run.id,
        exit: run.exit,
        endedBy: run.endedBy,
        error: known?.error ?? null,
      }
    }),
  )
  const over = {endedBy: stored?.value.endedBy ?? (stored?.value.state === 'running' ? 'broker loss' : null)}
  return {type: 'rollout', request: request.id, batch, pauseSeconds, stopOnError, targets, over}
}

/** After a broker died: what it had not begun never will be. */
export async function recoverRollouts(parts: Parts, instance: string): Promise<number> {
  const open = (await parts.store.list<RolloutRecord>({kind: 'rollout', state: 'running'})).filter(one => one.value.instance === instance)
  for (const {value, version} of open) {
    const request = await parts.store.find<RequestRecord>('request', value.request)
    await parts.store.commit({
      put: [
        putRollout({...value, state: 'over', endedBy: 'broker loss'}, version),
        ...(request?.value.state === 'started' ? [putRequest({...request.value, state: 'done'}, request.version)] : []),
      ],
      events: [{type: 'rollout.ended', by: 'broker', subject: value.request, data: {endedBy: 'broker loss'}}],
    })
  }
  return open.length
}
