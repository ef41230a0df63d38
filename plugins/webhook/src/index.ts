/** The plugin: notices as signed webhooks. What opens connections loads at the first notice. */
import {ProdError} from '@prod/sdk/errors'
import {defineNotifier} from '@prod/sdk/notifier'
import {parseReceiver} from './receiver.ts'

export {verifyWebhook} from './signature.ts'

/** Sends notices to a URL, signed as Standard Webhooks; the channel's configuration is `{url, secretFile | secretFiles}`. */
export const notifier = defineNotifier({
  id: 'webhook',
  summary: 'a signed POST to a URL (Standard Webhooks)',
  channel(name, config) {
    const receiver = parseReceiver(name, config)
    return {
      name,
      send: async (notice, signal) => (await import('./send.ts')).send(name, receiver, notice, signal),
      async forHolder(holder) {
        const {holderSecret, readSecret} = await import('./secrets.ts')
        const {url, secretFiles, development} = receiver
        const [file] = secretFiles
        if (file === undefined) throw new ProdError('CONFIG_INVALID', `the channel ${name} is one person's already`)
        const secret = holderSecret(await readSecret(file), holder)
        return {notifier: 'webhook', config: {url: url.href, holder, secret, ...(development ? {development} : {})}}
      },
    }
  },
})
