import {chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs'
import {tmpdir} from 'node:os'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {awsPaths} from '../src/config/paths.ts'
import {keepRoles, keptRoles, statesOf} from '../src/kept-roles.ts'
import {listRoles} from '../src/roles.ts'

const profile = (name: string): string => `[profile ${name}]\ncredential_process = true\n`
const names = (): string[] => listRoles().roles.map(({name}) => name)
const later = (): number => Date.now() + 5000

function begin(onTestFinished: (finish: () => void) => void, count = 200): {config: string; file: string} {
  const home = mkdtempSync(join(tmpdir(), 'prod-kept-'))
  const before = {...process.env}
  onTestFinished(() => {
    process.env = before
    rmSync(home, {recursive: true, force: true})
  })
  process.env = {PATH: before.PATH, HOME: home}
  mkdirSync(join(home, '.aws'))
  const config = join(home, '.aws/config')
  writeFileSync(config, Array.from({length: count}, (_, at) => profile(`p${String(at).padStart(3, '0')}`)).join(''))
  return {config, file: join(home, '.cache/prod/aws-roles.json')}
}

test('a long list is kept as long as no file it came from has changed', ({onTestFinished}) => {
  const {config, file} = begin(onTestFinished)
  const before = names()
  expect(before).toHaveLength(200)
  // what was written just now is not trusted yet
  expect(existsSync(file)).toBe(false)
  const states = statesOf(awsPaths(process.env))
  keepRoles(states, listRoles().roles, later())
  expect(keptRoles(states)?.map(({name}) => name)).toEqual(before)
  // it is what is shown
  keepRoles(states, Array(150).fill({...listRoles().roles[0], name: 'from the kept list'}), later())
  expect(names()[0]).toBe('from the kept list')
  writeFileSync(config, profile('another'), {flag: 'a'})
  expect(names()).toEqual(['another', ...before])
})

test('a list is made anew when a portal was listed, when it is another’s, and when what was kept is no list', ({onTestFinished}) => {
  const {file} = begin(onTestFinished)
  const keep = (): void => keepRoles(statesOf(awsPaths(process.env)), Array(150).fill({...listRoles().roles[0], name: 'kept'}), later())
  keep()
  mkdirSync(join(file, '../aws'))
  expect(names()).toHaveLength(200)
  keep()
  expect(names()).toHaveLength(150)
  writeFileSync(join(file, '../aws/portal-corp.json'), '{}')
  expect(names()).toHaveLength(200)
  keep()
  chmodSync(file, 0o644)
  expect(names()).toHaveLength(200)
  chmodSync(file, 0o600)
  writeFileSync(file, '{"states":')
  expect(names()).toHaveLength(200)
})

test('a short list is not kept', ({onTestFinished}) => {
  const {file} = begin(onTestFinished, 20)
  keepRoles(statesOf(awsPaths(process.env)), listRoles().roles, later())
  expect(existsSync(file)).toBe(false)
})
