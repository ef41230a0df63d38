/**
 * One request on many targets (TM-F2): batch after batch, each target a run of its own with its own lock, limits, log entries
 * and receipt. What began is in the store, so that no target runs twice; what is to come lives here and ends with its broker.
 */
import {canonical} from '@prod/sdk/document'
import {describeError} from '@prod/sdk/errors'
import type {RolloutTarget, ServerMessage} from '@prod/sdk/wire'
import type {Caller, Parts} from '../parts.ts'
import {person, putRequest} from '../requests/create.ts'
import type {Plan} from '../requests/plan.ts'
import type {RequestRecord} from '../requests/state.ts'
import {clearForUse, clearTarget} from '../requests/use.ts'
import type {AuditEvent, Stored} from '../stores/store.ts'
import type {Link} from '../streams/link.ts'
import type {LiveSet} from '../streams/live-set.ts'
import {leave, takeTurn} from './locks.ts'
import {putBegun, putRollout, type RolloutRecord} from './rollout.ts'
import {beginRun} from './start.ts'

/** A run whose command keeps nothing without its caller is still kept so long: its terminal takes it up in a stream of its own. */
const leastDetachSeconds = 10

/** A run on many targets that goes on here. */
export interface Rollout {
  /** Shows it to its caller, who may cancel it. Without any for the detach time of the tool it ends. */
  watch(link: Link, caller: () => Caller): void
}

const rollouts = new WeakMap<LiveSet, Map<string, Rollout>>()

/** The one of a request that goes on here. */
export function findRollout(set: LiveSet, request: string): Rollout | undefined {
  return rollouts.get(set)?.get(request)
}

/** Consumes the request and begins. Undefined: somebody else changed it meanwhile. Throws what clearForUse refuses. */
export async function beginRollout(
  parts: Parts,
  set: LiveSet,
  caller: Caller,
  stored: Stored<RequestRecord>,
): Promise<Rollout | undefined> {
  const {plan, expect, document} = await clearForUse(parts, caller, stored)
  if (!plan.each || !plan.rollout) throw new Error('not a run on many targets')
  const record: RolloutRecord = {request: stored.id, state: 'running', instance: set.instance, endedBy: null, targets: []}
  const saved = await parts.store.commit({
    expect,
    put: [putRequest({...stored.value, state: 'started'}, stored.version), putRollout(record, 0)],
    events: [
      eventOf(caller, stored.value, 'rollout.started', {
        digest: stored.value.digest,
        class: plan.class,
        tool: plan.tool?.name,
        targets: document.targets.map(({name}) => name),
        ...plan.rollout,
      }),
    ],
  })
  if (!saved.ok) return undefined
  return roll(parts, set, {...stored.value, state: 'started'}, plan)
}

function eventOf(caller: Caller, request: RequestRecord, type: string, data: Record<string, unknown>): AuditEvent {
  return {
    type,
    by: person(caller),
    subject: request.id,
    correlation: caller.correlation,
    data,
    personal: {name: caller.principal.name, reason: request.draft.reason, summary: request.summary},
  }
}

function roll(parts: Parts, set: LiveSet, request: RequestRecord, plan: Plan): Rollout {
  const {batch, pauseSeconds, stopOnError} = plan.rollout as NonNullable<Plan['rollout']>
  const detachSeconds = Math.max(leastDetachSeconds, plan.tool?.detachSeconds ?? 0)
  const targets = (plan.each as Plan[]).map(
    ({target}): RolloutTarget => ({
      target: target?.name ?? '',
      environment: target?.environment ?? '',
      state: 'waiting',
      run: null,
      exit: null,
      endedBy: null,
      error: null,
    }),
  )
  const links = new Set<Link>()
  const stopping = Promise.withResolvers<void>()
  let endedBy: string | null = null
  let failed = false
  let callerNow: () => Caller
  let detach: NodeJS.Timeout | undefined
  let over: {endedBy: string | null} | undefined

  const message = (changed: RolloutTarget[]): ServerMessage => ({
    type: 'rollout',
    request: request.id,
    batch,
    pauseSeconds,
    stopOnError,
    targets: changed,
    ...(over ? {over} : {}),
  })
  const change = (one: RolloutTarget, to: Partial<RolloutTarget>): void => {
    Object.assign(one, to)
    for (const link of links) link.send(message([one]))
  }
  const stop = (why: string): void => {
    if (endedBy !== null || over) return
    endedBy = why
    stopping.resolve()
    for (const {run, state} of targets)
      if (run !== null && state === 'running')
        void set
          .find(run)
          ?.live.end(why)
          .catch(() => {})
  }
  const noMore = (): boolean => endedBy !== null || (failed && stopOnError) || set.stopping.aborted
  set.stopping.addEventListener('abort', () => stop('broker stop'), {once: true})

  /** Starts one target when its turn has come; resolves when it has ended. */
  const runOne = async (one: RolloutTarget): Promise<void> => {
    const place = `${request.id}/${one.target}`
    const locks = (plan.each as Plan[]).find(({target}) => target?.name === one.target)?.locks ?? []
    try {
      for (;;) {
        const lock =
          locks.length === 0
            ? null
            : await takeTurn(parts, locks, place, {
                instance: set.instance,
                cancelled: noMore,
                behind: () => change(one, {state: 'queued'}),
                wakeOn: stopping.promise,
              })
        if (noMore()) break
        if (locks.length > 0 && lock === null) break
        const caller = callerNow()
        const cleared = await clearTarget(parts, caller, request, one.target)
        if (canonical(cleared.plan.locks) !== canonical(locks)) throw new Error('its locks are others')
        const {many: _, ...draft} = request.draft.kind === 'exec' ? request.draft : (undefined as never)
        const started = await beginRun(parts, set, {
          ...cleared,
          // while it goes on nobody goes on in its name: a stop is a version of this record
          expect: [...cleared.expect, {kind: 'rollout', id: request.id, version: 1}],
          caller,
          request: {...request, draft: {...draft, target: one.target}},
          lock,
          put: run => [putBegun(request.id, one.target, run)],
          leastDetachSeconds,
        })
        if (!started) {
          if ((await parts.store.find('rollout', request.id))?.version !== 1) break
          continue
        }
        change(one, {state: 'running', run: started.run.id})
        // what was stopped while it was being started
        if (endedBy !== null) void started.live.end(endedBy).catch(() => {})
        const {run} = await started.ended
        const ok = run.exit !== null && 'status' in run.exit && run.exit.status === 0 && run.endedBy === null
        if (!ok) fail()
        change(one, {state: 'ended', exit: run.exit, endedBy: run.endedBy})
        return
      }
      change(one, {state: 'left'})
    } catch (error) {
      fail()
      change(one, {state: 'refused', error: describeError(error)})
    } finally {
      if (one.run === null) await leave(parts, locks, place).catch(() => {})
    }
  }
  const fail = (): void => {
    failed = true
    if (stopOnError) stopping.resolve()
  }

  const work = async (): Promise<void> => {
    for (let at = 0; at < targets.length && !noMore(); at += batch) {
      if (at > 0 && pauseSeconds > 0) await pause(pauseSeconds * 1000, stopping.promise)
      if (noMore()) break
      await Promise.all(targets.slice(at, at + batch).map(runOne))
    }
    for (const one of targets) if (one.state === 'waiting') change(one, {state: 'left'})
    const left = targets.some(({state}) => state === 'left')
    over = {endedBy: endedBy ?? (left ? 'a target failed' : null)}
    await closeRollout(parts, request, over.endedBy, targets, eventOf(callerNow(), request, 'rollout.ended', {}))
  }

  const rollout: Rollout = {
    watch(link, caller) {
      callerNow = caller
      clearTimeout(detach)
      links.add(link)
      link.send(message(targets))
      link.onMessage = sent => {
        if (sent.type === 'cancel') stop('cancelled')
      }
      void link.closed.then(() => {
        links.delete(link)
        if (links.size === 0 && !over) detach = setTimeout(() => stop('detached'), detachSeconds * 1000)
      })
      if (!running) {
        running = work()
          .catch(error =>
            parts.alarm('a run on many targets could not be closed in the store', {request: request.id, error: String(error)}),
          )
          .finally(() => {
            clearTimeout(detach)
            known.delete(request.id)
            for (const one of links) {
              one.send(message([]))
              one.close()
            }
          })
      }
    },
  }
  let running: Promise<void> | undefined
  const known = rollouts.get(set) ?? new Map<string, Rollout>()
  rollouts.set(set, known)
  known.set(request.id, rollout)
  return rollout
}

async function pause(milliseconds: number, until: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  await Promise.race([new Promise(resolve => (timer = setTimeout(resolve, milliseconds))), until])
  clearTimeout(timer)
}

/** The end in the store: the request is done, and what was not begun never will be. */
async function closeRollout(
  parts: Parts,
  {id}: RequestRecord,
  endedBy: string | null,
  targets: RolloutTarget[],
  event: AuditEvent,
): Promise<void> {
  for (;;) {
    const [stored, request] = await Promise.all([
      parts.store.find<RolloutRecord>('rollout', id),
      parts.store.find<RequestRecord>('request', id),
    ])
    if (stored?.value.state !== 'running') return
    const count = (state: RolloutTarget['state']) => targets.filter(one => one.state === state).length
    const data = {endedBy, ended: count('ended'), refused: count('refused'), left: count('left')}
    const saved = await parts.store.commit({
      put: [
        putRollout({...stored.value, state: 'over', endedBy, targets}, stored.version),
        ...(request?.value.state === 'started' ? [putRequest({...request.value, state: 'done'}, request.version)] : []),
      ],
      events: [{...event, by: 'broker', data}],
    })
    if (saved.ok) return
  }
}
