/** Why the broker refused, and who can help with what something else refused. Reads alone; nothing is decided or made here. */
import type {Grant} from '@prod/sdk'
import {api, type InputOf} from '@prod/sdk/api'
import {ProdError} from '@prod/sdk/errors'
import {leastRoles, type Need, onlyOn} from '@prod/sdk/least-role'
import type {Help, Ruling} from '@prod/sdk/ruling'
import {showArgv} from '@prod/sdk/text'
import type {FastifyInstance} from 'fastify'
import {about, tellRefusal} from '../audit/refusals.ts'
import type {RoleEntry} from '../catalog/catalog.ts'
import {handle} from '../http/handle.ts'
import type {Caller, Parts} from '../parts.ts'
import {approvalsFor, decideUse} from '../policy/decide.ts'
import type {Bundle} from '../policy/policy.ts'
import {seenCatalog, sightOf} from '../policy/seen.ts'
import type {RunRecord} from '../runs/record.ts'
import {asRefused} from './create.ts'
import {decidePlan, explainPlan} from './decide-plan.ts'
import {unseen} from './known.ts'
import {ownersOf} from './owners.ts'
import {eachOf, makePlan, type Plan, question} from './plan.ts'
import {expandSelectors, isMany} from './selectors.ts'
import {type Draft, type RequestRecord, samePerson} from './state.ts'
import {approversOfPlan, findVisible, mayReadAudit} from './view.ts'

const lately = 30 * 86_400_000

/** `prod explain RUN`, and what `prod explain` asks a broker for. */
export function explainRoutes(app: FastifyInstance, parts: Parts): void {
  handle(app, parts, api.explainUse, (input, caller) => explainUse(parts, caller, input))
  handle(app, parts, api.whoHelps, (input, caller) => whoHelps(parts, caller, input))
}

async function explainUse(parts: Parts, caller: Caller, input: InputOf<typeof api.explainUse>): Promise<Ruling> {
  if (input.id?.startsWith('run_')) return ofRun(parts, caller, input.id)
  if (input.id !== undefined) return ofRequest(parts, caller, (await findVisible(parts, caller, input.id)).value)
  return {id: null, ...(await judgedAsked(parts, caller, input))}
}

/** A question about what the caller may know of; what is denied is recorded, as a refused request is. */
async function judgedAsked(parts: Parts, caller: Caller, input: InputOf<typeof api.explainUse>): Promise<Omit<Ruling, 'id'>> {
  const bundle = parts.bundle()
  const {argv: words, target, role} = input
  const seen = {
    ...bundle,
    catalog: seenCatalog(bundle, caller, {
      ...(words ? {words} : {}),
      ...(target === undefined ? {} : {target}),
      ...(role === undefined ? {} : {role}),
    }),
  }
  const draft = draftOf(seen, input)
  const ruling = judged(parts, caller, draft, seen)
  if (ruling.decision !== 'deny') return ruling
  const refused = await asRefused(parts, draft, () => {
    throw new ProdError('DENIED', ruling.message)
  }).catch((error: ProdError) => error)
  await tellRefusal(parts, caller, about(refused, {type: 'call.refused'}), `${api.explainUse.method} ${api.explainUse.path}`)
  return ruling
}

/** A question as a draft, which is never submitted: the reason is none of it. */
function draftOf(
  bundle: Pick<Bundle, 'catalog'>,
  {argv, targets = [], role, target, use, incident}: InputOf<typeof api.explainUse>,
): Draft {
  const rest = {reason: 'to see what policy says', incident: incident ?? null}
  if (argv) {
    const [only] = targets
    const tool = bundle.catalog.tools.get(argv[0] ?? '')
    const many = tool && isMany(targets) ? {on: targets, targets: expandSelectors(bundle, tool, targets)} : undefined
    return {
      kind: 'exec',
      argv,
      target: only === undefined || many ? null : only,
      ...(many ? {many} : {}),
      stdin: null,
      startAt: null,
      ...rest,
    }
  }
  if (role !== undefined) return {kind: 'role', role, durationSeconds: 1, startAt: null, ...rest}
  if (target !== undefined && use === 'shell') return {kind: 'shell', target, ...rest}
  if (target !== undefined) return {kind: 'forward', target, to: [], ...rest}
  throw new ProdError('BAD_REQUEST', 'an id, a command, a role or a target is needed')
}

/** What policy says to the caller of a draft now, and why. What a plan refuses is the answer too. `seen`: with the catalog that the plan may be made of. */
function judged(parts: Parts, caller: Caller, draft: Draft, seen?: Bundle): Omit<Ruling, 'id'> {
  const bundle = parts.bundle()
  const nothing = {decision: null, rules: []}
  let plan: Plan
  try {
    plan = makePlan(seen ?? bundle, draft)
  } catch (error) {
    if (!(error instanceof ProdError)) throw error
    return {
      ...nothing,
      summary: inWords(draft),
      decision: 'deny',
      message: error.message + (unseen.has(error.code) ? ', or none that you may see' : ''),
      hint: error.hint ?? null,
    }
  }
  const {summary} = plan
  const decided = decidePlan(bundle, plan, caller)
  if (decided.decision === 'allow') return {...nothing, summary, decision: 'allow', message: 'policy allows this at once', hint: null}
  if (decided.decision === 'request')
    return {
      ...nothing,
      summary,
      decision: 'request',
      message: `policy lets you ask for this: ${decided.approvals === 1 ? 'one person' : `${decided.approvals} people`} must approve it`,
      hint: 'type it again: it waits for approval',
    }
  const denied = eachOf(plan).find(one => decideUse(bundle, question(one, caller), one.action).decision === 'deny') ?? plan
  const {message, hint} = explainPlan(bundle, plan, caller)
  return {summary, decision: 'deny', message, rules: bundle.why(question(denied, caller), denied.action, decided.rules), hint: hint ?? null}
}

async function ofRequest(parts: Parts, caller: Caller, record: RequestRecord): Promise<Ruling> {
  const now = samePerson(caller.principal, record.principal)
    ? judged(parts, caller, record.draft)
    : {decision: null, rules: [], hint: null, message: ''}
  const by = record.approvals.find(one => one.decision === 'deny')?.by.name
  const note = record.note ? `: ${record.note}` : ''
  const ended: Partial<Record<RequestRecord['state'], {message: string; hint: string | null}>> = {
    denied: {
      message: `${by ?? 'an approver'} denied it${note}; policy itself lets it be asked for`,
      hint: 'ask again with what was missing in the reason',
    },
    expired: {message: 'nobody approved it in time, or it was not used in time', hint: 'ask again with the same command'},
    cancelled: {message: 'it was cancelled by whoever asked', hint: 'ask again with the same command'},
    void: {message: `what was approved is no longer what would happen${note}`, hint: 'ask again with the same command'},
    pending: {
      message: `nothing is refused: it waits for ${record.approvalsNeeded - record.approvals.length} more to approve it`,
      hint: `prod attach ${record.id}`,
    },
    approved: {
      message: 'nothing is refused: it is approved',
      hint: record.draft.kind === 'role' ? 'prod grant ls' : `prod attach ${record.id}`,
    },
    started: {message: 'nothing is refused: it is running', hint: record.result ? `prod attach ${record.result}` : null},
    done: {message: 'nothing was refused: it was used', hint: record.result?.startsWith('run_') ? `prod explain ${record.result}` : null},
  }
  const {message, hint} = ended[record.state] ?? {message: record.state, hint: null}
  const stillAsked = now.decision === 'deny' && record.state !== 'done'
  return {
    id: record.id,
    summary: record.summary,
    decision: now.decision,
    message: stillAsked ? `${message}; today ${now.message}` : message,
    rules: now.rules,
    hint: stillAsked ? now.hint : hint,
  }
}

async function ofRun(parts: Parts, caller: Caller, id: string): Promise<Ruling> {
  const run = (await parts.store.find<RunRecord>('run', id))?.value
  const isOwn = run !== undefined && samePerson(caller.principal, run.principal)
  if (!run || !(isOwn || mayReadAudit(parts, caller))) throw new ProdError('RUN_NOT_FOUND', `there is no run ${id}`, 'prod request ls')
  const {exit, endedBy} = run
  const draft: Draft = {
    kind: 'exec',
    argv: run.argv,
    target: run.target.name,
    reason: run.reason,
    incident: null,
    startAt: null,
    stdin: null,
  }
  const now = isOwn ? judged(parts, caller, draft) : {decision: null, rules: [], hint: null, message: ''}
  const isDenied = now.decision === 'deny'
  const [message, hint] =
    run.endedAt === null
      ? ['it is running', `prod attach ${id}`]
      : endedBy !== null
        ? [`the broker ended it: ${endedBy}`, now.hint]
        : exit && 'unknown' in exit
          ? [`its outcome is unknown: ${exit.unknown}`, `prod audit search --subject ${id}`]
          : exit && 'status' in exit && exit.status === 0
            ? ['nothing was refused: it ended well', null]
            : ['the broker refused nothing: the program itself failed', isOwn ? 'prod explain --last' : null]
  return {
    id,
    summary: `${showArgv(run.argv)} on ${run.target.name}`,
    decision: now.decision,
    message: isDenied && exit !== null && endedBy !== null ? `${message}; today ${now.message}` : message,
    rules: now.rules,
    hint,
  }
}

async function whoHelps(parts: Parts, caller: Caller, {action, resource = null}: Partial<Need> & {action: string}): Promise<Help> {
  const bundle = parts.bundle()
  const asked = {principal: caller.principal, groups: caller.groups, context: {address: caller.address}}
  const owner = `${caller.principal.iss}#${caller.principal.sub}`
  const active = (await parts.store.list<Grant>({kind: 'grant', state: 'active', owner})).map(one => one.value)
  const usable = [...bundle.catalog.roles.values()].flatMap(role => {
    const {decision} = decideUse(bundle, {...asked, resource: {kind: 'role', role}}, 'assume')
    // what is neither had nor to be asked for is not shown, as in the catalog
    if (decision === 'deny') return []
    return [{...role.reach, name: role.name, allows: role.allows, class: role.class, held: decision === 'allow', role}]
  })
  const least = leastRoles(usable, [{action, resource}]).slice(0, 5)
  const medians = await medianApprovals(
    parts,
    least.map(({name}) => name),
  )
  const roles = await Promise.all(
    least.map(async one => {
      const {name, role, held} = one
      const only = onlyOn(one, action)
      return {
        name,
        usable: held ? ('now' as const) : ('request' as const),
        class: role.class,
        active: active.find(grant => grant.role === name)?.expiresAt ?? null,
        approvals: held ? 0 : approvalsFor(bundle, {kind: 'role', role}),
        approvers: held ? [] : await approversOfRole(parts, caller, role),
        medianSeconds: medians.get(name) ?? null,
        ...(only ? {only} : {}),
      }
    }),
  )
  return {roles, owners: ownersOf(bundle.catalog, resource ?? '', sightOf(bundle, caller))}
}

async function approversOfRole(parts: Parts, caller: Caller, role: RoleEntry): Promise<string[]> {
  const draft: Draft = {kind: 'role', role: role.name, durationSeconds: 1, reason: 'who approves', incident: null, startAt: null}
  return approversOfPlan(parts, makePlan(parts.bundle(), draft), caller.principal)
}

/** By role, how long half of the requests of the last 30 days waited for their last approval. An approved one has made a grant: the newest of them are looked at. */
async function medianApprovals(parts: Parts, roles: readonly string[]): Promise<Map<string, number>> {
  const since = new Date(parts.store.now().getTime() - lately).toISOString()
  const grants = roles.length === 0 ? [] : await parts.store.list<Grant>({kind: 'grant', newest: true, limit: 1000})
  const medians = new Map<string, number>()
  for (const role of roles) {
    const own = grants.filter(({value}) => value.role === role).slice(0, 50)
    const requests = await Promise.all(own.map(({value}) => parts.store.find<RequestRecord>('request', value.request)))
    const waits = requests
      .flatMap(one => (one && one.value.createdAt >= since && one.value.approvals.length > 0 ? [one.value] : []))
      .map(({createdAt, approvals}) => Math.max(...approvals.map(one => Date.parse(one.at))) - Date.parse(createdAt))
      .sort((a, b) => a - b)
    if (waits.length > 0) medians.set(role, Math.round((waits[Math.floor(waits.length / 2)] as number) / 1000))
  }
  return medians
}

function inWords(draft: Draft): string {
  if (draft.kind === 'exec') return showArgv(draft.argv)
  return draft.kind === 'role' ? `the role ${draft.role}` : `a ${draft.kind} on ${draft.target}`
}
