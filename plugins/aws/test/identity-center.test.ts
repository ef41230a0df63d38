import {hash} from 'node:crypto'
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs'
import {get} from 'node:http'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {readAwsConfig} from '../src/config/files.ts'
import {type Portal, sessionPortal} from '../src/config/profile.ts'
import {signInUrl} from '../src/console.ts'
import {authorizeByCode} from '../src/identity-center/code.ts'
import {authorizeByDevice} from '../src/identity-center/device.ts'
import {findListed, listedRoles} from '../src/identity-center/listed.ts'
import {refreshListing} from '../src/identity-center/listing.ts'
import {signIn} from '../src/identity-center/login.ts'
import {makePerson} from './person.ts'
import {type StandIn, startStandIn} from './stand-in.ts'

const config = (url: string): string => `
[sso-session corp]
sso_start_url = https://corp.awsapps.com/start
sso_region = eu-central-1
services = local
[services local]
sso =
  endpoint_url = ${url}
sso_oidc =
  endpoint_url = ${url}
[profile reader]
sso_session = corp
sso_account_id = 111111111111
sso_role_name = ReadOnly
services = local
region = eu-west-1
`

interface Scene {
  aws: StandIn
  home: string
  portal: Portal
  /** logs in as `aws sso login` would have */
  logIn(): Promise<void>
  tokenFile: string
}

async function begin(onTestFinished: (finish: () => Promise<void> | void) => void): Promise<Scene> {
  const aws = await startStandIn(onTestFinished)
  aws.accounts = [
    {id: '111111111111', name: 'payments', roles: ['ReadOnly', 'Operator', 'Audit', 'Admin']},
    {id: '222222222222', name: 'twin', roles: ['ReadOnly']},
    {id: '333333333333', name: 'twin', roles: ['ReadOnly']},
    {id: '444444444444', name: 'a/b', roles: []},
  ]
  const home = mkdtempSync(join(tmpdir(), 'prod-portal-'))
  const before = {...process.env}
  onTestFinished(() => {
    process.env = before
    rmSync(home, {recursive: true, force: true})
  })
  process.env = {PATH: before.PATH, HOME: home, AWS_CONFIG_FILE: join(home, 'config')}
  writeFileSync(join(home, 'config'), config(aws.url))
  const portal = sessionPortal(readAwsConfig(), 'corp')
  const {writeToken} = await import('../src/identity-center/token.ts')
  return {
    aws,
    home,
    portal,
    tokenFile: join(home, '.aws/sso/cache', `${hash('sha1', 'corp')}.json`),
    async logIn() {
      const {client, answer} = await authorizeByCode(portal, (_, url) => browse(url), 5000)
      const {accessToken, expiresIn, refreshToken = ''} = answer
      const expiresAt = new Date(Date.now() + expiresIn * 1000).toISOString()
      writeToken(join(home, '.aws/sso/cache'), portal, {
        startUrl: portal.startUrl,
        region: portal.region,
        accessToken,
        expiresAt,
        refreshToken,
        ...client,
      })
    },
  }
}

/** Goes where a browser goes: a fetch in the background is no person who came back. */
function browse(url: string): void {
  get(url, answer => {
    answer.resume()
    if (answer.headers.location) browse(answer.headers.location)
  })
}

const fast = {perSecond: 1000, burst: 1000, pauseMs: 1}
const nothing = (): void => {}

test('the login in the browser: code, PKCE, a loopback address; the page holds no secret', async ({onTestFinished}) => {
  const {aws, portal} = await begin(onTestFinished)
  let page = ''
  const {answer} = await authorizeByCode(
    portal,
    (_, url) => {
      page = url
      browse(url)
    },
    5000,
  )
  expect(answer.accessToken).toBeTypeOf('string')
  const asked = new URL(page).searchParams
  expect(asked.get('redirect_uri')).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/oauth\/callback$/)
  expect(asked.get('code_challenge_method')).toBe('S256')
  for (const secret of aws.secrets) expect(page).not.toContain(secret)
})

test('where there is no browser a code is shown, and it waits until somebody has confirmed it', async ({onTestFinished}) => {
  const {aws, portal} = await begin(onTestFinished)
  aws.confirms = false
  let lines: string[] = []
  const login = authorizeByDevice(
    portal,
    shown => {
      lines = shown
    },
    5000,
  )
  await aws.called() // registers
  await aws.called() // asks for a code
  await aws.called() // is told to wait
  aws.confirms = true
  expect((await login).answer.accessToken).toBeTypeOf('string')
  expect(lines.join()).toContain('ABCD-EFGH')
})

test('a listing of all accounts and roles, page by page, in the face of throttling', async ({onTestFinished}) => {
  const {aws, portal, logIn} = await begin(onTestFinished)
  await logIn()
  aws.throttled = 3
  const said: string[] = []
  await refreshListing(portal, text => said.push(text), fast)
  expect(listedRoles(readAwsConfig()).map(({name}) => name)).toEqual([
    'corp/payments/Admin',
    'corp/payments/Audit',
    'corp/payments/Operator',
    'corp/payments/ReadOnly',
    'corp/222222222222/ReadOnly',
    'corp/333333333333/ReadOnly',
  ])
  expect(said.at(-1)).toBe('corp: roles of 4 of 4 accounts')
  expect(findListed(readAwsConfig(), 'corp/111111111111/Audit')).toMatchObject({account: '111111111111', role: 'Audit'})
  expect(findListed(readAwsConfig(), 'corp/payments/Nobody')).toBeUndefined()
})

test('a listing that was broken off goes on where it was, and what was known stays meanwhile', async ({onTestFinished}) => {
  const {aws, portal, logIn} = await begin(onTestFinished)
  await logIn()
  await refreshListing(portal, nothing, fast)
  aws.accounts[0]?.roles.push('New')
  let asked = 0
  const stop = (): void => {
    if (++asked === 6) throw new Error('the laptop is closed')
  }
  await expect(refreshListing(portal, stop, fast)).rejects.toThrow('the laptop is closed')
  expect(listedRoles(readAwsConfig())).toHaveLength(7)
  aws.calls.length = 0
  await refreshListing(portal, nothing, fast)
  expect(aws.calls.filter(call => call === 'GET /assignment/roles').length).toBeLessThan(5)
})

test('a token that the portal no longer takes is renewed without a browser; one that cannot be is a login that nobody is here for', async ({
  onTestFinished,
}) => {
  const {aws, portal, logIn} = await begin(onTestFinished)
  await logIn()
  aws.skipMs(9 * 3_600_000)
  await refreshListing(portal, nothing, fast)
  expect(aws.logins).toBe(1)
  aws.skipMs(9 * 3_600_000)
  aws.calls.length = 0
  const [{tokenFile}] = [{tokenFile: join(process.env.HOME ?? '', '.aws/sso/cache', `${hash('sha1', 'corp')}.json`)}]
  const token = JSON.parse(readFileSync(tokenFile, 'utf8')) as object
  writeFileSync(tokenFile, JSON.stringify({...token, refreshToken: 'gone'}))
  await expect(refreshListing(portal, nothing, fast)).rejects.toThrow(expect.objectContaining({code: 'NOT_LOGGED_IN'}))
})

test('those who need a login at the same time wait for one renewal', async ({onTestFinished}) => {
  const {aws, portal, logIn, tokenFile} = await begin(onTestFinished)
  await logIn()
  const token = JSON.parse(readFileSync(tokenFile, 'utf8')) as object
  writeFileSync(tokenFile, JSON.stringify({...token, expiresAt: '2020-01-01T00:00:00Z'}))
  aws.calls.length = 0
  await Promise.all(Array.from({length: 10}, () => signIn(portal, false)))
  expect(aws.calls).toEqual(['POST /token'])
})

test('TM-Q6: a token of another start URL is not used, and a redirect is no answer', async ({onTestFinished}) => {
  const {aws, portal, logIn, tokenFile} = await begin(onTestFinished)
  await logIn()
  const token = JSON.parse(readFileSync(tokenFile, 'utf8')) as object
  writeFileSync(tokenFile, JSON.stringify({...token, startUrl: 'https://evil.example/start'}))
  await expect(signIn(portal, false)).rejects.toThrow(expect.objectContaining({code: 'NOT_LOGGED_IN'}))
  const {callPortal} = await import('../src/identity-center/call.ts')
  await expect(callPortal(`${aws.url}/authorize?redirect_uri=${aws.url}/x`, {token: 'secret', pauseMs: 1})).rejects.toThrow(
    expect.objectContaining({code: 'TARGET_UNREACHABLE'}),
  )
})

test('the built CLI lists and assumes what the portal offers, and says what it refuses', async ({onTestFinished}) => {
  const {aws, portal, logIn, home, tokenFile} = await begin(onTestFinished)
  await logIn()
  await refreshListing(portal, nothing, fast)
  const person = makePerson(onTestFinished, {
    HOME: home,
    AWS_CONFIG_FILE: join(home, 'config'),
    AWS_ENDPOINT_URL: 'http://127.0.0.1:1',
    AWS_ENDPOINT_URL_SSO: 'http://127.0.0.1:1',
  })
  const listed = JSON.parse((await person.run('roles', '--json')).stdout) as {name: string; source: string; account: string}[]
  // reader is corp/payments/ReadOnly, and shown once
  expect(listed.map(({name}) => name)).toEqual([
    'corp/222222222222/ReadOnly',
    'corp/333333333333/ReadOnly',
    'corp/payments/Admin',
    'corp/payments/Audit',
    'corp/payments/Operator',
    'reader',
  ])
  for (const name of ['reader', 'corp/payments/Operator']) {
    const {stdout, stderr} = await person.run('assume', name, '--json')
    expect({name, stderr}).toEqual({name, stderr: ''})
    expect(JSON.parse(stdout)).toMatchObject({Version: 1, AccessKeyId: expect.stringMatching(/^ASIA/)})
  }
  aws.denied.add('Audit')
  expect((await person.run('assume', 'corp/payments/Audit', '--json')).stderr).toMatch(
    /^prod: AWS does not let you assume Audit in 111111111111\n/,
  )
  // the file of the token says it serves; the portal does not take it, and it is renewed once
  aws.skipMs(9 * 3_600_000)
  expect((await person.run('assume', 'corp/payments/Admin', '--json')).status).toBe(0)
  rmSync(tokenFile)
  const gone = await person.run('assume', 'corp/222222222222/ReadOnly', '--json')
  expect(gone.status).toBe(242)
  expect(gone.stderr).toMatch(/^prod: not logged in to IAM Identity Center corp, and nobody is here to log in\n/)
})

test('the console is opened by an address that holds a sign-in token and no key; long-lived keys open none', async ({onTestFinished}) => {
  const aws = await startStandIn(onTestFinished)
  const sts = await fetch(aws.url, {
    method: 'POST',
    body: new URLSearchParams({Action: 'AssumeRole', RoleArn: 'arn:aws:iam::123456789012:role/ops', RoleSessionName: 'me'}),
  })
  const text = await sts.text()
  const part = (name: string): string => new RegExp(`<${name}>([^<]+)`).exec(text)?.[1] ?? ''
  const credentials = {
    Version: 1 as const,
    AccessKeyId: part('AccessKeyId'),
    SecretAccessKey: part('SecretAccessKey'),
    SessionToken: part('SessionToken'),
  }
  const endpoint = `${aws.url}/federation`
  const url = new URL(await signInUrl(credentials, {name: 'ops', region: 'eu-west-1', endpoint}))
  expect(JSON.parse(aws.signIns[0] ?? '')).toEqual({
    sessionId: credentials.AccessKeyId,
    sessionKey: credentials.SecretAccessKey,
    sessionToken: credentials.SessionToken,
  })
  expect(url.searchParams.get('Action')).toBe('login')
  expect(url.searchParams.get('Destination')).toBe('https://console.aws.amazon.com/home?region=eu-west-1')
  expect(aws.secrets.has(url.searchParams.get('SigninToken') ?? '')).toBe(true)
  expect(url.href).not.toContain(credentials.SecretAccessKey)
  expect(url.href).not.toContain(credentials.SessionToken)
  const {SessionToken: _, ...keys} = credentials
  await expect(signInUrl(keys, {name: 'base', region: null, endpoint})).rejects.toThrow(/long-lived keys/)
  await expect(signInUrl({...credentials, AccessKeyId: 'ASIAOTHER'}, {name: 'ops', region: null, endpoint})).rejects.toThrow(
    expect.objectContaining({code: 'DENIED'}),
  )
})

test('TM-U2: the page is opened by an address that leads on once, and says nothing itself', async () => {
  const {openOnce} = await import('../src/open-page.ts')
  const secret = 'https://signin.example/federation?SigninToken=canary'
  const visit = (url: string, headers: Record<string, string> = {}): Promise<[number | undefined, string | undefined]> =>
    new Promise((resolve, reject) => {
      get(url, {headers}, answer => {
        answer.resume()
        resolve([answer.statusCode, answer.headers.location])
      }).on('error', reject)
    })
  let page = ''
  const opened = openOnce(secret, url => {
    page = url
  })
  while (page === '') await new Promise(resolve => setImmediate(resolve))
  expect(page).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{43}$/)
  expect((await visit(new URL('/', page).href))[0]).toBe(404)
  expect((await visit(page, {host: 'rebound.example'}))[0]).toBe(404)
  expect((await visit(page, {'sec-fetch-mode': 'cors'}))[0]).toBe(404)
  expect(await visit(page)).toEqual([302, secret])
  await opened
  await expect(visit(page)).rejects.toThrow()
  await expect(openOnce(secret, () => undefined, 20)).rejects.toThrow('no browser came for the page')
})
