import {expect, test} from 'vitest'
import {buildEnvironment, completeEnvironment} from '../src/environment.ts'
import {run, script, startHere} from './machine.ts'

const fixed = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LANG: 'C.UTF-8',
  TZ: 'UTC',
  PAGER: 'cat',
  GIT_PAGER: 'cat',
  MANPAGER: 'cat',
  SYSTEMD_PAGER: '',
  AWS_PAGER: '',
  LESSSECURE: '1',
}

test('TM-H8: an environment is the fixed part, a home, and what the catalog names', () => {
  expect(buildEnvironment({SERVICE: 'payments'}, '/tmp/home')).toEqual({...fixed, HOME: '/tmp/home', SERVICE: 'payments'})
})

const refused = [
  'LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT DYLD_INSERT_LIBRARIES IFS ENV BASH_ENV PS4 SHELLOPTS BASHOPTS PYTHONPATH PYTHONSTARTUP PERL5LIB PERL5OPT',
  'RUBYOPT RUBYLIB NODE_OPTIONS NODE_PATH NPM_TOKEN GIT_SSH GIT_SSH_COMMAND GIT_EXTERNAL_DIFF GIT_ASKPASS GIT_EXEC_PATH SSH_AUTH_SOCK SSH_ASKPASS',
  'LESSOPEN LESSCLOSE MANPAGER2PAGER EDITOR SUDO_EDITOR VISUAL BROWSER TERMINFO TERMINFO_DIRS LOCPATH NLSPATH TAR_OPTIONS MAKEFLAGS',
  'SSLKEYLOGFILE TMPDIR GCONV_PATH BASH_FUNC_x%% PROMPT_COMMAND PROD_RUN SHLVL _ PWD OPENSSL_CONF CURL_HOME WGETRC KUBECTL_EXTERNAL_DIFF',
  'AWS_SECRET_ACCESS_KEY AWS_ACCESS_KEY_ID AWS_SESSION_TOKEN PGPASSWORD MYSQL_PWD VAULT_TOKEN GITHUB_TOKEN ARM_CLIENT_SECRET CLOUD_API_KEY',
].flatMap(names => names.split(' '))

test.each([...refused, 'A=B', 'A\0', '', '1A', 'a-b'])('TM-H8: nobody may set %j, neither a catalog nor a use', name => {
  expect(() => buildEnvironment({[name]: 'x'}, '/h')).toThrow(expect.objectContaining({code: 'CATALOG_INVALID'}))
  expect(() => completeEnvironment({[name]: 'x'}, '/h')).toThrow(expect.objectContaining({code: 'TOOL_UNAVAILABLE'}))
})

test.each([
  'KUBECONFIG',
  'AWS_CONFIG_FILE',
  'AWS_SHARED_CREDENTIALS_FILE',
  'AWS_PROFILE',
  'CLOUDSDK_CONFIG',
  'DOCKER_HOST',
  'GIT_DIR',
  'GIT_CONFIG_COUNT',
  'GIT_CONFIG_KEY_0',
  'PGSERVICE',
  'PGOPTIONS',
  'PGPASSFILE',
  'LESSHISTFILE',
  'NPM_CONFIG_UPDATE_NOTIFIER',
  'HTTPS_PROXY',
  'TF_IN_AUTOMATION',
])('TM-H8: a definition may name %s, which configures its tool and runs nothing', name => {
  expect(completeEnvironment({[name]: 'x'}, '/h')).toMatchObject({[name]: 'x'})
})

test.each(['PATH', 'HOME', 'LANG', 'PAGER', 'TERM', 'PS1'])("TM-H8: a catalog may not set %s, which is the broker's", name => {
  expect(() => buildEnvironment({[name]: 'x'}, '/h')).toThrow(expect.objectContaining({code: 'CATALOG_INVALID'}))
})

test('TM-H8: a value with a NUL is refused', () => {
  expect(() => completeEnvironment({NAME: 'a\0b'}, '/h')).toThrow(expect.objectContaining({code: 'TOOL_UNAVAILABLE'}))
  expect(() => completeEnvironment({TERM: 'a\0b'}, '/h')).toThrow(expect.objectContaining({code: 'TOOL_UNAVAILABLE'}))
})

test.for(['namespaces', 'processes'] as const)(
  'TM-H8: a program sees exactly that, and nothing of the broker (%s)',
  async (isolation, {onTestFinished}) => {
    process.env.PROD_TEST_CANARY = 'canary'
    onTestFinished(() => void delete process.env.PROD_TEST_CANARY)
    const runner = await startHere(onTestFinished, {isolation})
    const {stdout} = await run(runner, {...script(''), program: {path: '/usr/bin/env'}, argv: ['env', '-0'], env: {SERVICE: 'a b\n$(id)'}})
    const seen = Object.fromEntries(
      stdout
        .split('\0')
        .filter(Boolean)
        .map(entry => [entry.slice(0, entry.indexOf('=')), entry.slice(entry.indexOf('=') + 1)]),
    )
    const {HOME, PROD_RUN, ...rest} = seen
    expect(rest).toEqual({...fixed, SERVICE: 'a b\n$(id)'})
    expect(HOME).toMatch(/\/home$/)
    // the mark of the run, where nothing better keeps the tree together
    expect(PROD_RUN === undefined).toBe(runner.platform.isolation !== 'processes')
  },
)

test('TM-H8: a dangerous name in a use starts nothing', async ({onTestFinished}) => {
  const runner = await startHere(onTestFinished)
  await expect(run(runner, script('true', {env: {LD_PRELOAD: '/tmp/x.so'}}))).rejects.toMatchObject({code: 'TOOL_UNAVAILABLE'})
})
