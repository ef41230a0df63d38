/** Waits with the client until a request may be used: the stream says who can approve and since when. */
import {ProdError} from '@prod/sdk/errors'
import type {Stored} from '../stores/store.ts'
import type {Serving} from '../streams/serving.ts'
import {watchRecord} from '../streams/wait.ts'
import {cancelRequest} from './decide.ts'
import {type RequestRecord, refuseEnded} from './state.ts'
import {approversOf} from './view.ts'

/** Resolves with the request once it is approved and its start has come, or has started already; undefined when the client left. Throws what became of it else. */
export async function awaitApproval({parts, link, caller}: Serving, id: string): Promise<Stored<RequestRecord> | undefined> {
  const watch = watchRecord(parts.store, 'request', id)
  let told = ''
  let failure: unknown
  link.onMessage = message => {
    if (message.type !== 'cancel') return
    cancelRequest(parts, caller(), {id}).catch(error => {
      failure = error
      watch.wake()
    })
  }
  void link.closed.then(() => watch.wake())
  try {
    for (;;) {
      if (link.isClosed()) return undefined
      if (failure) throw failure
      const stored = await parts.store.find<RequestRecord>('request', id)
      if (!stored) throw new ProdError('REQUEST_NOT_FOUND', `there is no request ${id}`, 'prod request ls')
      const record = stored.value
      const now = parts.store.now()
      if (record.state === 'started' || record.state === 'done') return stored
      refuseEnded(record, now)
      const startsIn = record.startAt ? Date.parse(record.startAt) - now.getTime() : 0
      if (record.state === 'approved' && startsIn <= 0) return stored
      const approvals = record.approvals.filter(one => one.decision === 'approve').map(one => one.by.name)
      const news = `${record.state} ${approvals.join(' ')}`
      if (news !== told) {
        link.send({
          type: 'waiting',
          request: id,
          digest: record.digest,
          since: record.createdAt,
          expiresAt: record.expiresAt,
          approvalsNeeded: record.approvalsNeeded,
          approvals,
          approvers: record.state === 'pending' ? await approversOf(parts, record) : [],
          summary: record.summary,
          ...(startsIn > 0 ? {startAt: record.startAt as string} : {}),
        })
        told = news
      }
      const until = record.state === 'approved' ? startsIn : Date.parse(record.expiresAt) - now.getTime()
      await watch.changed(until)
    }
  } finally {
    watch.stop()
    link.onMessage = () => {}
  }
}
