/** A broker that dies: writes one notice with its change; told so, it also begins to send it. ARGS: folder, then url and secret file to send. */
import {notifier} from '@prod/webhook'
import {deliverDue} from '../src/outbox/deliver.ts'
import {notice} from './outbox-notice.ts'
import {openFolder} from './store-folder.ts'

const [dir, url, secretFile] = process.argv.slice(2) as [string, string?, string?]
const store = await openFolder(dir)
await store.commit({
  put: [{kind: 'request', id: 'req_1', version: 0, value: {state: 'pending'}}],
  events: [{type: 'request.created', by: 'alice', subject: 'req_1'}],
  notices: [{channels: ['chat'], notice: notice('ntc_1')}],
})
if (url !== undefined) {
  const channels = new Map([['chat', notifier.channel('chat', {url, secretFile, development: true})]])
  await deliverDue({store, channels, alarm: () => {}}, new AbortController().signal)
}
process.stdout.write('committed\n')
setInterval(() => {}, 1000)
