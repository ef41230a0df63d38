import {notifierContract} from '@prod/sdk/testing/notifier-contract'
import {notifier} from '../src/index.ts'
import {newSecret, startReceiver, status, writeSecrets} from './receiver.ts'

const files = {secretFile: '/etc/prod/a.secret'}

notifierContract({
  notifier,
  badConfigs: [
    {},
    {url: 'https://hooks.example/'},
    {...files},
    {url: 'https://hooks.example/', secretFile: 'a.secret'},
    {url: 'https://hooks.example/', secretFiles: []},
    {url: 'https://hooks.example/', secretFiles: ['/a', '/b', '/c']},
    {url: 'https://hooks.example/', secretFiles: ['/a', '/a']},
    {url: 'https://hooks.example/', secretFiles: ['/a'], secretFile: '/a'},
    {url: 'https://hooks.example/', secret: 'whsec_AAAA', ...files},
    {url: 'https://user@hooks.example/', ...files},
    {url: 'https://hooks.example/#part', ...files},
    {url: ' https://hooks.example/', ...files},
    {url: 'http://hooks.example/', ...files},
    {url: 'http://hooks.example/', ...files, development: true},
    {url: 'https://hooks.example/', ...files, development: 'yes'},
  ],
  async start() {
    const secrets = [newSecret(), newSecret()]
    const kept = writeSecrets(...secrets)
    const receiver = await startReceiver()
    return {
      config: {url: receiver.url, secretFiles: kept.files, development: true},
      secrets: [...secrets, ...secrets.map(secret => secret.slice(6)), '/hook'],
      answer: how =>
        receiver.answer(
          how === 'accept' ? status(204) : how === 'refuse' ? status(503) : how === 'hang' ? () => {} : response => void response.destroy(),
        ),
      received: () => receiver.got.map(({body}) => (JSON.parse(body.toString()) as {id: string}).id),
      async stop() {
        await receiver.stop()
        kept.remove()
      },
    }
  },
})
