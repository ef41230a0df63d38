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
  'RUBYOPT RUBYLIB NODE_OPTIONS NODE_PATH GIT_SSH_COMMAND GIT_DIR SSH_AUTH_SOCK AWS_PROFILE AWS_SECRET_ACCESS_KEY KUBECONFIG PGPASSFILE PGHOST',
  'LESSOPEN LESS MANPAGER2PAGER EDITOR SUDO_EDITOR VISUAL BROWSER TERMINFO TERMINFO_DIRS LOCPATH NLSPATH TAR_OPTIONS MAKEFLAGS http_proxy HTTPS_PROXY',
  'ALL_PROXY no_proxy SSLKEYLOGFILE TMPDIR GCONV_PATH BASH_FUNC_x%% PROMPT_COMMAND PROD_RUN SHLVL _ PWD',
].flatMap(names => names.split(' '))

test.each([...refused, 'A=B', 'A\0', '', '1A', 'a-b'])('TM-H8: nobody may set %j, neither a catalog nor a use', name => {
  expect(() => buildEnvironment({[name]: 'x'}, '/h')).toThrow(expect.objectContaining({code: 'CATALOG_INVALID'}))
  expect(() => completeEnvironment({[name]: 'x'}, '/h')).toThrow(expect.objectContaining({code: 'TOOL_UNAVAILABLE'}))
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
