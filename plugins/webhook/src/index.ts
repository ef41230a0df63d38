/** The plugin: notices as signed webhooks. What opens connections loads at the first notice. */
import {defineNotifier} from '@prod/sdk/notifier'
import {parseReceiver} from './receiver.ts'

export {verifyWebhook} from './signature.ts'

/** Sends notices to a URL, signed as Standard Webhooks; the channel's configuration is `{url, secretFile | secretFiles}`. */
export const notifier = defineNotifier({
  id: 'webhook',
  summary: 'a signed POST to a URL (Standard Webhooks)',
  channel(name, config) {
    const receiver = parseReceiver(name, config)
    return {name, send: async (notice, signal) => (await import('./send.ts')).send(name, receiver, notice, signal)}
  },
})
