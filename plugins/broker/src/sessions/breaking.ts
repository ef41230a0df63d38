/** Breaking glass with the person at the other end of the stream: what a shell and a run of a tool have in common (TM-O1, O2, O5). */
import type {Notice, Review, TargetRef} from '@prod/sdk'
import {ProdError} from '@prod/sdk/errors'
import type {Caller, Parts} from '../parts.ts'
import {createRequest, person} from '../requests/create.ts'
import {type Plan, thingOf} from '../requests/plan.ts'
import type {RequestRecord} from '../requests/state.ts'
import type {Serving} from '../streams/serving.ts'
import {aboutBreakGlass, breakGlassNotice, checkBreakGlass, commandFor, fromPlace, type Loud, raiseAlerts} from './break-glass.ts'

const recorded: Record<Plan['action'], string> = {
  shell: 'Everything you type and see is recorded',
  run: 'All that goes in and comes out is recorded',
  forward: 'Each connection is written down with its times and bytes',
  assume: 'Each use is written down',
}

/** The lines that stand above a break-glass, at each beginning of it at a terminal. */
export function banner(target: TargetRef, action: Plan['action']): string[] {
  return [
    `BREAK-GLASS on ${target.name}${target.environment === '' ? '' : ` (${target.environment})`}`,
    `${recorded[action]}, security is told, and somebody else will review it.`,
  ]
}

/** The target's name, typed by hand. Throws CONFIRMATION_FAILED. */
export async function confirmTarget({parts, link, caller}: Serving, plan: Plan, given: string | null): Promise<void> {
  const target = thingOf(plan)
  const typed =
    given ??
    (await new Promise<string>((resolve, reject) => {
      link.onMessage = message => {
        if (message.type === 'confirmed') resolve(message.text)
        else if (message.type === 'cancel') reject(new ProdError('REQUEST_CANCELLED', 'cancelled before it was opened'))
      }
      void link.closed.then(() => reject(new ProdError('LINK_LOST', 'the link was cut')))
      link.send({type: 'confirm', text: target.name, banner: banner(target, plan.action)})
    }).finally(() => {
      link.onMessage = () => {}
    }))
  if (typed !== target.name)
    throw aboutBreakGlass(plan, new ProdError('CONFIRMATION_FAILED', `what was typed is not ${target.name}`, commandFor(plan)))
  await parts.store.commit({
    events: [
      {
        type: 'break-glass.confirmed',
        by: person(caller()),
        subject: target.name,
        correlation: caller().correlation,
        data: {incident: plan.draft.incident, use: plan.action, tool: plan.tool?.name ?? null},
        personal: {name: caller().principal.name, reason: plan.draft.reason, address: caller().address},
      },
    ],
  })
}

/** Who broke glass alone must still be free to, and a second person must have agreed to what hinders now. Throws PLACE_REFUSED, REVIEW_OVERDUE. */
export async function checkAgain(parts: Parts, caller: Caller, plan: Plan, request: RequestRecord): Promise<void> {
  const hindrance = await checkBreakGlass(parts, caller, plan)
  if (hindrance === null || (request.approvalsNeeded > 0 && request.secondPerson?.startsWith(hindrance.why))) return
  throw aboutBreakGlass(plan, new ProdError(hindrance.code, `${hindrance.why}, and no second person has agreed to that`, commandFor(plan)))
}

/** A live break-glass is taken up, and what it took is used, where it was opened, or from a listed place. Throws PLACE_REFUSED. */
export function refuseOtherPlace(
  {parts, caller}: Pick<Serving, 'parts' | 'caller'>,
  {breakGlass}: {breakGlass: boolean},
  opened: {address: string},
): void {
  const {address} = caller()
  if (breakGlass && address !== opened.address && !fromPlace(parts.config.places, address))
    throw new ProdError('PLACE_REFUSED', 'it is not taken up from a place that is not listed', 'prod sessions ls')
}

/** Alerts both channels while the person waits; they may leave meanwhile. Throws ALERTS_NOT_ACCEPTED, REQUEST_CANCELLED, LINK_LOST. */
async function alertBoth({parts, link, caller}: Serving, plan: Plan, loud: Loud): Promise<string[]> {
  const left = new AbortController()
  link.onMessage = message => {
    if (message.type === 'cancel') left.abort(new ProdError('REQUEST_CANCELLED', 'cancelled before it was opened'))
  }
  void link.closed.then(() => left.abort(new ProdError('LINK_LOST', 'the link was cut')))
  link.send({type: 'notice', text: `alerting ${parts.config.alertChannels.join(' and ')}`})
  try {
    return await raiseAlerts(parts, breakGlassNotice(parts, loud, 'break-glass.started'), left.signal)
  } catch (error) {
    // no fault of the caller's, so the door writes nothing: that one channel may know of it must be in the log
    await parts.store.commit({
      events: [
        {
          type: 'break-glass.unalerted',
          by: person(caller()),
          subject: loud.id,
          correlation: caller().correlation,
          data: {code: error instanceof ProdError ? error.code : 'INTERNAL', target: plan.target?.name ?? null, incident: loud.incident},
          personal: {name: caller().principal.name, reason: loud.reason, address: caller().address},
        },
      ],
    })
    throw error
  } finally {
    link.onMessage = () => {}
  }
}

/** why a second person is asked where no alert was accepted (TM-O2) */
const unalerted = 'its alerts were not accepted'

function standsIn({approvalsNeeded, secondPerson}: RequestRecord): boolean {
  return approvalsNeeded > 0 && secondPerson?.endsWith(unalerted) === true
}

/**
 * Has both channels accept the alert before anything starts. The last resort, where the operator allows it: the same, asked
 * for anew, that a second person must approve now; `again` is that request. `alerted` is empty where they stand in.
 */
export async function alertFirst(
  serving: Serving,
  plan: Plan,
  request: RequestRecord,
  loud: Loud,
): Promise<{alerted: string[]} | {again: RequestRecord}> {
  const {parts, link, caller} = serving
  try {
    return {alerted: await alertBoth(serving, plan, loud)}
  } catch (error) {
    if (!parts.config.breakGlass.withoutAlerts || !(error instanceof ProdError) || error.code !== 'ALERTS_NOT_ACCEPTED') throw error
    if (standsIn(request)) {
      link.send({type: 'notice', text: `${error.message.replace(/, so .*/, '')}; a second person stands in, and they are tried on`})
      return {alerted: []}
    }
    link.send({type: 'notice', text: `${error.message}; a second person may stand in for it`})
    const secondPerson = request.secondPerson === null ? unalerted : `${request.secondPerson}, and ${unalerted}`
    return {again: await createRequest(parts, caller(), {draft: request.draft, key: `${request.id}-unalerted`}, {secondPerson})}
  }
}

/** The review that begins with a break-glass. */
export function newReview(parts: Pick<Parts, 'config' | 'store'>, id: string, {id: of, principal, target}: Loud): Review {
  const now = parts.store.now()
  return {
    id,
    state: 'open',
    session: of,
    principal,
    target,
    createdAt: now.toISOString(),
    dueAt: new Date(now.getTime() + parts.config.breakGlass.reviewDueHours * 3_600_000).toISOString(),
    doneAt: null,
    by: null,
    verdict: null,
    note: null,
  }
}

/** A notice to all alert channels, to stand in a commit: it is tried on until they accept it. */
export function loudly(parts: Parts, loud: Loud, type: Parameters<typeof breakGlassNotice>[2]): {channels: string[]; notice: Notice} {
  return {channels: parts.config.alertChannels, notice: breakGlassNotice(parts, loud, type)}
}

/** Tells it again and again while it goes on. Returns what stops that. */
export function keepReminding(parts: Parts, loud: Loud): () => void {
  const remind = (): void => {
    parts.store
      .commit({
        events: [{type: 'break-glass.goes-on', by: 'broker', subject: loud.id}],
        notices: [loudly(parts, loud, 'break-glass.goes-on')],
      })
      .catch(error => parts.alarm('a break-glass reminder could not be written', {session: loud.id, error: String(error)}))
  }
  const timer = setInterval(remind, parts.config.breakGlass.remindSeconds * 1000)
  return () => clearInterval(timer)
}

/** Says what it goes through and beyond (TM-F3, F5). */
export function sayBeyond(say: (text: string) => void, frozen: string | null, beyond: readonly string[]): void {
  if (frozen !== null) say(`you break glass through a freeze: ${frozen}`)
  for (const one of beyond) say(`you break glass beyond a limit: ${one}`)
}
