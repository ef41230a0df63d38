/** Login as in production: a broker over TLS, an identity provider that is not ours, a CA of one's own, a browser that follows pages. */
import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {type IncomingMessage, request as requestPlain} from 'node:http'
import {request} from 'node:https'
import {createServer} from 'node:net'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {text} from 'node:stream/consumers'
import {afterAll, beforeAll, expect, test} from 'vitest'
import {openOidc} from '../../plugins/broker/src/identity-providers/oidc/oidc.ts'
import {hostOf, outsideAddress, startForeignProvider} from '../../plugins/broker/test/foreign-provider.ts'
import {makeAuthority} from '../../plugins/sdk/test/broker/certificate.ts'
import {cli, collect, openPerson, type RealPerson} from './broker.ts'

const clientId = 'prod-cli'
const clientSecret = 'a secret of the client, with signs: +/ &='
const zoe = {sub: 'b7c2-zoe', name: 'Zoe Q', groups: ['engineers', 'on-call'], employee_id: 'E-1007'}
/** a provider cannot live on loopback: without any other address there is nothing that a broker would talk to */
const address = outsideAddress()
const [ours, another] = [makeAuthority('the company'), makeAuthority('somebody else')]
const ends: (() => Promise<void> | void)[] = []
let dir: string
let url: string
let issuer: string
let caFile: string
let person: RealPerson

beforeAll(async () => {
  if (address === undefined) return
  dir = mkdtempSync(join(tmpdir(), 'prod-login-'))
  ends.push(() => rmSync(dir, {recursive: true, force: true}))
  const provider = await startForeignProvider(address, ours.issue({ip: address}), {clientId, clientSecret, accounts: [zoe]})
  ends.push(() => provider.stop())
  issuer = provider.issuer
  const port = await freePort()
  url = `https://127.0.0.1:${port}`
  caFile = file('ca.pem', ours.cert)
  await startBroker(port)
  person = openPerson('zoe', join(dir, 'home'), undefined)
  // no browser of this machine is opened: the test is the browser
  person.env.PATH = join(dir, 'empty')
  mkdirSync(person.env.PATH)
})
afterAll(async () => {
  for (const end of ends.toReversed()) await end()
})

function file(name: string, content: string): string {
  const path = join(dir, name)
  writeFileSync(path, content, {mode: 0o600})
  return path
}

/** One that no outgoing connection takes in between: those have higher numbers. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 10_000)
    const server = createServer()
    const isFree = await new Promise<boolean>(resolve => {
      server.once('error', () => resolve(false))
      server.listen(port, '127.0.0.1', () => resolve(true))
    })
    await new Promise<void>(resolve => (isFree ? server.close(() => resolve()) : resolve()))
    if (isFree) return port
  }
}

/** A broker by a configuration file, as operators start it. */
async function startBroker(port: number): Promise<void> {
  const {key, cert} = ours.issue({ip: '127.0.0.1'})
  cpSync(join(import.meta.dirname, '../../plugins/broker/starter/init'), join(dir, 'production'), {recursive: true})
  file('tls.key', key)
  file('tls.crt', cert)
  file('oidc.secret', `${clientSecret}\n`)
  for (const name of ['chat', 'pager']) file(`${name}.secret`, `whsec_${Buffer.alloc(32, name).toString('base64')}\n`)
  const config = {
    dir: 'data',
    name: 'tls-test',
    origin: url,
    listen: {port, metricsPort: 0},
    tls: {certFile: 'tls.crt', keyFile: 'tls.key'},
    identity: {
      kind: 'oidc',
      issuer,
      clientId,
      clientSecretFile: 'oidc.secret',
      caFile: 'ca.pem',
      scopes: ['openid', 'profile', 'groups', 'offline_access'],
      personClaim: 'employee_id',
    },
    catalogDir: 'production/catalog',
    policyDir: 'production/policy',
    plugins: ['@prod/host', '@prod/webhook'],
    channels: ['chat', 'pager'].map(name => ({
      name,
      notifier: 'webhook',
      config: {url: `https://${name}.example.com/prod`, secretFile: join(dir, `${name}.secret`)},
    })),
    alertChannels: ['chat', 'pager'],
    places: ['10.0.0.0/8'],
    recordingRecipients: ['age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p'],
  }
  const configFile = file('broker.json', JSON.stringify(config))
  const child = spawn(process.execPath, [cli, 'broker', 'start', '--config', configFile, '--json'], {
    env: {PATH: process.env.PATH ?? '', HOME: join(dir, 'broker-home'), LANG: 'C.UTF-8'},
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const ended = once(child, 'close')
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    said += piece
  })
  ends.push(async () => {
    if (child.exitCode === null) child.kill('SIGTERM')
    await ended
  })
  const first = await Promise.race([once(child.stdout.setEncoding('utf8'), 'data'), ended.then(() => undefined)])
  if (first === undefined) throw new Error(`the broker did not start: ${said}`)
  expect(JSON.parse(String(first[0]))).toMatchObject({url, ready: true, issuer})
}

interface Page {
  status: number
  location: string | undefined
  body: string
}

/** A browser with a cookie jar that knows the company's CA: follows, fills in the provider's own pages, ends at the CLI's address. */
async function browse(start: string): Promise<Page> {
  const cookies = new Map<string, string>()
  const visit = (at: URL, form?: URLSearchParams): Promise<Page> =>
    new Promise((resolve, reject) => {
      const headers = {
        cookie: at.origin === issuer ? [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') : '',
        ...(form ? {'content-type': 'application/x-www-form-urlencoded'} : {}),
      }
      const options = {method: form ? 'POST' : 'GET', headers, agent: false}
      const sent = at.protocol === 'https:' ? request(at, {...options, ca: ours.cert}) : requestPlain(at, options)
      sent.once('error', reject).once('response', response => {
        for (const line of response.headers['set-cookie'] ?? []) {
          const [, name, value] = /^([^=;]+)=([^;]*)/.exec(line) ?? []
          if (name !== undefined && value !== undefined) cookies.set(name, value)
        }
        text(response).then(body => resolve({status: response.statusCode ?? 0, location: response.headers.location, body}), reject)
      })
      sent.end(form?.toString())
    })
  let at = new URL(start)
  let page = await visit(at)
  for (let step = 0; step < 20; step++) {
    if (page.location !== undefined) {
      at = new URL(page.location, at)
      page = await visit(at)
    } else if (page.body.includes('name="prompt"')) {
      const prompt = /name="prompt" value="(\w+)"/.exec(page.body)?.[1] ?? ''
      at = new URL(/<form[^>]* action="([^"]+)"/.exec(page.body)?.[1] ?? '', at)
      page = await visit(at, new URLSearchParams({prompt, ...(prompt === 'login' ? {login: zoe.sub, password: 'whatever'} : {})}))
    } else if (at.origin === issuer) throw new Error(`the provider answers ${page.status}: ${page.body.slice(0, 2000)}`)
    else return page
  }
  throw new Error(`the provider leads in circles: ${at.href}`)
}

async function login(args: readonly string[], browser = browse) {
  const child = await person.start(['login', ...args])
  const ended = collect(child)
  const shown = new Promise<string>(resolve => {
    let said = ''
    child.stderr.on('data', (piece: string) => {
      said += piece
      const [found] = /https:\/\/\S+\/auth\?\S+(?=\n)/.exec(said) ?? []
      if (found) resolve(found)
    })
  })
  const page = await Promise.race([shown.then(browser), ended.then(() => undefined)]).catch((error: unknown) => {
    child.kill('SIGINT') // or it waits five minutes for the browser
    throw error
  })
  return {...(await ended), page}
}

const by = (...more: string[]) => ['--broker', url, ...more]
/** an address that nobody has been at, so that nothing is remembered */
const refusedBy = async (args: readonly string[], env: Record<string, string> = {}) =>
  collect(await person.start(['login', ...args, '--json'], {env}))

test.skipIf(address === undefined)(
  'TM-Q8: a broker whose certificate nobody known vouches for, or that is for another name, is refused with what to type; nothing around the command changes that',
  async () => {
    const unknown = {status: 246, stdout: expect.stringMatching(/"CERTIFICATE_REFUSED".*its CA is not trusted.*--ca-file FILE/s)}
    expect(await refusedBy(by())).toMatchObject(unknown)
    expect(await refusedBy(by('--ca-file', file('another.pem', another.cert)))).toMatchObject(unknown)
    // who is trusted is configuration, not environment
    expect(await refusedBy(by(), {NODE_EXTRA_CA_CERTS: caFile})).toMatchObject(unknown)
    expect(await refusedBy(by(), {NODE_TLS_REJECT_UNAUTHORIZED: '0'})).toMatchObject({
      status: 241,
      stdout: expect.stringContaining('INSECURE_URL'),
    })
    const elsewhere = ['--broker', url.replace('127.0.0.1', 'localhost'), '--ca-file', caFile]
    expect(await refusedBy(elsewhere)).toMatchObject({status: 246, stdout: expect.stringContaining('it belongs to another name')})
    expect(await refusedBy(by('--ca-file', join(dir, 'none.pem')))).toMatchObject({
      status: 241,
      stdout: expect.stringContaining('CONFIG_INVALID'),
    })
  },
)

test.skipIf(address === undefined)(
  'TM-Q1 TM-Q5 TM-Q8: a login over TLS at a provider that is not ours, by its own pages, to a broker of a CA of one’s own; then commands work',
  async () => {
    const {status, stderr, page} = await login(by('--ca-file', caFile, '--name', 'company'))
    expect({status, stderr}).toMatchObject({status: 0})
    expect(stderr).toContain(`people log in at ${issuer}`)
    expect(stderr).toMatch(/logged in to company as Zoe Q \((engineers, on-call|on-call, engineers)\)/)
    expect(page).toMatchObject({status: 200})
    // the CA is remembered with the broker, so that nothing is named again
    const whoami = await person.run(['whoami', '--json'])
    expect(JSON.parse(whoami.stdout)).toMatchObject({
      principal: {iss: issuer, sub: zoe.sub, person: zoe.employee_id, name: zoe.name},
      groups: expect.arrayContaining(zoe.groups),
    })
    expect(await person.run(['roles', '--json'])).toMatchObject({status: 0})
    // no development way in
    expect(await person.run(['login', '--as', 'alice'])).toMatchObject({status: 241})
    expect(await person.run(['logout'])).toMatchObject({status: 0})
    expect(await person.run(['whoami'])).toMatchObject({status: 242})
  },
)

test.skipIf(address === undefined)('TM-Q1: somebody who says no at the provider is not logged in, and is told so', async () => {
  const no = async (start: string) => {
    const back = new URL(new URL(start).searchParams.get('redirect_uri') as string)
    back.searchParams.set('error', 'access_denied')
    back.searchParams.set('state', new URL(start).searchParams.get('state') as string)
    back.searchParams.set('iss', issuer)
    const sent = requestPlain(back, {agent: false})
    sent.end()
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    return {status: response.statusCode ?? 0, location: undefined, body: await text(response)}
  }
  expect(await login(by('--ca-file', caFile), no)).toMatchObject({status: 242, stderr: expect.stringContaining('access_denied')})
})

test.skipIf(address === undefined)(
  'TM-A7 TM-Q8: a provider whose certificate is of an unknown CA or for another name is refused, and the refusal says which key mends it',
  async () => {
    const settings = {development: false, clientId, clientSecret, scopes: ['openid'], groupsClaim: 'groups', personClaim: 'employee_id'}
    const asked = (at: string, ca?: string) =>
      openOidc({...settings, issuer: at, ...(ca === undefined ? {} : {ca})}).authorizationEndpoint()
    const refused = (why: string) => ({
      code: 'IDENTITY_UNAVAILABLE',
      message: expect.stringMatching(new RegExp(`certificate of the identity provider .*: ${why}`)),
      hint: expect.stringContaining('identity.caFile'),
    })
    expect(await asked(issuer, ours.cert)).toBe(`${issuer}/auth`)
    await expect(asked(issuer)).rejects.toMatchObject(refused('its CA is not trusted'))
    await expect(asked(issuer, another.cert)).rejects.toMatchObject(refused('its CA is not trusted'))
    const misnamed = await startForeignProvider(address as string, ours.issue({dns: 'login.example'}), {
      clientId,
      clientSecret,
      accounts: [],
    })
    try {
      expect(misnamed.issuer).toContain(hostOf(address as string))
      await expect(asked(misnamed.issuer, ours.cert)).rejects.toMatchObject(refused('it belongs to another name'))
    } finally {
      await misnamed.stop()
    }
  },
)
