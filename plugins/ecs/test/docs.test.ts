/** What docs/aws-sessions.md says of containers, against what is so. */
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {causes} from '../src/preflight.ts'
import {discoverPermissions, parse, permissions} from '../src/target.ts'
import {limits} from './here.ts'

const page = readFileSync(join(import.meta.dirname, '../../../docs/aws-sessions.md'), 'utf8')
const chapter = page.split('\n## ECS Exec\n')[1]?.split(/\n## /)[0] ?? ''

test('its table of what is missing is what the preflight says', () => {
  const rows = [...(chapter.split('### What is missing')[1] ?? '').matchAll(/^\| (.+) \| (.+) \|$/gm)].map(([, what, mend]) => ({
    what,
    mend,
  }))
  expect(rows.slice(2)).toEqual(Object.values(causes))
})

test('its policy allows what uses of its target need, and no more', () => {
  const [, json = '{}'] = /^```json\n(.*?)^```$/ms.exec(chapter) ?? []
  const {Statement} = JSON.parse(json) as {Statement: {Action: string | string[]}[]}
  const [, address = ''] = /^address: ecs:(\S+)$/m.exec(chapter) ?? []
  const target = parse(address)
  const needed = [
    ...permissions(target, {kind: 'shell', size: {columns: 80, rows: 24}, env: {}, limits}),
    ...permissions(target, {kind: 'forward', to: {host: 'localhost', port: 9090}}),
    ...discoverPermissions(target),
  ].flatMap(({actions}) => actions)
  expect(Statement.flatMap(({Action}) => Action).sort()).toEqual([...new Set(needed)].sort())
})
