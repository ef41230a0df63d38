/** What docs/aws-sessions.md says of Instance Connect, against what is so. */
import {readFileSync} from 'node:fs'
import {join} from 'node:path'
import {expect, test} from 'vitest'
import {parse, permissions} from '../src/target.ts'
import {limits} from './instance.ts'

const page = readFileSync(join(import.meta.dirname, '../../../docs/aws-sessions.md'), 'utf8')
const chapter = page.split('\n## EC2 Instance Connect\n')[1]?.split(/\n## /)[0] ?? ''

test('its policy allows what a use of its target needs, and no more', () => {
  const [, json = '{}'] = /^```json\n(.*?)^```$/ms.exec(chapter) ?? []
  const {Statement} = JSON.parse(json) as {Statement: {Action: string | string[]}[]}
  const [, address = ''] = /^address: ec2-instance-connect:(\S+)$/m.exec(chapter) ?? []
  const needed = permissions(parse(address), {kind: 'shell', size: {columns: 80, rows: 24}, env: {}, limits}).flatMap(
    ({actions}) => actions,
  )
  expect(Statement.flatMap(({Action}) => Action).sort()).toEqual([...needed].sort())
})
