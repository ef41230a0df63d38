/** moto_server, a foreign stand-in for AWS, where the machine has it: found, started on a free port, stopped. */
import {spawn, spawnSync} from 'node:child_process'
import {once} from 'node:events'

/** Whether both are there: the server, and the real AWS CLI as its client. */
export const found = ['moto_server', 'aws'].every(name => spawnSync('sh', ['-c', `command -v ${name}`]).status === 0)
if (!found) console.warn('moto_server or aws is not on this machine: the tests of prod assume run on the stand-in alone')

/** Starts it. `finish` gets what stops it. */
export async function startMoto(finish: (stop: () => Promise<void>) => void): Promise<string> {
  const server = spawn('moto_server', ['-H', '127.0.0.1', '-p', '0'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {...process.env, INITIAL_NO_AUTH_ACTION_COUNT: '9999'},
  })
  const ended = once(server, 'close')
  finish(async () => {
    server.kill('SIGTERM')
    await ended
  })
  let said = ''
  const url = new Promise<string>(resolve => {
    for (const stream of [server.stdout, server.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text
        const [, at] = /Running on (http:\/\/127\.0\.0\.1:\d+)/.exec(said) ?? []
        if (at) resolve(at)
      })
    }
  })
  const first = await Promise.race([url, ended.then(() => undefined)])
  if (first === undefined) throw new Error(`moto_server did not start: ${said}`)
  return first
}
