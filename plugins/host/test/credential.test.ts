import {spawn} from 'node:child_process'
import {once} from 'node:events'
import {existsSync, readdirSync, readFileSync, rmSync} from 'node:fs'
import {join} from 'node:path'
import {createInterface} from 'node:readline'
import {fileURLToPath} from 'node:url'
import {ProdError} from '@prod/sdk/errors'
import {expect, test} from 'vitest'
import {awsKeys, keepFresh} from '../src/credential.ts'
import {makeFolders, sweepFolders} from '../src/folders.ts'
import {access, limits, newFolder, open, processesWith, run, script, startHere, until, waysHere} from './machine.ts'

const ways = await waysHere()
const asRoot = process.getuid?.() === 0
let made = 0
/** Keys that nobody else has, for so many seconds. */
const newKeys = (seconds: number) => {
  made += 1
  const name = `canary${process.pid}n${made}`
  return {
    AccessKeyId: `ASIA${name.toUpperCase()}`,
    SecretAccessKey: `secret-${name}`,
    SessionToken: `token-${name}`,
    Expiration: new Date(Date.now() + seconds * 1000).toISOString(),
    Region: 'eu-west-1',
  }
}
const canary = new RegExp(`canary${process.pid}n`, 'i')

test.for(ways)(
  'TM-U2: TM-U3: a program finds its credential in 0600 files of its own; no argument, no environment and no other run has it (%s)',
  async (isolation, {onTestFinished}) => {
    const runner = await startHere(onTestFinished, {isolation})
    const keys = newKeys(3600)
    const look =
      'stat -c "%a %n" "$HOME/.aws" "$HOME"/.aws/*; cat "$AWS_SHARED_CREDENTIALS_FILE" "$AWS_CONFIG_FILE"; echo --; env; read line'
    const channel = await open(runner, script(look, {stdin: true}), {...access, credential: keys})
    let said = ''
    channel.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
    await until(() => said.includes('AWS_EC2_METADATA_DISABLED'))
    const [files = '', env = ''] = said.split('--\n')
    const home = /^HOME=(.+)$/m.exec(env)?.[1]
    expect(files.split('\n')).toEqual([
      `700 ${home}/.aws`,
      `600 ${home}/.aws/config`,
      `600 ${home}/.aws/credentials`,
      '[default]',
      `aws_access_key_id = ${keys.AccessKeyId}`,
      `aws_secret_access_key = ${keys.SecretAccessKey}`,
      `aws_session_token = ${keys.SessionToken}`,
      '[default]',
      'region = eu-west-1',
      '',
    ])
    expect(env).toContain(`AWS_SHARED_CREDENTIALS_FILE=${home}/.aws/credentials\n`)
    expect(env).toContain(`AWS_CONFIG_FILE=${home}/.aws/config\n`)
    expect(env).toMatch(/^AWS_EC2_METADATA_DISABLED=true$/m)
    expect(env).not.toMatch(canary)
    expect(processesWith(keys.SecretAccessKey)).toEqual([])
    // of one account, where nothing but watching keeps runs apart, only the folder's name does
    const other = script(`cat ${home}/.aws/* /proc/*/root${home}/.aws/*; ls -A "$HOME"`)
    const beside = await run(runner, isolation === 'processes' ? script('ls -A "$HOME"') : other)
    expect(beside.stdout).toBe('')
    channel.stdin.end()
    await channel.ended
    expect(existsSync(`${home}/.aws/credentials`)).toBe(false)
  },
)

test.for(ways)(
  'TM-J2: a long run finds each fresh credential at one stroke, behind a process that tools ask again (%s)',
  async (isolation, {onTestFinished}) => {
    const runner = await startHere(onTestFinished, {isolation})
    const [first, second] = [newKeys(0.4), newKeys(3600)]
    const asked: string[] = []
    const given = {
      ...access,
      credential: first,
      renew: async () => {
        asked.push('renew')
        return second
      },
    }
    const ask = 'ask() { eval "$(sed -n "s/^credential_process = //p" "$AWS_SHARED_CREDENTIALS_FILE")"; }'
    const both = `${ask}; ask; while ask | grep -q ${first.AccessKeyId}; do sleep 0.02; done; ask; stat -c %a "$HOME"/.aws/keys.json; ls -A "$HOME/.aws"`
    const {stdout, stderr} = await run(runner, script(both), given)
    expect(stderr).toBe('')
    const {Region: _, ...keys} = second
    const [before = '', after = '', ...rest] = stdout.trimEnd().split('\n')
    expect(JSON.parse(before)).toMatchObject({Version: 1, AccessKeyId: first.AccessKeyId})
    expect(JSON.parse(after)).toEqual({Version: 1, ...keys})
    expect(rest).toEqual(['600', 'config', 'credentials', 'keys.json'])
    expect(asked).toEqual(['renew'])
  },
)

test.for(ways)(
  'TM-H14: a program that puts a link in the place of its folder leads no fresh credential elsewhere (%s)',
  async (isolation, {onTestFinished}) => {
    const runner = await startHere(onTestFinished, {isolation})
    const aim = newFolder(onTestFinished)
    let renewed = 0
    // each is as short as the one before, until the third: so many times something is written
    const given = {...access, credential: newKeys(0.2), renew: async () => newKeys(++renewed < 3 ? 0.2 + renewed * 0.2 : 3600)}
    const channel = await open(runner, script(`mv "$HOME/.aws" "$HOME/old"; ln -s ${aim} "$HOME/.aws"; read line`, {stdin: true}), given)
    await until(() => renewed === 3)
    channel.stdin.end()
    await channel.ended
    expect(readdirSync(aim)).toEqual([])
  },
)

test.skipIf(!asRoot)(
  'TM-H9: TM-U2: the files belong to the account of the run, and another account reads none of it (needs root)',
  async ({onTestFinished}) => {
    for (const isolation of ways) {
      const runner = await startHere(onTestFinished, {development: false, isolation})
      const look = 'stat -c "%a %U" "$HOME/.aws" "$HOME"/.aws/*; grep -c aws_secret "$AWS_SHARED_CREDENTIALS_FILE"; echo "$HOME"; read line'
      const channel = await open(runner, script(look, {runAs: 'nobody', stdin: true}), {...access, credential: newKeys(3600)})
      let said = ''
      channel.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
      await until(() => said.split('\n').length === 6)
      expect(said.split('\n').slice(0, 4)).toEqual(['700 nobody', '600 nobody', '600 nobody', '1'])
      const home = said.split('\n')[4]
      const other = await run(runner, script(`cat ${home}/.aws/credentials`, {runAs: 'daemon'}))
      expect(other).toMatchObject({stdout: '', exit: {status: 1}})
      channel.stdin.end()
      await channel.ended
    }
  },
)

test('what a definition says it needs leaves it its credential, and a shell has one too', async ({onTestFinished}) => {
  const runner = await startHere(onTestFinished)
  const keys = newKeys(3600)
  const given = {...access, credential: keys}
  const look = 'grep -c secret "$AWS_SHARED_CREDENTIALS_FILE"'
  for (const processes of [false, true]) {
    const needs = {network: false, processes, reads: [], writes: []}
    expect(await run(runner, script(look, {needs}), given)).toMatchObject({stdout: '1\n', exit: {status: 0}})
  }
  const shell = await open(runner, {kind: 'shell', size: {columns: 120, rows: 24}, env: {}, limits}, given)
  shell.stdin.write(`${look} && env | grep -ci canary; exit\n`)
  let screen = ''
  for await (const chunk of shell.stdout) screen += String(chunk)
  expect(screen).toMatch(/^1\r\n0\r$/m)
})

test.for(ways)(
  'TM-U2: what a broker and its runner leave when both are killed is gone when the next one starts (%s)',
  async (isolation, {onTestFinished}) => {
    // a place where no other broker of this machine sweeps
    const before = process.env.TMPDIR
    process.env.TMPDIR = newFolder(onTestFinished)
    onTestFinished(() => {
      process.env.TMPDIR = before ?? ''
    })
    const entry = fileURLToPath(new URL('small-broker.ts', import.meta.url))
    const keys = newKeys(3600)
    const broker = spawn(process.execPath, ['--conditions=source', entry, isolation, `9${process.pid}.5`], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    onTestFinished(() => void broker.kill('SIGKILL'))
    broker.stdin.end(JSON.stringify(keys))
    const {runner, folder} = JSON.parse((await once(createInterface({input: broker.stdout}), 'line'))[0]) as {
      runner: number
      folder: string
    }
    process.kill(runner, 'SIGSTOP')
    broker.kill('SIGKILL')
    await once(broker, 'exit')
    process.kill(runner, 'SIGKILL')
    await until(() => !existsSync(`/proc/${runner}`))
    const kept = dirnames(folder)
    // where a cage has its folders in memory, nothing has lain on the disk
    const found = readdirSync(kept, {recursive: true}).map(name => join(kept, String(name)))
    expect(found.some(path => path.endsWith('.aws/credentials') && readFileSync(path, 'utf8').includes(keys.SecretAccessKey))).toBe(
      isolation !== 'namespaces',
    )
    await startHere(onTestFinished, {isolation})
    expect(existsSync(kept)).toBe(false)
  },
)

test('folders of brokers that live, and of runners that answer, are left alone', async ({onTestFinished}) => {
  const runner = await startHere(onTestFinished)
  const {stdout} = await run(runner, script('echo "$HOME"'))
  const folder = dirnames(stdout.trim())
  const ours = makeFolders()
  onTestFinished(() => rmSync(ours.folder, {recursive: true}))
  await sweepFolders()
  expect([existsSync(folder), existsSync(ours.folder)]).toEqual([true, true])
})

test('what is no credential of AWS gives a program nothing, and one that would break the file is refused', async ({onTestFinished}) => {
  expect(awsKeys({})).toBeUndefined()
  expect(awsKeys({token: 'x'})).toBeUndefined()
  for (const SecretAccessKey of ['a\nb', 'a b', 'ü', '\0'])
    expect(() => awsKeys({AccessKeyId: 'ASIA', SecretAccessKey})).toThrow('not written as AWS writes them')
  const runner = await startHere(onTestFinished)
  const {stdout} = await run(runner, script('ls -A "$HOME"; env'), {...access, credential: {token: 'x'}})
  expect(stdout).not.toContain('AWS_SHARED')
})

test('TM-J2: a credential is renewed while its role gives later ones, and no more once the use or the right to it is over', async () => {
  const asked: string[] = []
  const handed: string[] = []
  const seconds = [0.1, 0.2, 0.2]
  const done = Promise.withResolvers<void>()
  const giving = {
    ...access,
    renew: async () => {
      asked.push('renew')
      return newKeys(seconds[asked.length] ?? 0)
    },
  }
  const last = {...newKeys(0.05)}
  const ends = keepFresh({...giving, credential: last}, last, Date.now() + 60_000, keys => {
    handed.push(keys.AccessKeyId)
    if (handed.length === 2) done.resolve()
  })
  await done.promise
  ends()
  const soFar = asked.length
  // one that will do to the end is not renewed; nor is one without `renew`
  const never = async () => expect.unreachable()
  keepFresh({...access, renew: never}, newKeys(3600), Date.now() + 60_000, never)
  keepFresh(access, newKeys(0), Date.now() + 60_000, never)
  const refused = Promise.withResolvers<void>()
  const gone = async () => {
    refused.resolve()
    throw new ProdError('REVOKED', 'it has ended')
  }
  keepFresh({...access, renew: gone}, newKeys(0.01), Date.now() + 60_000, never)
  await refused.promise
  expect(asked.length).toBe(soFar)
})

/** The folder of the runner that a path of a run lies in. */
function dirnames(path: string): string {
  return /^.*\/prod-host-[^/]+/.exec(path)?.[0] ?? ''
}
