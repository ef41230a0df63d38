import {mkdtempSync, rmSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {openCredentialStore} from '../../src/cli/credential-store.ts'
import {credentialsOf} from '../../src/cli/credentials.ts'
import {createLoginKey} from '../../src/dpop.ts'
import type {Broker} from '../../src/session.ts'
import type {TokenServer} from './token-server.ts'

type OnFinished = (act: () => void) => void

/** A person's empty home folder, which this process lives in until the test ends; logins in a file. Answers its environment. */
export function newHome(onTestFinished: OnFinished): Record<string, string> {
  const home = mkdtempSync(join(tmpdir(), 'prod-home-'))
  const env = {
    HOME: home,
    XDG_CONFIG_HOME: join(home, 'config'),
    XDG_STATE_HOME: join(home, 'state'),
    XDG_CACHE_HOME: join(home, 'cache'),
    PROD_CREDENTIAL_STORE: 'file',
  }
  const before = {...process.env}
  Object.assign(process.env, env)
  onTestFinished(() => {
    process.env = before
    rmSync(home, {recursive: true, force: true})
  })
  return env
}

/** A login as `prod login` leaves it; `ageSeconds` ago. */
export async function logIn(server: TokenServer, {ageSeconds = 0}: {ageSeconds?: number} = {}): Promise<Broker> {
  const broker = {name: 'test', url: server.url}
  const {key, privateJwk} = createLoginKey()
  const tokens = {
    ...server.issue(key.thumbprint),
    expiresInSeconds: server.bend.tokenSeconds,
    principal: {iss: 'https://issuer.example', sub: '1', person: 'p-alice', name: 'alice'},
    groups: ['engineers'],
    loggedInAt: new Date().toISOString(),
    login: 'login-1',
  }
  await openCredentialStore().save(credentialsOf(broker, privateJwk, tokens, Date.now() - ageSeconds * 1000))
  return broker
}
