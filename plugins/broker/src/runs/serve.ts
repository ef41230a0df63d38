/** `prod exec` and `prod attach` at the broker's end of the stream. */
import type {Digest} from '@prod/sdk'
import {sha256} from '@prod/sdk/document'
import {ProdError} from '@prod/sdk/errors'
import {type FirstMessage, frame, maxApprovedStdinBytes, type ServerMessage} from '@prod/sdk/wire'
import type {Caller, Parts} from '../parts.ts'
import {asRefused, createRequest} from '../requests/create.ts'
import {decidePlan} from '../requests/decide-plan.ts'
import {planFor} from '../requests/known.ts'
import {makePlan} from '../requests/plan.ts'
import {checkStart} from '../requests/role.ts'
import {expandSelectors, isMany, refusePattern} from '../requests/selectors.ts'
import type {Draft, RequestRecord} from '../requests/state.ts'
import {awaitApproval} from '../requests/wait.ts'
import {banner, refuseOtherPlace} from '../sessions/breaking.ts'
import type {Stored} from '../stores/store.ts'
import type {Serving} from '../streams/serving.ts'
import {raiseGlass, refuseUnfit, takeUpGlass} from './break-glass.ts'
import {leave, showLock, takeTurn} from './locks.ts'
import {beginRollout, findRollout} from './many.ts'
import {endFrame, makeReceipt} from './receipt.ts'
import type {RunRecord} from './record.ts'
import {storedRollout} from './rollout.ts'
import {type Glass, startRun, takesStdin} from './start.ts'

/** Runs a tool: decide, wait where policy says so, start, stream. */
export async function serveExec(serving: Serving, first: FirstMessage & {type: 'exec'}): Promise<void> {
  const {parts, caller} = serving
  if (first.breakGlass) refuseUnfit(first)
  const draft: Draft & {kind: 'exec'} = {
    kind: 'exec',
    argv: first.argv,
    target: isMany(first.targets) ? null : (first.targets[0] ?? null),
    reason: first.reason,
    incident: first.incident ?? null,
    startAt: checkStart(parts, first.startAt),
    stdin: null,
  }
  const plan = await asRefused(parts, draft, () => {
    if (isMany(first.targets)) draft.many = chosen(parts, caller(), first)
    else if (draft.target !== null) refusePattern(draft.target)
    return planFor(parts, caller(), draft)
  })
  if (plan.class !== 'read' || first.breakGlass) await serving.challenge()
  const glass = first.breakGlass ? await takeUpGlass(serving, plan, first.breakGlass.confirmed) : undefined
  let stdin: Buffer | undefined
  if (first.stdin && takesStdin(plan)) {
    const command = plan.resource.kind === 'command' ? plan.resource.tool.grammar.commands[plan.resource.structure.command] : undefined
    if (!command) throw new Error('not a command')
    serving.link.send({type: 'stdin-wanted'})
    const approved =
      glass !== undefined ||
      decidePlan(parts.bundle(), plan, caller()).decision !== 'allow' ||
      typeof command.stdin === 'object' ||
      draft.startAt !== null
    if (approved) {
      stdin = await readStdin(
        serving,
        typeof command.stdin === 'object' ? Math.min(command.stdin.maxBytes, maxApprovedStdinBytes) : maxApprovedStdinBytes,
      )
      draft.stdin = digest(stdin)
    }
  }
  const submission = {draft, key: first.key, ...(first.reasonReused === undefined ? {} : {reasonReused: first.reasonReused})}
  const record = await createRequest(parts, caller(), submission, glass)
  await runOrLeave(serving, record, first.wait, stdin ?? (first.stdin ? undefined : Buffer.alloc(0)))
}

/** What the selectors choose now; the list is fixed from here on. Throws TOOL_NOT_FOUND, TARGET_INVALID, TARGET_NOT_FOUND. */
function chosen(
  parts: Parts,
  {principal, groups}: Caller,
  {argv, targets: selectors}: FirstMessage & {type: 'exec'},
): {on: string[]; targets: string[]} {
  const bundle = parts.bundle()
  const tool = bundle.catalog.tools.get(argv[0] ?? '')
  // what is said of its targets would tell that it is there
  if (!tool || !bundle.sees({principal, groups, tool}))
    throw new ProdError('TOOL_NOT_FOUND', `there is no tool ${JSON.stringify(argv[0] ?? '')} in the catalog`, 'prod tools')
  const on = [...new Set(selectors)].sort()
  return {on, targets: expandSelectors(bundle, tool, on)}
}

/** Reads all of stdin before anybody approves it; its digest becomes part of the document. Throws STDIN_REFUSED beyond the bound. */
export async function readStdin({link}: Serving, maxBytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let total = 0
  return new Promise<Buffer>((resolve, reject) => {
    link.onFrame = (kind, bytes) => {
      if (kind === frame.close) resolve(Buffer.concat(chunks))
      if (kind !== frame.stdin) return
      total += bytes.byteLength
      if (total > maxBytes) {
        reject(new ProdError('STDIN_REFUSED', `stdin is longer than ${maxBytes} bytes`, 'send less'))
        return
      }
      chunks.push(bytes)
      link.send({type: 'window', stdin: total})
    }
    link.onMessage = message => {
      if (message.type === 'cancel') reject(new ProdError('REQUEST_CANCELLED', 'cancelled before it was asked for'))
    }
    void link.closed.then(() => reject(new ProdError('LINK_LOST', 'the link was cut')))
  }).finally(() => {
    link.onFrame = null
    link.onMessage = () => {}
  })
}

function digest(bytes: Buffer): Digest {
  return {bytes: bytes.byteLength, sha256: sha256(bytes)}
}

/** What was just asked for: its start, and the wait before it; who does not wait is told that it is pending. */
export async function runOrLeave(serving: Serving, {id, state}: RequestRecord, wait: boolean, stdin?: Buffer): Promise<void> {
  if (state !== 'pending' || wait) return runRequest(serving, id, {stdin, have: {stdout: 0, stderr: 0}})
  serving.link.send({type: 'pending', request: id})
  serving.link.close()
}

/** Waits for a request and starts it once; whoever comes later is attached to what it became. */
export async function runRequest(
  serving: Serving,
  id: string,
  options: {stdin: Buffer | undefined; have: {stdout: number; stderr: number}},
): Promise<void> {
  const {parts, set, link, caller} = serving
  let glass: Glass | undefined
  for (;;) {
    const stored = await awaitApproval(serving, id)
    if (!stored) return
    const record = stored.value
    if (record.draft.kind === 'role') return serving.openRole(stored)
    if (record.draft.kind === 'exec' && record.draft.many) {
      const rollout = findRollout(set, id) ?? (record.state === 'approved' ? await beginRollout(parts, set, caller(), stored) : null)
      if (rollout === undefined) continue
      if (rollout) rollout.watch(link, caller)
      else {
        link.send(await storedRollout(parts, record))
        link.close()
      }
      return
    }
    if (record.state === 'started' || record.state === 'done') {
      if (!record.result) throw new ProdError('RUN_NOT_FOUND', `request ${id} started nothing`, `prod request show ${id}`)
      return attachTo(serving, record.result, options.have)
    }
    if (record.draft.kind === 'shell') return serving.openShell(stored)
    if (record.draft.kind === 'forward') return serving.openForward(stored)
    const wanted = record.draft.stdin
    if (wanted && (!options.stdin || sha256(options.stdin) !== wanted.sha256)) {
      throw new ProdError('STDIN_REFUSED', 'stdin is not the one that was approved', `prod attach ${id} < the same file`)
    }
    if (record.breakGlass && !glass) {
      // before it stands in line: whoever waits there has been told of
      const raised = await raiseGlass(serving, stored)
      if ('again' in raised) return runRequest(serving, raised.again.id, options)
      glass = raised
    }
    const plan = makePlan(parts.bundle(), record.draft)
    let cancelled = false
    const {promise: cancel, resolve: wake} = Promise.withResolvers<void>()
    link.onMessage = message => {
      if (message.type !== 'cancel') return
      cancelled = true
      wake()
    }
    // runs that no one approved read stdin as it comes; without one they see its end
    const lock =
      plan.locks.length === 0
        ? null
        : await takeTurn(parts, plan.locks, id, {
            instance: set.instance,
            cancelled: () => cancelled || link.isClosed(),
            behind: ({count, holder}) =>
              link.send({
                type: 'queued',
                behind: count,
                target: plan.target?.name ?? '',
                ...(holder ? {holder: {run: holder.run, of: showLock(holder.key)}} : {}),
              }),
            wakeOn: Promise.race([link.closed, cancel]),
          })
    if (plan.locks.length > 0 && lock === null) {
      if (cancelled)
        throw new ProdError('REQUEST_CANCELLED', `request ${id} was cancelled in the queue; it is still approved`, `prod attach ${id}`)
      return
    }
    const started = await startRun(parts, set, caller(), stored, lock, glass).catch(async error => {
      await leave(parts, plan.locks, id)
      throw error
    })
    if (!started) continue
    const {live, run} = started
    if (options.stdin && takesStdin(plan)) live.feed(options.stdin)
    live.attach(link, options.have, offsets => startedMessage(run, offsets))
    return
  }
}

function startedMessage(run: RunRecord, offsets: {stdout: number; stderr: number}): ServerMessage {
  return {
    type: 'started',
    id: run.id,
    request: run.request,
    target: run.target.name,
    environment: run.environment,
    correlation: run.correlation,
    ...offsets,
    ...(run.breakGlass ? {banner: banner(run.target, 'run')} : {}),
  }
}

/** Takes up a run, a session, or a request that has been approved meanwhile. Unknown and foreign look alike. */
export async function serveAttach(serving: Serving, first: FirstMessage & {type: 'attach'}): Promise<void> {
  const {parts, caller} = serving
  if (!first.id.startsWith('req_')) return attachTo(serving, first.id, first.have)
  const stored = await parts.store.find<RequestRecord>('request', first.id)
  if (!stored || !mine(stored.value.principal, caller().principal))
    throw new ProdError('REQUEST_NOT_FOUND', `there is no request ${first.id}`, 'prod request ls')
  if (stored.value.draft.kind === 'role')
    throw new ProdError('USAGE', `request ${first.id} asks for a role; nothing to attach to`, 'prod grant ls')
  if (stored.value.class !== 'read' || stored.value.breakGlass) await serving.challenge()
  const stdin = await approvedStdin(serving, stored, first.stdin === true)
  return runRequest(serving, first.id, {stdin, have: first.have})
}

async function approvedStdin(serving: Serving, stored: Stored<RequestRecord>, offered: boolean): Promise<Buffer | undefined> {
  const wanted = stored.value.draft.kind === 'exec' ? stored.value.draft.stdin : null
  if (!wanted) return Buffer.alloc(0)
  if (stored.value.state !== 'approved' && stored.value.state !== 'pending') return undefined
  if (offered) serving.link.send({type: 'stdin-wanted'})
  else
    throw new ProdError(
      'STDIN_REFUSED',
      `request ${stored.id} was asked for with stdin; send the same again`,
      `prod attach ${stored.id} < FILE`,
    )
  return readStdin(serving, wanted.bytes)
}

function mine(a: {iss: string; sub: string}, b: {iss: string; sub: string}): boolean {
  return a.iss === b.iss && a.sub === b.sub
}

async function attachTo(serving: Serving, id: string, have: {stdout: number; stderr: number}): Promise<void> {
  if (id.startsWith('ses_') || id.startsWith('con_')) return serving.attachSession(id, have)
  const {parts, set, link, caller} = serving
  const stored = await parts.store.find<RunRecord>('run', id)
  if (!stored || !mine(stored.value.principal, caller().principal))
    throw new ProdError('RUN_NOT_FOUND', `there is no run ${id}`, 'prod request ls --mine')
  const run = stored.value
  const entry = await set.findSoon(id)
  if (entry) {
    refuseOtherPlace(serving, run, entry)
    entry.live.attach(link, have, offsets => startedMessage(run, offsets))
    return
  }
  if (run.state === 'started') throw new ProdError('OUTCOME_UNKNOWN', `run ${id} is not on this broker`, `prod attach ${id}`)
  // Over, and its bytes are no longer held: the end and the receipt are.
  link.send(startedMessage(run, {stdout: run.stdout?.bytes ?? 0, stderr: run.stderr?.bytes ?? 0}))
  link.sendFrame(
    frame.end,
    Buffer.from(
      await endFrame(parts.keys, {
        id,
        exit: run.exit ?? {unknown: 'no end record'},
        endedBy: run.endedBy,
        stdoutBytes: run.stdout?.bytes ?? 0,
        stderrBytes: run.stderr?.bytes ?? 0,
        iat: Math.floor(parts.store.now().getTime() / 1000),
      }),
    ),
  )
  const receipt = await makeReceipt(parts, run)
  if (receipt) link.send({type: 'receipt', receipt})
  link.close()
}
