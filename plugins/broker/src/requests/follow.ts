import type {FirstMessage} from '@prod/sdk/wire'
import {reauthenticate} from '../identity/authenticate.ts'
import type {Serving} from '../streams/serving.ts'
import {type RequestRecord, showRequest} from './state.ts'
import {findVisible, shown, visible} from './view.ts'

/** Tells a client of every change to one request, or to all that the caller may see, until it leaves. */
export async function serveFollow({parts, link, caller}: Serving, first: FirstMessage & {type: 'follow'}): Promise<void> {
  /** As of now: a login that has ended or a group that was lost ends what is heard (TM-Q7, TM-G3). */
  const tell = async (id: string) => {
    const now = await reauthenticate(parts, caller())
    const stored = await parts.store.find<RequestRecord>('request', id)
    if (stored && visible(parts, now, stored.value)) link.send({type: 'request', request: await shown(parts, stored.value)})
  }
  const leave = (error: unknown) => {
    if (!link.isClosed()) link.fail(error, caller().correlation)
  }
  let work: Promise<void> = Promise.resolve()
  const stop = parts.store.subscribe(changed => {
    for (const {kind, id} of changed) {
      if (kind === 'request' && (first.request === undefined || first.request === id)) work = work.then(() => tell(id)).catch(leave)
      if (kind === 'login' && id === caller().login) work = work.then(() => reauthenticate(parts, caller())).then(() => {}, leave)
    }
  })
  try {
    if (first.request !== undefined) {
      const {value} = await findVisible(parts, caller(), first.request)
      link.send({type: 'request', request: value.state === 'pending' ? await shown(parts, value) : showRequest(value, [])})
    }
    await link.closed
  } finally {
    stop()
  }
}
