import {execFile, spawnSync} from 'node:child_process'
import {mkdirSync, readdirSync, readFileSync, statSync} from 'node:fs'
import {join} from 'node:path'
import {promisify} from 'node:util'
import {expect, test} from 'vitest'
import {cli, startRealBroker} from './broker.ts'

const installed = ['dbus-run-session', 'gnome-keyring-daemon'].every(name => spawnSync('which', [name]).status === 0)

// where the machine has no secret service of its own to start, the keychain is not tested; its absence is (client.test.ts)
test.skipIf(!installed)('TM-Q4: with a secret service login and key lie in it, and in no file', async ({onTestFinished}) => {
  const broker = await startRealBroker(onTestFinished)
  const alice = broker.as('alice', {login: false})
  const runtime = join(alice.home, 'run')
  mkdirSync(runtime, {mode: 0o700})
  const prod = [process.execPath, cli].map(word => JSON.stringify(word)).join(' ')
  const {stdout} = await promisify(execFile)(
    'dbus-run-session',
    [
      '--',
      'sh',
      '-ec',
      `printf pw | gnome-keyring-daemon --unlock --components=secrets --daemonize > /dev/null
       ${prod} login --broker ${broker.url} --as alice
       ${prod} exec --reason "is the login found again" true
       ${prod} whoami --json
       ${prod} logout
       ${prod} whoami --json || echo gone`,
    ],
    {env: {...alice.env, PROD_CREDENTIAL_STORE: 'keychain', XDG_RUNTIME_DIR: runtime}, cwd: alice.home},
  )
  expect(stdout).toMatch(/"name": ?"alice"[\s\S]*gone\n$/)
  const files = readdirSync(alice.home, {recursive: true, encoding: 'utf8'})
    .map(name => join(alice.home, name))
    .filter(path => statSync(path, {throwIfNoEntry: false})?.isFile() && !/\/(?:keyrings|\.cache)\//.test(path))
  expect(files.length).toBeGreaterThan(0)
  for (const file of files) expect(readFileSync(file, 'latin1')).not.toMatch(/eyJ[\w-]+\.|"d":/)
})
