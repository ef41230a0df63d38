import {spawn, spawnSync} from 'node:child_process'
import {once} from 'node:events'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {parseAst} from 'rolldown/parseAst'
import {expect, onTestFinished, test} from 'vitest'

const root = join(import.meta.dirname, '..')

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'prod-launcher-'))
  onTestFinished(() => rmSync(folder, {recursive: true, force: true}))
  return folder
}

/** A copy of the launcher that believes it runs on Node 20, with a program of ours where the pinned Node lies. */
function launcherOnOldNode(pinned?: string): {command: string[]; env: NodeJS.ProcessEnv} {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'bin'))
  copyFileSync(join(root, 'bin/run.js'), join(folder, 'bin/run.js'))
  writeFileSync(join(folder, 'old.cjs'), `Object.defineProperty(process, 'versions', {value: {...process.versions, node: '20.1.0'}})`)
  if (pinned) {
    mkdirSync(join(folder, 'node_modules/node/bin'), {recursive: true})
    writeFileSync(join(folder, 'node_modules/node/package.json'), '{"name": "node"}')
    writeFileSync(join(folder, 'node_modules/node/bin/node'), `#!/bin/sh\n${pinned}\n`)
    chmodSync(join(folder, 'node_modules/node/bin/node'), 0o755)
  }
  return {command: ['--require', join(folder, 'old.cjs'), join(folder, 'bin/run.js')], env: {PATH: process.env.PATH}}
}

test('an old Node hands arguments, streams and exit status to the pinned one', () => {
  const {command, env} = launcherOnOldNode('shift; echo "$PROD_REEXEC $*"; cat; echo late >&2; exit 7')
  const {status, stdout, stderr} = spawnSync(process.execPath, [...command, 'a b', '--c'], {env, input: 'typed', encoding: 'utf8'})
  expect({status, stdout, stderr}).toEqual({status: 7, stdout: '1 a b --c\ntyped', stderr: 'late\n'})
})

test('an old Node passes signals on, and dies of the signal that the pinned one died of', async () => {
  const {command, env} = launcherOnOldNode(`trap 'echo told; kill -KILL $$' TERM; echo ready; while :; do sleep 0.02; done`)
  const child = spawn(process.execPath, command, {env, stdio: ['ignore', 'pipe', 'inherit']})
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += String(chunk)
    if (chunk.includes('ready')) child.kill('SIGTERM')
  })
  const [status, signal] = await once(child, 'close')
  expect({said, status, signal}).toEqual({said: 'ready\ntold\n', status: null, signal: 'SIGKILL'})
})

test('an old Node without the pinned one, or started by itself already, says one clear sentence', () => {
  const alone = launcherOnOldNode()
  const again = launcherOnOldNode('echo again')
  for (const {command, env} of [alone, {...again, env: {...again.env, PROD_REEXEC: '1'}}]) {
    const {status, stdout, stderr} = spawnSync(process.execPath, [...command, '--version'], {env, encoding: 'utf8'})
    expect({status, stdout, stderr}).toEqual({
      status: 240,
      stdout: '',
      stderr: 'prod: this is Node 20.1.0; prod needs 24.15 or newer (https://nodejs.org)\n',
    })
  }
})

test('what runs before the version is known is written in syntax that any Node reads', () => {
  for (const file of ['bin/run.js', 'bin/require-node.js']) {
    const newer =
      /^(ArrowFunctionExpression|TemplateLiteral|ClassDeclaration|SpreadElement|RestElement|ChainExpression|AwaitExpression|ForOfStatement|ObjectPattern|ArrayPattern|AssignmentPattern|ImportDeclaration)$/
    const found: string[] = []
    JSON.stringify(parseAst(readFileSync(join(root, file), 'utf8'), {lang: 'js', sourceType: 'script'}), (_, node) => {
      if (newer.test(node?.type) || (node?.type === 'VariableDeclaration' && node.kind !== 'var')) found.push(node.type)
      if (node?.type === 'CatchClause' && !node.param) found.push('catch without a name')
      return node
    })
    expect(found).toEqual([])
  }
})

test('a bare clone says that it is not built', () => {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'bin'))
  copyFileSync(join(root, 'bin/run.js'), join(folder, 'bin/run.js'))
  const {status, stderr} = spawnSync(process.execPath, [join(folder, 'bin/run.js'), '--version'], {encoding: 'utf8'})
  expect({status, stderr}).toEqual({status: 240, stderr: 'prod: prod is not built; type: npm run build\n'})
})

function run(args: string[], env: NodeJS.ProcessEnv) {
  return spawnSync(process.execPath, [join(root, 'bin/run.js'), ...args], {encoding: 'utf8', env: {PATH: process.env.PATH, ...env}})
}

test('an unknown command is bad usage, with the nearest one to type next', () => {
  const {status, stdout, stderr} = run(['autocomplet'], {HOME: temporaryFolder()})
  expect({status, stdout}).toEqual({status: 241, stdout: ''})
  expect(stderr).toContain('there is no command "autocomplet"')
  expect(stderr).toContain('prod autocomplete')

  const json = run(['autocomplet', '--json'], {HOME: temporaryFolder()})
  expect(json.status).toBe(241)
  expect(JSON.parse(json.stdout)).toEqual({error: {code: 'USAGE', message: 'there is no command "autocomplet"', hint: 'prod autocomplete'}})
})

test('help reads the same by all its names', () => {
  const env = {HOME: temporaryFolder()}
  const [one, two] = [run(['help', 'autocomplete'], env), run(['autocomplete', '--help'], env)]
  expect(one.status).toBe(0)
  expect(one.stdout).toBe(two.stdout)
  expect(run([], env).stdout).toBe(run(['--help'], env).stdout)
})

test('TM-U1: compiled code is kept in a folder that is ours alone, and nowhere else', () => {
  const cache = join(temporaryFolder(), 'cache')
  const kept = join(cache, 'prod/v8')
  expect(run(['--help'], {XDG_CACHE_HOME: cache}).status).toBe(0)
  expect(statSync(kept).mode & 0o777).toBe(0o700)
  expect(statSync(join(cache, 'prod')).mode & 0o777).toBe(0o700)

  const traps = [
    (folder: string, elsewhere: string) => symlinkSync(elsewhere, join(folder, 'v8')),
    (folder: string) => {
      mkdirSync(join(folder, 'v8'))
      chmodSync(join(folder, 'v8'), 0o777)
    },
    (folder: string) => chmodSync(folder, 0o777),
  ]
  for (const setTrap of traps) {
    const other = temporaryFolder()
    const elsewhere = join(other, 'elsewhere')
    mkdirSync(join(other, 'prod'), {mode: 0o700})
    mkdirSync(elsewhere)
    setTrap(join(other, 'prod'), elsewhere)
    expect(run(['--help'], {XDG_CACHE_HOME: other}).status).toBe(0)
    expect(spawnSync('find', [other, '-type', 'f'], {encoding: 'utf8'}).stdout).toBe('')
  }
})

test('the compiled code of a command is kept for this build alone, and what is torn is made again', () => {
  const cache = join(temporaryFolder(), 'cache')
  const kept = join(cache, 'prod/v8')
  const ours = () => readdirSync(kept).filter(name => name.startsWith('config-'))
  const list = () => run(['config', 'ls'], {XDG_CACHE_HOME: cache})
  const {stdout} = list()
  const [name = ''] = ours()
  const file = join(kept, name)
  const size = statSync(file).size
  expect(statSync(file).mode & 0o777).toBe(0o600)

  truncateSync(file, size - 1)
  writeFileSync(join(kept, 'config-ofanotherbuild'), '')
  expect(list()).toMatchObject({status: 0, stderr: '', stdout})
  expect(ours()).toEqual([name])
  expect(statSync(file).size).not.toBe(size - 1)

  const {mtimeMs} = statSync(file)
  expect(list()).toMatchObject({status: 0, stderr: '', stdout})
  expect(statSync(file).mtimeMs).toBe(mtimeMs)
})

test('whoami is answered from what the login left, only while that is surely right', () => {
  const fast = JSON.stringify(join(root, 'dist/fast.js'))
  const future = new Date(Date.now() + 60_000).toISOString()
  const saved = {broker: 'https://prod.example', text: 'alice (engineers)', json: {name: 'alice'}, expiresAt: future}
  const ask = (args: string[], change: object, env: NodeJS.ProcessEnv = {}, mode = 0o600) => {
    const state = temporaryFolder()
    mkdirSync(join(state, 'prod'), {mode: 0o700})
    writeFileSync(join(state, 'prod/whoami.json'), JSON.stringify({...saved, ...change}))
    chmodSync(join(state, 'prod/whoami.json'), mode)
    const {stdout} = spawnSync(
      process.execPath,
      ['-e', `if (!require(${fast}).answered(process.argv.slice(1), '')) console.log('somebody else')`, '--', ...args],
      {
        encoding: 'utf8',
        env: {XDG_STATE_HOME: state, ...env},
      },
    )
    return stdout
  }

  expect(ask(['whoami'], {})).toBe('alice (engineers)\n')
  expect(ask(['whoami', '--json'], {})).toBe('{\n  "name": "alice"\n}\n')
  expect(ask(['whoami'], {}, {PROD_BROKER: saved.broker})).toBe('alice (engineers)\n')
  for (const doubt of [
    ask(['whoami'], {expiresAt: new Date(Date.now() - 1000).toISOString()}),
    ask(['whoami'], {expiresAt: 'soon'}),
    ask(['whoami'], {text: 7}),
    ask(['whoami'], {}, {PROD_BROKER: 'https://other.example'}),
    ask(['whoami', '--broker', saved.broker], {}),
    ask(['whoami', '--help'], {}),
    ask(['whoami'], {}, {}, 0o666),
    ask(['whoami'], {}, {XDG_STATE_HOME: join(temporaryFolder(), 'nothing')}),
  ]) {
    expect(doubt).toBe('somebody else\n')
  }
})
