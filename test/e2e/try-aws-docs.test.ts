/** docs/try-aws-sessions.md as somebody new types it: the stand-in as a process, a broker beside it, its files, its commands and what they put out. */
import {type ChildProcess, execFile, spawn} from 'node:child_process'
import {once} from 'node:events'
import {mkdirSync, readFileSync, writeFileSync} from 'node:fs'
import {createServer} from 'node:http'
import type {AddressInfo} from 'node:net'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {promisify} from 'node:util'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {cli, type RealBroker, type RealPerson, startRealBroker} from './broker.ts'
import {openScreen} from './screen.ts'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/try-aws-sessions.md'), 'utf8')
const blocks = [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)].map(([, language = '', text = '']) => ({language, text}))
/** commands of somebody, each with what it put out */
const typed = blocks
  .filter(({language}) => language === '')
  .flatMap(({text}) => text.split(/^(?=(?:alice|bob)\$ )/m))
  .flatMap(part => {
    const [, who, command, output] = /^(alice|bob)\$ (prod [^\n]*)\n(.*)$/s.exec(part) ?? []
    return who && command ? [{who, command, output: output ?? ''}] : []
  })

const ends: (() => Promise<void> | void)[] = []
let standIn: ChildProcess
let broker: RealBroker
let [alice, bob] = [] as unknown as [RealPerson, RealPerson]

beforeAll(async () => {
  const [, options = ''] = /sessions-stand-in\/main\.ts \\\n {2}'(\{.*\})'/.exec(page) ?? []
  const main = join(root, 'test/sessions-stand-in/main.ts')
  standIn = spawn(process.execPath, ['--conditions=source', main, options], {stdio: ['pipe', 'pipe', 'inherit']})
  const ended = once(standIn, 'exit')
  ends.push(async () => {
    standIn.stdin?.end()
    await ended
  })
  const [line] = (await once(createInterface(standIn.stdout as NodeJS.ReadableStream), 'line')) as [string]
  const {env} = JSON.parse(line) as {env: Record<string, string>}
  broker = await startRealBroker(end => void ends.push(end), {env})
  for (const {text} of blocks) {
    const [, name] = /^(?:#|\/\/) ((?:catalog|policy)\/\S+)\n/.exec(text) ?? []
    if (!name) continue
    mkdirSync(join(broker.dir, name, '..'), {recursive: true})
    writeFileSync(join(broker.dir, name), text)
  }
  ;[alice, bob] = [broker.as('alice'), broker.as('bob')]
  await bob.login()
  for (let tries = 0; tries < 50; tries++) {
    if ((await alice.run(['tools', '--json'])).stdout.includes('"say-all"')) return
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  throw new Error('the catalog of the page did not load')
})
afterAll(async () => {
  for (const end of ends.reverse()) await end()
})

/** A line as it was typed, by a shell that knows `prod`. */
async function type(who: RealPerson, line: string): Promise<string> {
  const shell = `prod() { '${process.execPath}' '${cli}' "$@"; }; ${line} 2>&1`
  const run = promisify(execFile)('/bin/sh', ['-c', shell], {env: who.env})
  const {stdout} = await run.catch((error: {code?: number; stdout?: string}) => {
    if (error.code === 245) return {stdout: error.stdout ?? ''}
    throw error
  })
  return stdout
}

/** What differs from one time to the next. */
const plain = (text: string): string =>
  text
    .replace(/\b(req|run|ses)_\w+/g, '$1_…')
    .replace(/\b[0-9a-f]{8}-[0-9a-f-]{27}\b/g, 'UUID')
    .replace(/\b[0-9a-f]{64}\b/g, 'DIGEST')
    .replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:PORT')
const sorted = (text: string): string[] => plain(text).split('\n').filter(Boolean).sort()

test('each command puts out what the page shows', async () => {
  const server = createServer((_, answer) => answer.end('hello from the port\n')).listen(0, '127.0.0.1')
  await once(server, 'listening')
  ends.push(() => void server.close())
  const port = (server.address() as AddressInfo).port
  const shown = typed.filter(({command, output}) => output !== '' && !command.startsWith('prod shell'))
  expect(shown.map(({command}) => command.split(' ')[1])).toEqual(['exec', 'exec', 'request', 'attach', 'forward'])
  let request = ''
  for (const {who, command, output} of shown) {
    const line = command
      .replace(/req_\w+/, request)
      .replace('localhost:8080', `localhost:${port}`)
      .replace('curl -s', `${process.execPath} -e "fetch(process.argv[1]).then(a => a.text()).then(t => process.stdout.write(t))"`)
    const said = await type(who === 'bob' ? bob : alice, line)
    request = /^req_\w+/.exec(said)?.[0] ?? request
    // instances are done in any order; what a forward says of itself stands around
    if (command.includes('forward')) expect(said, command).toContain(output)
    else if (command.includes('attach'))
      expect(sorted(said).filter(one => !/\d\/2 /.test(one))).toEqual(sorted(output).filter(one => !/\d\/2 /.test(one)))
    else expect(plain(said), command).toBe(plain(output))
  }
})

test('its shell waits for the other one, and leads into the container', async ({onTestFinished}) => {
  const [shell] = typed.filter(({command}) => command.startsWith('prod shell'))
  expect(shell?.command).toBe('prod shell app --reason "trying it out"')
  const screen = await openScreen(onTestFinished, alice, ['shell', 'app', '--reason', 'trying it out'], {columns: 100, rows: 30})
  const [found] = await screen.until(/req_\w+/)
  const id = found ?? ''
  expect((await bob.run(['request', 'ls'])).stdout).toContain(id)
  const approved = await bob.run(['request', 'approve', id, '--yes'])
  expect(approved.stdout + approved.stderr).toMatch(/definition=web:7&task=[0-9a-f]{32}/)
  await screen.until(/\[prod app\] .*[#$] ?$/m)
  screen.type('exit 3\r')
  expect(await screen.ended, screen.text()).toBe(3)
})
