import {chmodSync} from 'node:fs'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {browserCommand} from '../src/browser-profile.ts'
import {makePerson} from './person.ts'

const page = 'http://127.0.0.1:1/x?a=b&c'

test('a profile of Chrome, a container of Firefox', ({onTestFinished}) => {
  const person = makePerson(onTestFinished)
  const linux = {platform: 'linux' as const, env: {PATH: join(person.home, 'bin')}}
  expect(() => browserCommand('chrome:Profile 1', page, linux)).toThrow('chrome is not on this machine')
  for (const name of ['chromium', 'firefox']) {
    person.write(`bin/${name}`, '')
    chmodSync(join(person.home, 'bin', name), 0o755)
  }
  expect(browserCommand('chrome:Profile 1', page, linux)).toEqual(['chromium', '--profile-directory=Profile 1', page])
  expect(browserCommand('firefox:pay-co', page, linux)).toEqual([
    'firefox',
    'ext+container:name=pay-co&url=http%3A%2F%2F127.0.0.1%3A1%2Fx%3Fa%3Db%26c',
  ])
  expect(browserCommand('chrome:Work', page, {platform: 'darwin', env: {}})).toEqual([
    'open',
    '-na',
    'Google Chrome',
    '--args',
    '--profile-directory=Work',
    page,
  ])
})

test.for(['safari:x', 'chrome', 'chrome:', 'firefox:a&url=https://evil.example', 'chrome:x --no-sandbox\n', 'chrome:$(x)'])(
  '%s is none',
  profile => {
    expect(() => browserCommand(profile, page)).toThrow(expect.objectContaining({code: 'USAGE'}))
  },
)
